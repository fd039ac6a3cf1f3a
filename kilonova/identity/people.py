"""Keystone v3 over HTTP: domains, projects, users, roles and who has which role where."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from starlette.responses import JSONResponse, Response

from kilonova.domain.accounts import Domain, Grant, Project, Role, User
from kilonova.domain.errors import Forbidden, NotFound
from kilonova.identity.call import Call
from kilonova.identity.caller import implied
from kilonova.identity.views import domain_view, grant_view, listing, project_view, role_view, user_view

_T = TypeVar("_T", Domain, Project, Role, User)


def _domains(call: Call) -> Response:
    call.admin("list_domains")
    return _listed(call, "domains", call.room.identity.records.list_domains(), domain_view)


def _domain(call: Call) -> Response:
    domain_id = call.path("id")
    caller = call.caller()
    if not caller.is_admin and domain_id not in (caller.user_domain_id, caller.project_domain_id):
        raise Forbidden("You are not authorized to perform the requested action: identity:get_domain.")
    return JSONResponse({"domain": domain_view(call.room.accounts.get_domain(domain_id), call.here)})


def _projects(call: Call) -> Response:
    call.admin("list_projects")
    return _listed(call, "projects", call.room.identity.records.list_projects(), project_view)


def _project(call: Call) -> Response:
    project_id = call.path("id")
    caller = call.caller()
    if not caller.is_admin and project_id != caller.project_id:
        raise Forbidden("You are not authorized to perform the requested action: identity:get_project.")
    return JSONResponse({"project": project_view(call.room.accounts.get_project(project_id), call.here)})


def _create_project(call: Call) -> Response:
    call.admin("create_project")
    project = call.room.accounts.create_project(call.section("project"))
    return JSONResponse({"project": project_view(project, call.here)}, status_code=201)


def _update_project(call: Call) -> Response:
    call.admin("update_project")
    project = call.room.accounts.update_project(call.path("id"), call.section("project"))
    return JSONResponse({"project": project_view(project, call.here)})


def _delete_project(call: Call) -> Response:
    call.admin("delete_project")
    call.room.accounts.delete_project(call.path("id"))
    return Response(status_code=204)


def _users(call: Call) -> Response:
    call.admin("list_users")
    return _listed(call, "users", call.room.identity.records.list_users(), user_view)


def _user(call: Call) -> Response:
    call.allowed("get_user", user_id=call.path("id"))
    return JSONResponse({"user": user_view(call.room.accounts.get_user(call.path("id")), call.here)})


def _create_user(call: Call) -> Response:
    call.admin("create_user")
    user = call.room.accounts.create_user(call.section("user"))
    return JSONResponse({"user": user_view(user, call.here)}, status_code=201)


def _update_user(call: Call) -> Response:
    call.admin("update_user")
    user = call.room.accounts.update_user(call.path("id"), call.section("user"))
    return JSONResponse({"user": user_view(user, call.here)})


def _change_password(call: Call) -> Response:
    call.allowed("change_password", user_id=call.path("id"))
    call.room.accounts.change_password(call.path("id"), call.section("user"))
    return Response(status_code=204)


def _delete_user(call: Call) -> Response:
    call.admin("delete_user")
    call.room.accounts.delete_user(call.path("id"))
    return Response(status_code=204)


def _projects_of_user(call: Call) -> Response:
    user_id = call.path("id")
    call.allowed("list_user_projects", user_id=user_id)
    call.room.accounts.get_user(user_id)
    return _listed(call, "projects", call.room.accounts.list_projects_of(user_id), project_view)


def _roles(call: Call) -> Response:
    call.admin("list_roles")
    return _listed(call, "roles", call.room.identity.records.list_roles(), role_view)


def _role(call: Call) -> Response:
    call.admin("get_role")
    return JSONResponse({"role": role_view(call.room.accounts.get_role(call.path("id")), call.here)})


def _create_role(call: Call) -> Response:
    call.admin("create_role")
    role = call.room.accounts.create_role(call.section("role"))
    return JSONResponse({"role": role_view(role, call.here)}, status_code=201)


def _roles_on_project(call: Call) -> Response:
    call.admin("list_grants")
    roles = call.room.accounts.list_roles_on(call.path("user_id"), call.path("project_id"))
    return _listed(call, "roles", roles, role_view)


def _grant(call: Call) -> Response:
    call.admin("create_grant")
    call.room.accounts.grant(_named_grant(call))
    return Response(status_code=204)


def _check_grant(call: Call) -> Response:
    call.admin("check_grant")
    grant = _named_grant(call)
    roles = call.room.accounts.list_roles_on(grant.user_id, grant.project_id)
    if all(role.id != grant.role_id for role in roles):
        raise NotFound(f"Could not find role assignment with role: {grant.role_id}.")
    return Response(status_code=204)


def _take_back(call: Call) -> Response:
    call.admin("revoke_grant")
    call.room.accounts.take_back(_named_grant(call))
    return Response(status_code=204)


def _named_grant(call: Call) -> Grant:
    return Grant(user_id=call.path("user_id"), project_id=call.path("project_id"), role_id=call.path("role_id"))


def _assignments(call: Call) -> Response:
    """Who has which role where; ``effective`` adds the implied roles, ``include_names`` the names."""
    user_id, project_id = call.query("user.id"), call.query("scope.project.id")
    call.allowed("list_role_assignments", user_id=user_id)
    if any(key.startswith(("group.", "scope.domain", "scope.system")) for key in call.request.query_params):
        return JSONResponse(listing("role_assignments", [], f"{call.here}/v3/role_assignments"))
    grants = call.room.identity.records.list_grants(user_id=user_id, project_id=project_id)
    if call.asks("effective"):
        grants = _effective(grants, call.room.identity.records.list_roles())
    wanted = call.query("role.id")
    views = [grant_view(grant, call.here) for grant in grants if wanted in (None, grant.role_id)]
    if call.asks("include_names"):
        _add_names(call, views)
    return JSONResponse(listing("role_assignments", views, f"{call.here}/v3/role_assignments"))


def _effective(grants: Sequence[Grant], roles: Sequence[Role]) -> list[Grant]:
    names = {role.id: role.name for role in roles}
    ids = {role.name: role.id for role in roles}
    effective = {
        Grant(user_id=grant.user_id, project_id=grant.project_id, role_id=ids[name])
        for grant in grants
        for name in implied([names[grant.role_id]])
        if name in ids
    }
    return sorted(effective, key=lambda grant: (grant.project_id, grant.user_id, grant.role_id))


def _add_names(call: Call, views: list[dict[str, Any]]) -> None:
    records = call.room.identity.records
    domains = {domain.id: {"id": domain.id, "name": domain.name} for domain in records.list_domains()}
    users = {user.id: user for user in records.list_users()}
    projects = {project.id: project for project in records.list_projects()}
    roles = {role.id: role for role in records.list_roles()}
    for view in views:
        user, project = users[view["user"]["id"]], projects[view["scope"]["project"]["id"]]
        view["user"] |= {"name": user.name, "domain": domains[user.domain_id]}
        view["scope"]["project"] |= {"name": project.name, "domain": domains[project.domain_id]}
        view["role"]["name"] = roles[view["role"]["id"]].name


def _listed(call: Call, noun: str, records: Sequence[_T], view: Callable[[_T, str], dict[str, Any]]) -> Response:
    """A list narrowed by the filters that clients send: name, domain_id, enabled."""
    chosen = [record for record in records if _matches(call, record)]
    url = call.here + str(call.request.url.path).removeprefix(str(call.request.scope.get("root_path", "")))
    return JSONResponse(listing(noun, [view(record, call.here) for record in chosen], url))


def _matches(call: Call, record: Domain | Project | Role | User) -> bool:
    enabled = call.query("enabled")
    return (
        call.query("name") in (None, record.name)
        and call.query("domain_id") in (None, getattr(record, "domain_id", None))
        and (enabled is None or getattr(record, "enabled", True) == (enabled.lower() not in ("false", "0")))
    )


def _no_groups(call: Call) -> Response:
    call.admin("list_groups")
    return JSONResponse(listing("groups", [], f"{call.here}/v3/groups"))


ROUTES: Final[tuple[tuple[str, str, Callable[[Call], Response]], ...]] = (
    ("GET", "/v3/domains", _domains),
    ("GET", "/v3/domains/{id}", _domain),
    ("GET", "/v3/projects", _projects),
    ("POST", "/v3/projects", _create_project),
    ("GET", "/v3/projects/{id}", _project),
    ("PATCH", "/v3/projects/{id}", _update_project),
    ("DELETE", "/v3/projects/{id}", _delete_project),
    ("GET", "/v3/users", _users),
    ("POST", "/v3/users", _create_user),
    ("GET", "/v3/users/{id}", _user),
    ("PATCH", "/v3/users/{id}", _update_user),
    ("DELETE", "/v3/users/{id}", _delete_user),
    ("GET", "/v3/users/{id}/projects", _projects_of_user),
    ("POST", "/v3/users/{id}/password", _change_password),
    ("GET", "/v3/groups", _no_groups),
    ("GET", "/v3/roles", _roles),
    ("POST", "/v3/roles", _create_role),
    ("GET", "/v3/roles/{id}", _role),
    ("GET", "/v3/projects/{project_id}/users/{user_id}/roles", _roles_on_project),
    ("GET", "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}", _check_grant),
    ("PUT", "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}", _grant),
    ("DELETE", "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}", _take_back),
    ("GET", "/v3/role_assignments", _assignments),
)
