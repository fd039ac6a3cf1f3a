"""What administrators do to services: enable, disable, force down, remove (contract §1.3, §1.4)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kilonova.api.call import Call, Shown
from kilonova.api.resources.services import SERVICE, view_of
from kilonova.api.resources.zones import COMPUTE
from kilonova.api.routes import One, Route, route
from kilonova.api.schemas.services import UPDATE
from kilonova.api.schemas.types import MOST, truth
from kilonova.api.schemas.validation import is_uuid
from kilonova.domain.errors import Conflict, Invalid, NotFound
from kilonova.domain.model import Service
from kilonova.store import aggregates, fleet, moves
from kilonova.store.database import Connection
from kilonova.store.fleet import ServiceValues
from kilonova.wire.version import Versioned

_RULE: Final = "os_compute_api:os-services:"
_NOT_INTEGER: Final = "Invalid input received: id must be an integer"
_IN_USE: Final = "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."
_NOTHING_WANTED: Final = "No updates were requested. Fields 'status' or 'forced_down' should be specified."

_Asked = Callable[[Mapping[str, Any]], tuple[ServiceValues, dict[str, Any]]]
"""What an action of old writes, and what of it the answer tells."""


def _enable(_: Mapping[str, Any]) -> tuple[ServiceValues, dict[str, Any]]:
    return {"disabled": False, "disabled_reason": None}, {"status": "enabled"}


def _disable(_: Mapping[str, Any]) -> tuple[ServiceValues, dict[str, Any]]:
    """A reason that comes along is not kept: there is an action of its own for that (contract §1.3)."""
    return {"disabled": True, "disabled_reason": None}, {"status": "disabled"}


def _disable_log_reason(body: Mapping[str, Any]) -> tuple[ServiceValues, dict[str, Any]]:
    reason = body.get("disabled_reason")
    if reason is None:
        raise Invalid("Missing disabled reason field")
    return {"disabled": True, "disabled_reason": reason}, {"status": "disabled", "disabled_reason": reason}


def _force_down(body: Mapping[str, Any]) -> tuple[ServiceValues, dict[str, Any]]:
    if "forced_down" not in body:
        raise Invalid("Missing forced_down field")
    forced_down = truth(body["forced_down"])
    return {"forced_down": forced_down}, {"forced_down": forced_down}


_FIRST_ACTIONS: Final[dict[str, _Asked]] = {
    "enable": _enable,
    "disable": _disable,
    "disable-log-reason": _disable_log_reason,
}
_ACTIONS: Final = Versioned[dict[str, _Asked]](
    ("2.1", _FIRST_ACTIONS), ("2.11", {**_FIRST_ACTIONS, "force-down": _force_down})
)


def act(call: Call) -> dict[str, Any]:
    """``PUT /os-services/{action}``, until 2.52."""
    asked = _ACTIONS.at(call.version).get(call.params["id"])
    if asked is None:
        raise NotFound("Unknown action")
    values, told = asked(call.body)
    host, binary = call.body["host"], call.body["binary"]
    _check_binary(binary)
    with call.plane.database.transaction() as tx:
        service = fleet.find_service(tx.connection, binary, host)
        if service is None:
            raise NotFound(f"Host '{host}' is not mapped to any cell")
        _check_cleared(tx.connection, host, values)
        fleet.change_service(tx, service.uuid, request=call.request, **values)
    return {"service": {"host": host, "binary": binary, **told}}


def update(call: Call) -> Shown:
    """``PUT /os-services/{uuid}``, from 2.53."""
    uuid = _uuid(call)
    with call.plane.database.transaction() as tx:
        service = fleet.get_service(tx.connection, uuid)
        _check_binary(service.binary)
        values = _wanted(call.body)
        _check_cleared(tx.connection, service.host, values)
        changed = fleet.change_service(tx, uuid, request=call.request, **values)
    return Shown(record=changed, view=view_of(call))


def _check_cleared(connection: Connection, host: str, values: ServiceValues) -> None:
    """Invalid for a host that is to count as up while it may still run what was evacuated from it (contract §1.4)."""
    if values.get("forced_down") is False and moves.has_left_guests(connection, host):
        raise Invalid(
            f"Host {host} still has guests of servers that were evacuated from it; "
            "start its compute service, which removes them, and try again."
        )


def delete_by_number(call: Call) -> None:
    """``DELETE /os-services/{id}``, until 2.52."""
    text = call.params["id"]
    try:
        number = int(text)
    except ValueError:
        raise Invalid(_NOT_INTEGER) from None
    _remove(call, lambda connection: fleet.find_service_by_id(connection, number) if abs(number) <= MOST else None)


def delete(call: Call) -> None:
    """``DELETE /os-services/{uuid}``, from 2.53."""
    uuid = _uuid(call)
    _remove(call, lambda connection: fleet.find_service_by_uuid(connection, uuid))


def _remove(call: Call, find: Callable[[Connection], Service | None]) -> None:
    with call.plane.database.transaction() as tx:
        service = find(tx.connection)
        if service is None:
            raise NotFound(f"Service {call.params['id']} not found.")
        if service.binary == COMPUTE:
            aggregates.forget_host(tx, service.host, request=call.request)
            if not fleet.remove_nodes(tx, service.host, request=call.request):
                raise Conflict(_IN_USE)
        fleet.remove_service(tx, service, request=call.request)


def _wanted(body: Mapping[str, Any]) -> ServiceValues:
    """What a body of 2.53 asks for. Invalid where it contradicts itself, or asks for nothing (contract §1.4)."""
    values: ServiceValues = {}
    if body.get("status") == "enabled" and body.get("disabled_reason"):
        raise Invalid("Specifying 'disabled_reason' with status 'enabled' is invalid.")
    if "status" in body:
        values["disabled"] = body["status"] == "disabled"
        values["disabled_reason"] = body.get("disabled_reason")
    if "forced_down" in body:
        values["forced_down"] = truth(body["forced_down"])
    if not values:
        raise Invalid(_NOTHING_WANTED)
    return values


def _uuid(call: Call) -> str:
    uuid = call.params["id"]
    if not is_uuid(uuid):
        raise Invalid(f"Invalid uuid {uuid}")
    return uuid


def _check_binary(binary: str) -> None:
    if binary != COMPUTE:
        raise Invalid(f"Updating a {binary} service is not supported. Only nova-compute services can be updated.")


ROUTES: Final[tuple[Route, ...]] = (
    route("PUT", "/os-services/{id}", act, policy=_RULE + "update", until="2.52", body=UPDATE),
    route(
        "PUT",
        "/os-services/{id}",
        update,
        policy=_RULE + "update",
        since="2.53",
        body=UPDATE,
        returns=One(shape=SERVICE),
    ),
    route("DELETE", "/os-services/{id}", delete_by_number, policy=_RULE + "delete", until="2.52", status=204),
    route("DELETE", "/os-services/{id}", delete, policy=_RULE + "delete", since="2.53", status=204),
)
