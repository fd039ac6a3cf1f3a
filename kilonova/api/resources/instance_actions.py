"""``/servers/{id}/os-instance-actions``: what was asked of a server, and how far it came (contract §7)."""

from dataclasses import dataclass
from typing import Any, Final

from kilonova.api.call import Call, Page, Shown
from kilonova.api.paging import cut
from kilonova.api.resources.server_views import host_id
from kilonova.api.routes import Many, One, route
from kilonova.api.schemas.servers import INSTANCE_ACTIONS
from kilonova.api.schemas.types import NOTHING
from kilonova.api.shape import Field, Shape, field
from kilonova.domain.errors import Invalid
from kilonova.domain.model import InstanceAction, InstanceEvent
from kilonova.store import ledger
from kilonova.wire.times import naive, parse_iso
from kilonova.wire.version import Versioned

_RULE: Final = "os_compute_api:os-instance-actions:"
_EVENTS: Final = _RULE + "events"
_DETAILS: Final = _RULE + "events:details"
_OF_DELETED: Final = Versioned(("2.1", False), ("2.21", True))


def _moment(instant: int | None) -> str | None:
    return None if instant is None else naive(instant)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionView:
    """An action's events with what they are rendered by; ``project_id`` is whose host ids are shown."""

    call: Call
    events: list[InstanceEvent]
    project_id: str


EVENT: Final = Shape(
    "event",
    field("event", "event"),
    field("start_time", lambda event: _moment(event.started_at)),
    field("finish_time", lambda event: _moment(event.finished_at)),
    field("result", "result"),
    field("traceback", "traceback", when=_EVENTS),
    field("host", "host", since="2.62", when=_EVENTS),
    field("hostId", lambda event, view: host_id(view.project_id, event.host), since="2.62"),
    field("details", "details", since="2.84", when=_DETAILS),
)


def _events(action: InstanceAction, view: ActionView) -> list[Any]:
    del action
    call = view.call
    granted = call.policy.granted(EVENT.rules, call.caller, project_id=call.server.project_id)
    render = EVENT.at(call.version, granted)
    return [render(event, view) for event in view.events]


_COMMON: Final[tuple[Field, ...]] = (
    field("action", "action"),
    field("instance_uuid", "instance_uuid"),
    field("request_id", "request_id"),
    field("user_id", "user_id"),
    field("project_id", "project_id"),
    field("start_time", lambda action: _moment(action.started_at)),
    field("message", "message"),
    field("updated_at", lambda action: _moment(action.updated_at), since="2.58"),
)
BRIEF: Final = Shape("instanceAction", *_COMMON)
FULL: Final = Shape(
    "instanceAction",
    *_COMMON,
    field("events", _events, until="2.50", when=_EVENTS),
    field("events", _events, since="2.51"),
)


def index(call: Call) -> Page:
    """``GET /servers/{id}/os-instance-actions``, newest first."""
    since, before = _instant(call, "changes-since"), _instant(call, "changes-before")
    if since is not None and before is not None and since > before:
        raise Invalid("The value of changes-since must be less than or equal to changes-before.")
    with call.plane.database.read() as connection:
        found = ledger.list_actions(connection, call.server.uuid)
    found = [each for each in found if _is_within(each.updated_at, since, before)]
    return cut(call, found, id_of=lambda action: action.request_id, missing="Marker None could not be found.")


def show(call: Call) -> Shown:
    """``GET /servers/{id}/os-instance-actions/{request_id}``."""
    with call.plane.database.read() as connection:
        action = ledger.get_action(connection, call.server.uuid, call.params["request_id"])
        events = ledger.list_events(connection, [action.id])[action.id]
    project_id = action.project_id or call.server.project_id
    return Shown(record=action, view=ActionView(call=call, events=events, project_id=project_id))


def _instant(call: Call, name: str) -> int | None:
    text = call.first(name)
    return None if text is None else parse_iso(text)


def _is_within(moment: int | None, since: int | None, before: int | None) -> bool:
    if since is None and before is None:
        return True
    return moment is not None and (since is None or moment >= since) and (before is None or moment <= before)


ROUTES: Final = (
    route(
        "GET",
        "/servers/{server_id}/os-instance-actions",
        index,
        policy=_RULE + "list",
        query=INSTANCE_ACTIONS,
        sees_deleted=_OF_DELETED,
        returns=Many(shape=BRIEF, key="instanceActions", links="links"),
    ),
    route(
        "GET",
        "/servers/{server_id}/os-instance-actions/{request_id}",
        show,
        policy=_RULE + "show",
        query=NOTHING,
        sees_deleted=_OF_DELETED,
        returns=One(shape=FULL),
    ),
)
