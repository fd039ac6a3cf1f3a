"""``/os-services`` and ``/os-availability-zone``: who is at work, and where (contract §1, §2.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from kilonova.api.call import Call, Page
from kilonova.api.resources.zones import Zones, zones_of
from kilonova.api.routes import Many, Route, route
from kilonova.api.schemas.types import NOTHING, STRING, param, query
from kilonova.api.shape import Shape, field
from kilonova.domain.model import Service
from kilonova.store import fleet
from kilonova.wire.times import naive

_HIDDEN: Final = frozenset({"nova-osapi_compute", "nova-metadata"})
"""Services that Nova never lists (contract §1.2)."""


def is_up(service: Service, call: Call) -> bool:
    """Whether the service beat lately, by the control plane's clock as it was when the request came."""
    down = call.plane.settings.service_down_seconds
    return service.is_up(call.request.received_at, service_down_seconds=down)


def state_of(service: Service, call: Call) -> str:
    """``up`` or ``down``."""
    return "up" if is_up(service, call) else "down"


def status_of(service: Service) -> str:
    """``enabled`` or ``disabled``."""
    return "disabled" if service.disabled else "enabled"


def _updated(service: Service) -> str | None:
    return None if service.updated_at is None else naive(service.updated_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """What services are rendered with; worked out once for all of them."""

    call: Call
    zones: Zones


def view_of(call: Call) -> ServiceView:
    """The view for any number of services."""
    return ServiceView(call=call, zones=zones_of(call))


SERVICE: Final = Shape(
    "service",
    field("id", "id", until="2.52"),
    field("id", "uuid", since="2.53"),
    field("binary", "binary"),
    field("host", "host"),
    field("zone", lambda service, view: view.zones.of(service)),
    field("status", status_of),
    field("state", lambda service, view: state_of(service, view.call)),
    field("updated_at", _updated),
    field("disabled_reason", "disabled_reason"),
    field("forced_down", "forced_down", since="2.11"),
)


def index(call: Call) -> Page:
    """``GET /os-services``."""
    found = listed(call, host=call.first("host") or None, binary=call.first("binary") or None)
    return Page(records=found, view=view_of(call))


def listed(call: Call, *, host: str | None = None, binary: str | None = None) -> list[Service]:
    """The services that Nova would list, of one host or binary if wanted."""
    with call.plane.database.read() as connection:
        found = fleet.list_services(connection, host=host, binary=binary)
    return [service for service in found if service.binary not in _HIDDEN]


def zones(call: Call) -> dict[str, Any]:
    """``GET /os-availability-zone``: the zones that servers can be in, without their hosts."""
    internal = call.plane.settings.internal_service_availability_zone
    return _zones(call, hidden=internal, has_hosts=False)


def zones_detail(call: Call) -> dict[str, Any]:
    """``GET /os-availability-zone/detail``: every zone, with its hosts and services."""
    return _zones(call, hidden=None, has_hosts=True)


def _zones(call: Call, *, hidden: str | None, has_hosts: bool) -> dict[str, Any]:
    """A zone is available if one of its services is enabled, be it up or not (contract §2.2)."""
    members: dict[str, list[Service]] = {}
    zones = zones_of(call)
    for service in listed(call):
        members.setdefault(zones.of(service), []).append(service)
    members.pop(hidden or "", None)
    available = {zone: enabled for zone, each in members.items() if (enabled := [s for s in each if not s.disabled])}
    found = [
        _zone(zone, is_available=True, hosts=_hosts(available[zone], call) if has_hosts else None)
        for zone in sorted(available)
    ]
    found += [_zone(zone, is_available=False, hosts=None) for zone in sorted(members) if zone not in available]
    return {"availabilityZoneInfo": found}


def _zone(name: str, *, is_available: bool, hosts: dict[str, Any] | None) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": is_available}, "hosts": hosts}


def _hosts(services: Sequence[Service], call: Call) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for service in services:
        found.setdefault(service.host, {})[service.binary] = {
            "available": is_up(service, call),
            "active": not service.disabled,
            "updated_at": _updated(service),
        }
    return found


ROUTES: Final[tuple[Route, ...]] = (
    route(
        "GET",
        "/os-services",
        index,
        policy="os_compute_api:os-services:list",
        query=query(param("host", STRING), param("binary", STRING), strict="2.75"),
        returns=Many(shape=SERVICE, key="services"),
    ),
    route(
        "GET",
        "/os-availability-zone",
        zones,
        policy="os_compute_api:os-availability-zone:list",
        query=NOTHING,
    ),
    route(
        "GET",
        "/os-availability-zone/detail",
        zones_detail,
        policy="os_compute_api:os-availability-zone:detail",
        query=NOTHING,
    ),
)
