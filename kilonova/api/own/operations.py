"""``/state/v1/operations``: what was asked for, and how it ended; ``/state/v1/stuck``: what never will."""

from collections.abc import Sequence
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.own.parts import moment
from kilonova.api.routes import Target, route
from kilonova.api.schemas.types import NON_NEGATIVE, param, query
from kilonova.domain.errors import NotFound
from kilonova.domain.faults import find_cause
from kilonova.domain.model import Instance, InstanceAction, InstanceEvent
from kilonova.store import instances, ledger, stuck
from kilonova.store.database import Connection
from kilonova.store.instances import InstanceQuery
from kilonova.wire.times import zulu_micros

_MOST: Final = 1000
_SHOW: Final = "kilonova:operations:show"


def show_operation(call: Call) -> dict[str, Any]:
    """``GET /state/v1/operations/{request_id}?server=``: what one request asked of servers, and how it ended."""
    wanted, server = call.params["request_id"], call.first("server")
    with call.plane.database.read() as connection:
        if server is not None and not _may_see(call, instances.find_instance(connection, server, include_deleted=True)):
            raise NotFound(f"Instance {server} could not be found.")
        found = ledger.list_request_actions(connection, wanted, limit=_MOST)
        shown = _visible(call, connection, [each for each in found if server in (None, each.instance_uuid)])
    if not shown:
        raise NotFound(f"Operation {wanted} could not be found.")
    return {"request_id": wanted, "operations": shown}


def list_operations(call: Call) -> dict[str, Any]:
    """``GET /state/v1/operations?after=&limit=``: what is under way or waits, oldest first; ``next`` goes on."""
    after, limit = (int(call.first(name) or default) for name, default in (("after", 0), ("limit", _MOST)))
    mine = None if call.sees_all else call.caller.project_id or ""
    with call.plane.database.read() as connection:
        found = ledger.list_unfinished_actions(connection, project_id=mine, after_id=after, limit=min(limit, _MOST))
        shown = _visible(call, connection, found)
    return {"operations": shown, "next": max([after, *(action.id for action in found)])}


def list_stuck(call: Call) -> dict[str, Any]:
    """``GET /state/v1/stuck``: task states and steps that nobody will end. Never any; or there is a defect."""
    with call.plane.database.read() as connection:
        found = stuck.list_stuck(
            connection, now=call.plane.now(), grace_seconds=call.plane.settings.stuck_after_seconds, limit=_MOST
        )
    return {
        "stuck": [
            {
                "kind": each.kind,
                "server": each.instance_uuid,
                "request_id": each.request_id,
                "what": each.what,
                "since": moment(each.since),
            }
            for each in found
        ],
        "count": len(found),
    }


def _visible(call: Call, connection: Connection, found: Sequence[InstanceAction]) -> list[dict[str, Any]]:
    """Those of the operations that the caller may see, with their events."""
    query = InstanceQuery(equals={"uuid": frozenset(each.instance_uuid for each in found)}, deleted=None)
    servers = {server.uuid: server for server in instances.list_instances(connection, query)} if found else {}
    mine = [each for each in found if _may_see(call, servers.get(each.instance_uuid))]
    ids = [each.id for each in mine]
    events = ledger.list_events(connection, ids)
    return [
        {
            **_operation(each, servers[each.instance_uuid], is_admin=call.sees_all),
            "events": [_step(event, is_admin=call.sees_all) for event in events[each.id]],
        }
        for each in mine
    ]


def _may_see(call: Call, server: Instance | None) -> bool:
    if server is None or (server.project_id != call.caller.project_id and not call.sees_all):
        return False
    call.check(_SHOW, project_id=server.project_id)
    return True


def _operation(action: InstanceAction, server: Instance, *, is_admin: bool) -> dict[str, Any]:
    cause = find_cause(action.cause or "")
    shown: dict[str, Any] = {
        "request_id": action.request_id,
        "server": action.instance_uuid,
        "operation": action.operation,
        "action": action.action,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "is_open": action.is_open,
        "result": action.result,
        "progress": _progress(action, server),
        "cause": cause and {"code": cause.code, "title": cause.title, "remedy": cause.remedy},
        "started_at": zulu_micros(action.started_at),
        "updated_at": moment(action.updated_at),
        "finished_at": moment(action.finished_at),
        "deadline_at": zulu_micros(action.deadline_at),
        "attempts": action.attempts,
    }
    if is_admin:
        shown |= {"host": action.host, "owner": action.owner, "lease_until": moment(action.lease_until)}
    return shown


def _progress(action: InstanceAction, server: Instance) -> int | None:
    """In percent: what the server says while it goes on, all of it after success, unknown after a failure."""
    if action.is_open:
        return min(server.progress, 99)
    return 100 if action.result == "Success" else None


def _step(event: InstanceEvent, *, is_admin: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "event": event.event,
        "started_at": zulu_micros(event.started_at),
        "finished_at": moment(event.finished_at),
        "result": event.result,
    }
    if is_admin:
        shown |= {"host": event.host, "traceback": event.traceback, "details": event.details}
    return shown


ROUTES: Final = (
    route(
        "GET",
        "/operations",
        list_operations,
        policy=_SHOW,
        query=query(param("after", NON_NEGATIVE), param("limit", NON_NEGATIVE), strict="2.1"),
    ),
    route(
        "GET",
        "/operations/{request_id}",
        show_operation,
        policy=_SHOW,
        target=Target.HANDLER,
        query=query(param("server"), strict="2.1"),
    ),
    route("GET", "/stuck", list_stuck, policy="kilonova:stuck:list", query=query(strict="2.1")),
)
