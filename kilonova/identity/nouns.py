"""What Keystone keeps, each by the same five requests: list, create, show, update, delete."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

from starlette.responses import JSONResponse, Response

from kilonova.domain.accounts import Domain, Group, Project, Role, User
from kilonova.identity.call import Call, IdentityRoom, forbidden
from kilonova.identity.caller import Caller
from kilonova.identity.views import domain_view, group_view, project_view, role_view, user_view

_T = TypeVar("_T", Domain, Group, Project, Role, User)
Route = tuple[str, str, Callable[[Call], Response]]
"""Method, path, and what answers."""


def _nobody(caller: Caller, its_id: str) -> bool:
    del caller, its_id
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noun(Generic[_T]):
    """One kind of thing: administrators do everything with it, and whoever it ``concerns`` may see it."""

    name: str
    view: Callable[[_T, str], dict[str, Any]]
    list_all: Callable[[IdentityRoom], Sequence[_T]]
    get: Callable[[IdentityRoom, str], _T]
    create: Callable[[IdentityRoom, Mapping[str, Any]], _T]
    update: Callable[[IdentityRoom, str, Mapping[str, Any]], _T]
    delete: Callable[[IdentityRoom, str], None]
    concerns: Callable[[Caller, str], bool] = _nobody

    @property
    def routes(self) -> tuple[Route, ...]:
        """The five requests."""
        all_of_them = f"/v3/{self.name}s"
        one = all_of_them + "/{id}"
        return (
            ("GET", all_of_them, partial(_list, self)),
            ("POST", all_of_them, partial(_create, self)),
            ("GET", one, partial(_show, self)),
            ("PATCH", one, partial(_update, self)),
            ("DELETE", one, partial(_delete, self)),
        )

    def answer(self, found: _T, call: Call, status: int = 200) -> Response:
        """One of them."""
        return JSONResponse({self.name: self.view(found, call.here)}, status_code=status)


def _list(noun: _Noun[_T], call: Call) -> Response:
    call.admin(f"list_{noun.name}s")
    return call.listed(f"{noun.name}s", [noun.view(each, call.here) for each in noun.list_all(call.room)])


def _create(noun: _Noun[_T], call: Call) -> Response:
    call.admin(f"create_{noun.name}")
    return noun.answer(noun.create(call.room, call.section(noun.name)), call, 201)


def _show(noun: _Noun[_T], call: Call) -> Response:
    caller, its_id = call.caller(), call.path("id")
    if not caller.administers_identity and not noun.concerns(caller, its_id):
        raise forbidden(f"get_{noun.name}")
    return noun.answer(noun.get(call.room, its_id), call)


def _update(noun: _Noun[_T], call: Call) -> Response:
    call.admin(f"update_{noun.name}")
    return noun.answer(noun.update(call.room, call.path("id"), call.section(noun.name)), call)


def _delete(noun: _Noun[_T], call: Call) -> Response:
    call.admin(f"delete_{noun.name}")
    noun.delete(call.room, call.path("id"))
    return Response(status_code=204)


_DOMAIN: Final = _Noun(
    name="domain",
    view=domain_view,
    list_all=lambda room: room.records.list_domains(),
    get=lambda room, domain_id: room.accounts.get_domain(domain_id),
    create=lambda room, wanted: room.accounts.create_domain(wanted),
    update=lambda room, domain_id, wanted: room.accounts.update_domain(domain_id, wanted),
    delete=lambda room, domain_id: room.accounts.delete_domain(domain_id),
    concerns=lambda caller, domain_id: domain_id in (caller.user_domain_id, caller.project_domain_id, caller.domain_id),
)
_PROJECT: Final = _Noun(
    name="project",
    view=project_view,
    list_all=lambda room: room.records.list_projects(),
    get=lambda room, project_id: room.accounts.get_project(project_id),
    create=lambda room, wanted: room.accounts.create_project(wanted),
    update=lambda room, project_id, wanted: room.accounts.update_project(project_id, wanted),
    delete=lambda room, project_id: room.accounts.delete_project(project_id),
    concerns=lambda caller, project_id: project_id == caller.project_id,
)
_USER: Final = _Noun(
    name="user",
    view=user_view,
    list_all=lambda room: room.records.list_users(),
    get=lambda room, user_id: room.accounts.get_user(user_id),
    create=lambda room, wanted: room.accounts.create_user(wanted),
    update=lambda room, user_id, wanted: room.accounts.update_user(user_id, wanted),
    delete=lambda room, user_id: room.accounts.delete_user(user_id),
    concerns=lambda caller, user_id: user_id == caller.user_id,
)
_GROUP: Final = _Noun(
    name="group",
    view=group_view,
    list_all=lambda room: room.records.list_groups(),
    get=lambda room, group_id: room.accounts.get_group(group_id),
    create=lambda room, wanted: room.accounts.create_group(wanted),
    update=lambda room, group_id, wanted: room.accounts.update_group(group_id, wanted),
    delete=lambda room, group_id: room.accounts.delete_group(group_id),
)
_ROLE: Final = _Noun(
    name="role",
    view=role_view,
    list_all=lambda room: room.records.list_roles(),
    get=lambda room, role_id: room.accounts.get_role(role_id),
    create=lambda room, wanted: room.granting.create_role(wanted),
    update=lambda room, role_id, wanted: room.granting.update_role(role_id, wanted),
    delete=lambda room, role_id: room.granting.delete_role(role_id),
)

ROUTES: Final[tuple[Route, ...]] = (
    *_DOMAIN.routes,
    *_PROJECT.routes,
    *_USER.routes,
    *_GROUP.routes,
    *_ROLE.routes,
)
