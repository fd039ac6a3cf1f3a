"""``/state/v1/servers/{id}/conditions`` and ``…/projects/{id}/conditions``: what is the case, why, since when."""

from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.routes import Target, route
from kilonova.api.schemas.types import query
from kilonova.domain.conditions import Condition, Watch, shown
from kilonova.domain.server_conditions import project_conditions, server_conditions
from kilonova.domain.states import VmState
from kilonova.services.server_facts import facts_of
from kilonova.store import conditions, instances
from kilonova.store.instances import InstanceQuery
from kilonova.store.quotas import get_limits
from kilonova.wire.times import zulu_micros

_SHOW: Final = "kilonova:conditions:show"


def of_server(call: Call) -> dict[str, Any]:
    """``GET /state/v1/servers/{server_id}/conditions``."""
    settings, now = call.plane.settings, call.plane.now()
    watch = Watch(late_seconds=settings.service_late_seconds, down_seconds=settings.service_down_seconds)
    with call.plane.database.read() as connection:
        kept = conditions.list_conditions(connection, "server", [call.server.uuid]).get(call.server.uuid, [])
        found = server_conditions(facts_of(connection, call.server, watch, now=now), now=now)
    since = {(each.type, each.status): each.since for each in kept}
    return {"conditions": [_shown(each, since.get((each.type, each.status))) for each in found]}


def of_project(call: Call) -> dict[str, Any]:
    """``GET /state/v1/projects/{project_id}/conditions``: of the caller's own, or to an administrator of any."""
    project_id = call.params["project_id"]
    call.check(_SHOW, project_id=project_id)
    with call.plane.database.read() as connection:
        used = instances.project_usage(connection, project_id)
        limits = get_limits(connection, call.plane.settings.limits, project_id).project
        query_ = InstanceQuery(project_id=project_id, vm_states=frozenset({VmState.ERROR}))
        in_error = len(instances.list_instances(connection, query_))
    counts = {"instances": used.instances, "cores": used.cores, "ram": used.ram}
    found = project_conditions(counts, limits, in_error=in_error)
    return {"conditions": [_shown(each) for each in found]}


def _shown(condition: Condition, since: int | None = None) -> dict[str, Any]:
    told = shown(condition, moment=zulu_micros)
    return {**told, "since": told["since"] or (zulu_micros(since) if since else None)}


ROUTES: Final = (
    route("GET", "/servers/{server_id}/conditions", of_server, policy=_SHOW, query=query(strict="2.1")),
    route(
        "GET",
        "/projects/{project_id}/conditions",
        of_project,
        policy=_SHOW,
        target=Target.HANDLER,
        query=query(strict="2.1"),
    ),
)
