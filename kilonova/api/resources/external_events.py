"""``/os-server-external-events``: what other services tell of servers (contract §11.2)."""

from typing import Any, Final

from kilonova.api.call import Accepted, Call, Plain
from kilonova.api.routes import route
from kilonova.api.schemas.types import the
from kilonova.api.schemas.validation import Schema
from kilonova.services.external import ExternalEvent
from kilonova.wire.version import Versioned

_ALL: Final = 200
_SOME: Final = 207
_ALWAYS: Final = ("network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted")
_NAMES: Final = {
    "2.1": _ALWAYS,
    "2.51": (*_ALWAYS, "volume-extended"),
    "2.76": (*_ALWAYS, "volume-extended", "power-update"),
    "2.82": (*_ALWAYS, "volume-extended", "power-update", "accelerator-request-bound"),
    "2.93": (*_ALWAYS, "volume-extended", "power-update", "accelerator-request-bound", "volume-reimaged"),
}


def create(call: Call) -> Accepted:
    """``POST /os-server-external-events``: each event with what became of it, 207 where one of them was refused."""
    told = [_taken(call, event) for event in call.body["events"]]
    status = _ALL if all(event["code"] == _ALL for event in told) else _SOME
    return Accepted(body=Plain({"events": told}), status=status)


def _taken(call: Call, said: dict[str, Any]) -> dict[str, Any]:
    event = ExternalEvent(
        name=said["name"],
        server_uuid=said["server_uuid"],
        status=said.get("status", "completed"),
        tag=said.get("tag"),
    )
    code = call.plane.take_event(call.request, event)
    return {**said, "status": event.status if code == _ALL else "failed", "code": code}


def _body(names: tuple[str, ...]) -> Schema:
    event = the(
        {
            "server_uuid": {"type": "string", "format": "uuid"},
            "name": {"type": "string", "enum": list(names)},
            "status": {"type": "string", "enum": ["failed", "completed", "in-progress"]},
            "tag": {"type": "string", "maxLength": 255},
        },
        required=("server_uuid", "name"),
    )
    return Schema(the({"events": {"type": "array", "items": event, "minItems": 1}}, required=("events",)))


ROUTES: Final = (
    route(
        "POST",
        "/os-server-external-events",
        create,
        policy="os_compute_api:os-server-external-events:create",
        body=Versioned[Schema | None](*((since, _body(names)) for since, names in _NAMES.items())),
    ),
)
