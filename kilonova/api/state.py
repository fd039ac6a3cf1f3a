"""Our own surface beside Nova's: scheduling decisions, operations to their end, the journal, and health.

Below ``/state/v1`` everything needs a token; times are UTC with microseconds. ``/healthz`` needs none, and names
nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import msgspec

from kilonova.api.call import Call
from kilonova.api.dispatch import Dispatcher, Mount
from kilonova.api.errors import NOT_THERE, envelope
from kilonova.api.frame import Frame, Plan
from kilonova.api.http import MAX_BODY_BYTES, Incoming, Receive, Reply, Scope, Send
from kilonova.api.plane import Plane
from kilonova.api.policy import Policy
from kilonova.api.routes import Router, Target, route
from kilonova.api.schemas.types import NON_NEGATIVE, param, query
from kilonova.api.shape import raw
from kilonova.domain.errors import Invalid, KilonovaError, NotFound
from kilonova.domain.model import InstanceAction, InstanceEvent
from kilonova.identity.caller import Identity
from kilonova.store import decisions, fleet, instances, journal, ledger
from kilonova.store.decisions import KeptDecision
from kilonova.store.journal import Entry
from kilonova.wire.times import zulu_micros
from kilonova.wire.version import NOVA_MAX

_MOUNT: Final = Mount(name="v1", maximum=NOVA_MAX, fixed=NOVA_MAX, has_projects=False)
_HEALTH_TYPE: Final = "application/health+json"
_EVENTS_PAGE: Final = 100
_MOST_EVENTS: Final = 1000
_HIDDEN_FROM_TENANTS: Final = frozenset({"host", "node"})


class StateApi:
    """What Nova has no words for; an ASGI application for ``/state`` and ``/healthz``."""

    def __init__(
        self,
        plane: Plane,
        identity: Identity,
        *,
        policy: Policy | None = None,
        threads: int = 8,
        max_body: int = MAX_BODY_BYTES,
    ) -> None:
        self._plane = plane
        self._frame = Frame(threads=threads, max_body=max_body)
        self._dispatcher = Dispatcher(Router(ROUTES), plane, identity, policy=policy or Policy(), identity_url=None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] == "http":
            await self._frame.serve(self._plan, scope, receive, send)

    def close(self) -> None:
        """Let what is being answered end, and end the threads."""
        self._frame.close()

    def _plan(self, incoming: Incoming) -> Plan:
        if incoming.root.endswith("/healthz") or incoming.path == "/healthz":
            return Plan(answer=lambda: health(self._plane))
        segments = incoming.segments
        if segments and segments[0] == _MOUNT.name:
            return self._dispatcher.plan(incoming, segments[1:], _MOUNT)
        return Plan(answer=lambda: envelope(404, NOT_THERE), is_quick=True)


def health(plane: Plane) -> Reply:
    """Whether the plane can do its work: 200 ``pass`` or ``warn``, 503 ``fail`` (RFC draft health+json)."""
    try:
        with plane.database.read() as connection:
            waiting = journal.pending(connection)
            services = fleet.list_services(connection)
    except KilonovaError as error:
        return _health(503, "fail", {"database": _check("fail", output=error.message)})
    now, down = plane.now(), plane.settings.service_down_seconds
    is_up = {each: each.is_up(now, service_down_seconds=down) for each in services}
    services_state = "pass" if all(is_up.values()) else "warn"
    loops_state = "warn" if plane.troubles else "pass"
    return _health(
        200,
        "warn" if "warn" in (services_state, loops_state) else "pass",
        {
            "database": _check("pass"),
            "journal:pending": _check("pass", observedValue=waiting, observedUnit="rows"),
            "services:up": _check(
                services_state, observedValue=sum(is_up.values()), observedUnit=f"of {len(services)}"
            ),
            "loops:failing": _check(loops_state, observedValue=plane.troubles),
        },
    )


def _health(status: int, state: str, checks: Mapping[str, Any]) -> Reply:
    body = msgspec.json.encode({"status": state, "serviceId": "kilonova", "checks": checks})
    return Reply(status=status, body=body, content_type=_HEALTH_TYPE, headers={"Cache-Control": "no-store"})


def _check(state: str, **facts: Any) -> list[dict[str, Any]]:
    return [{"status": state, **facts}]


def list_decisions(call: Call) -> dict[str, Any]:
    """``GET /state/v1/decisions?server=``: every scheduling attempt of a server with its reasons, oldest first."""
    with call.plane.database.read() as connection:
        found = decisions.list_decisions(connection, _server_asked(call))
    return {"decisions": [_decision(each) for each in found]}


def show_operation(call: Call) -> dict[str, Any]:
    """``GET /state/v1/operations/{request_id}?server=``: one request's operation on a server, and how it ended."""
    uuid = _server_asked(call)
    with call.plane.database.read() as connection:
        instance = instances.get_instance(connection, uuid, include_deleted=True)
        if instance.project_id != call.caller.project_id and not call.is_admin:
            raise NotFound(f"Instance {uuid} could not be found.")
        call.check("kilonova:operations:show", project_id=instance.project_id)
        action = ledger.get_action(connection, uuid, call.params["request_id"])
        events = ledger.list_events(connection, [action.id])[action.id]
    return {"operation": _operation(action, events, is_admin=call.is_admin)}


