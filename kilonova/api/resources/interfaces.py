"""``/servers/{id}/os-interface``: where a server is plugged in; to be read only (contract §11.10)."""

from dataclasses import dataclass
from typing import Any, Final

from kilonova.api.call import Call, Page
from kilonova.api.routes import Many, One, Route, route
from kilonova.api.schemas.types import NOTHING
from kilonova.api.shape import Shape, field
from kilonova.domain.errors import NotFound
from kilonova.domain.states import VmState
from kilonova.network.embedded import FlatNetwork

_RULE: Final = "os_compute_api:os-attach-interfaces:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One NIC of a server on the built-in network."""

    port_id: str
    mac: str
    address: str
    is_active: bool
    tag: str | None


def _addresses(interface: Interface) -> list[dict[str, Any]]:
    return [{"subnet_id": FlatNetwork.subnet_id, "ip_address": interface.address}]


INTERFACE: Final = Shape(
    "interfaceAttachment",
    field("net_id", lambda _: FlatNetwork.id),
    field("port_id", "port_id"),
    field("mac_addr", "mac"),
    field("port_state", lambda interface: "ACTIVE" if interface.is_active else "DOWN"),
    field("fixed_ips", _addresses),
    field("tag", "tag", since="2.70"),
)


def index(call: Call) -> Page:
    """``GET /servers/{id}/os-interface``."""
    return Page(records=_interfaces(call))


def show(call: Call) -> Interface:
    """``GET /servers/{id}/os-interface/{port_id}``."""
    wanted = call.params["port_id"]
    found = next((each for each in _interfaces(call) if each.port_id == wanted), None)
    if found is None:
        raise NotFound(f"Instance {call.server.uuid} does not have a port with id {wanted}")
    return found


def _interfaces(call: Call) -> list[Interface]:
    """Those that a host has plugged in already: before that they have no address."""
    server = call.server
    return [
        Interface(
            port_id=FlatNetwork.port_id(server.uuid, place),
            mac=nic["mac"],
            address=nic["address"],
            is_active=server.vm_state == VmState.ACTIVE,
            tag=nic.get("tag"),
        )
        for place, nic in enumerate(server.nics)
        if "mac" in nic
    ]


_PATH: Final = "/servers/{server_id}/os-interface"

ROUTES: Final[tuple[Route, ...]] = (
    route(
        "GET",
        _PATH,
        index,
        policy=_RULE + "list",
        query=NOTHING,
        returns=Many(shape=INTERFACE, key="interfaceAttachments"),
    ),
    route("GET", _PATH + "/{port_id}", show, policy=_RULE + "show", query=NOTHING, returns=One(shape=INTERFACE)),
)
