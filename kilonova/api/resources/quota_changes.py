"""Limits set and taken back: of a project, of a user in it, of a class (contract §4.3, §4.4)."""

from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.quotas import project_of
from kilonova.api.resources.limits import BY_USER, QUOTA_CLASS, QUOTA_SET, Allowance
from kilonova.api.routes import One, Target, route
from kilonova.api.schemas import quotas as schemas
from kilonova.api.schemas.types import integer, truth
from kilonova.domain.errors import Invalid
from kilonova.domain.quota import UNLIMITED, check_limit
from kilonova.store import quotas
from kilonova.store.database import Transaction
from kilonova.store.project_counts import count_used
from kilonova.store.quotas import lock_project
from kilonova.store.schema import Name

_SETS: Final = "os_compute_api:os-quota-sets:"
_CLASSES: Final = "os_compute_api:os-quota-class-sets:"


def update(call: Call) -> Allowance:
    """``PUT /os-quota-sets/{project_id}``: the limits as they then are; nothing is set where one cannot be."""
    project_id, user_id = project_of(call), call.first("user_id") or None
    wanted = dict(call.body["quota_set"])
    is_forced = truth(wanted.pop("force", False))
    limits = _numbers(wanted)
    defaults = call.plane.settings.limits

    def work(tx: Transaction) -> Allowance:
        lock_project(tx, project_id)
        if not is_forced:
            _check(tx, call, project_id, user_id, limits)
        if limits:
            quotas.set_limits(tx, project_id, limits, request=call.request, user_id=user_id)
        now = quotas.get_limits(tx.connection, defaults, project_id, user_id)
        return Allowance(project_id=project_id, limits=now.effective, used={})

    return call.plane.database.run(work)


def remove(call: Call) -> None:
    """``DELETE /os-quota-sets/{project_id}``: the project's limits and its users', or only one user's."""
    project_id, user_id = _short(call.params["project_id"]), call.first("user_id") or None
    call.plane.database.run(lambda tx: quotas.remove_limits(tx, project_id, request=call.request, user_id=user_id))


def update_class(call: Call) -> Allowance:
    """``PUT /os-quota-class-sets/{name}``: of all names only ``default`` limits anybody."""
    name = _short(call.params["name"])
    limits = _numbers(call.body["quota_class_set"])
    defaults = call.plane.settings.limits

    def work(tx: Transaction) -> Allowance:
        if limits:
            quotas.set_class_limits(tx, name, limits, request=call.request)
        return Allowance(project_id=name, limits=quotas.get_class_limits(tx.connection, defaults, name), used={})

    return call.plane.database.run(work)


def _check(tx: Transaction, call: Call, project_id: str, user_id: str | None, limits: dict[str, int]) -> None:
    """Invalid for the first limit that is less than what is used, or more than there is to hand out."""
    used = count_used(tx.connection, project_id, user_id)
    handed = {} if user_id else quotas.sum_user_limits(tx.connection, project_id)
    most = quotas.get_limits(tx.connection, call.plane.settings.limits, project_id).project if user_id else {}
    for name, limit in limits.items():
        least = max(used.get(name, 0), handed.get(name, 0))
        check_limit(name, limit, least=least, most=most.get(name, UNLIMITED))


def _numbers(wanted: dict[str, Any]) -> dict[str, int]:
    return {name: integer(name, value, least=UNLIMITED) for name, value in wanted.items()}


def _short(name: str) -> str:
    """A name from the path. Invalid for one that is longer than any database keeps."""
    if len(name) > (Name.length or 0):
        raise Invalid(f"{name[:32]}… is too long.")
    return name


_BOTH: Final = "/os-quota-sets/{project_id}"

ROUTES: Final = (
    route(
        "PUT",
        _BOTH,
        update,
        policy=_SETS + "update",
        target=Target.CALLER,
        body=schemas.PROJECT,
        query=BY_USER,
        returns=One(shape=QUOTA_SET.without("quota_set", "id")),
    ),
    route("DELETE", _BOTH, remove, policy=_SETS + "delete", query=BY_USER, status=202),
    route(
        "PUT",
        "/os-quota-class-sets/{name}",
        update_class,
        policy=_CLASSES + "update",
        body=schemas.CLASS,
        returns=One(shape=QUOTA_CLASS.without("quota_class_set", "id")),
    ),
)