def list_events(call: Call) -> dict[str, Any]:
    """``GET /state/v1/events?after=&limit=``: the journal from a number on; ``next`` is where to go on from.

    Who is no administrator gets the rows of their own project, without what only an operator may know.
    """
    after, limit = (int(call.first(name) or default) for name, default in (("after", 0), ("limit", _EVENTS_PAGE)))
    limit = min(limit, _MOST_EVENTS)
    sees_all = call.may("kilonova:events:list:all_projects")
    mine = None if sees_all else call.caller.project_id or ""
    with call.plane.database.read() as connection:
        last = journal.head(connection)
        found = journal.list_entries(connection, after_seq=after, limit=limit, project_id=mine)
    reached = max([after, *(row.seq or 0 for row in found)])
    # Fewer than wanted: there is nothing else up to what was the last one before the look.
    onward = reached if len(found) == limit else max(reached, last)
    return {"events": [_event(row, sees_all=sees_all) for row in found], "next": onward, "head": last}


def _server_asked(call: Call) -> str:
    uuid = call.first("server")
    if not uuid:
        raise Invalid("Say which server: ?server=<id>.")
    return uuid


def _decision(kept: KeptDecision) -> dict[str, Any]:
    return {
        "id": kept.id,
        "server": kept.instance_uuid,
        "request_id": kept.request_id,
        "decided_at": zulu_micros(kept.decided_at),
        "candidates": kept.candidates,
        "chosen_host": kept.chosen_host,
        "chosen_node": kept.chosen_node,
        "summary": kept.summary,
        "document": raw(kept.document_json),
    }


def _operation(action: InstanceAction, events: list[InstanceEvent], *, is_admin: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "request_id": action.request_id,
        "server": action.instance_uuid,
        "operation": action.operation,
        "action": action.action,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "is_open": action.is_open,
        "result": action.result,
        "started_at": zulu_micros(action.started_at),
        "updated_at": _moment(action.updated_at),
        "finished_at": _moment(action.finished_at),
        "deadline_at": zulu_micros(action.deadline_at),
        "attempts": action.attempts,
        "events": [_step(event, is_admin=is_admin) for event in events],
    }
    if is_admin:
        shown |= {"host": action.host, "owner": action.owner, "lease_until": _moment(action.lease_until)}
    return shown


def _step(event: InstanceEvent, *, is_admin: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "event": event.event,
        "started_at": zulu_micros(event.started_at),
        "finished_at": _moment(event.finished_at),
        "result": event.result,
    }
    if is_admin:
        shown |= {"host": event.host, "traceback": event.traceback, "details": event.details}
    return shown


def _event(row: Entry, *, sees_all: bool) -> dict[str, Any]:
    shown = asdict(row)
    snapshot, previous, facts = (shown.pop(key) for key in ("snapshot_json", "previous_json", "facts_json"))
    shown |= {"occurred_at": zulu_micros(row.occurred_at), "received_at": _moment(row.received_at)}
    if sees_all:
        return {**shown, "snapshot": raw(snapshot), "previous": raw(previous or "null"), "facts": raw(facts)}
    return {**shown, "snapshot": _for_tenants(snapshot), "previous": _for_tenants(previous)}


def _for_tenants(document: str | None) -> dict[str, Any] | None:
    if document is None:
        return None
    return {key: value for key, value in json.loads(document).items() if key not in _HIDDEN_FROM_TENANTS}


def _moment(instant: int | None) -> str | None:
    return None if instant is None else zulu_micros(instant)


_SERVER: Final = query(param("server"), strict="2.1")

ROUTES: Final = (
    route("GET", "/decisions", list_decisions, policy="kilonova:decisions:list", query=_SERVER),
    route(
        "GET",
        "/operations/{request_id}",
        show_operation,
        policy="kilonova:operations:show",
        target=Target.HANDLER,
        query=_SERVER,
    ),
    route(
        "GET",
        "/events",
        list_events,
        policy="kilonova:events:list",
        query=query(param("after", NON_NEGATIVE), param("limit", NON_NEGATIVE), strict="2.1"),
    ),
)
