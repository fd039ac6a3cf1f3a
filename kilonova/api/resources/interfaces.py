"""``/servers/{id}/os-interface``: where a server is plugged in, and what is plugged in later (contract §11.10)."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from kilonova.api.call import Call, Page
from kilonova.api.routes import Many, One, Route, route
from kilonova.api.schemas.attachments import ATTACH_INTERFACE
from kilonova.api.schemas.types import NOTHING
from kilonova.api.shape import Shape, field
from kilonova.domain.errors import Invalid, NotFound
from kilonova.domain.model import Instance
from kilonova.domain.operations import get_operation
from kilonova.domain.ports import addresses_of
from kilonova.domain.states import VmState
from kilonova.domain.transitions import refusal
from kilonova.network.embedded import FlatNetwork
from kilonova.services.nics import port_id_of

_RULE: Final = "os_compute_api:os-attach-interfaces:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One NIC of a server on the built-in network."""

    port_id: str
    mac: str
    addresses: tuple[str, ...]
    is_active: bool
    tag: str | None


def _addresses(interface: Interface) -> list[dict[str, Any]]:
    return [{"subnet_id": FlatNetwork.subnet_id, "ip_address": address} for address in interface.addresses]


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
    return Page(records=_interfaces(call.server))


def show(call: Call) -> Interface:
    """``GET /servers/{id}/os-interface/{port_id}``."""
    wanted = call.params["port_id"]
    found = _find(call.server, wanted)
    if found is None:
        raise NotFound(f"Instance {call.server.uuid} does not have a port with id {wanted}")
    return found


def attach(call: Call) -> Interface:
    """``POST /servers/{id}/os-interface``: a port that is there, or a new one, with the address that was chosen.

    The answer does not wait for the host: until that has plugged it in, the interface is DOWN.
    """
    wanted = call.body.get("interfaceAttachment", {}) if call.body else {}
    network, port = wanted.get("net_id"), wanted.get("port_id")
    if network and port:
        raise Invalid("Must not input both network_id and port_id")
    if wanted.get("fixed_ips") and not network:
        raise Invalid("Must input network_id when request IP address")
    _check_state(call, "attach_interface")
    if network and network != FlatNetwork.id:
        raise NotFound(f"Network {network} could not be found.")
    (fixed_ip,) = [each.get("ip_address") for each in wanted.get("fixed_ips", ())] or [None]
    asked = {
        "port_id": port or str(uuid4()),
        "is_given": bool(port),
        "fixed_ip": fixed_ip,
        "tag": wanted.get("tag"),
    }
    operation = get_operation("attach_interface")
    server = call.plane.act(call.request, call.server, operation, asked, may_override_lock=call.is_admin)
    return next(each for each in _interfaces(server) if each.port_id == asked["port_id"])


def detach(call: Call) -> None:
    """``DELETE /servers/{id}/os-interface/{port_id}``."""
    _check_state(call, "detach_interface")
    port_id = call.params["port_id"]
    if _find(call.server, port_id) is None:
        raise NotFound(f"Port {port_id} could not be found.")
    operation = get_operation("detach_interface")
    call.plane.act(call.request, call.server, operation, {"port_id": port_id}, may_override_lock=call.is_admin)


def _check_state(call: Call, operation: str) -> None:
    refused = refusal(get_operation(operation), call.server, may_override_lock=call.is_admin)
    if refused:
        raise refused


def _find(server: Instance, port_id: str) -> Interface | None:
    return next((each for each in _interfaces(server) if each.port_id == port_id), None)


def _interfaces(server: Instance) -> list[Interface]:
    """Those that have an address: before a host was chosen, some have none."""
    return [
        Interface(
            port_id=port_id_of(server, place),
            mac=nic["mac"],
            addresses=addresses_of(nic),
            is_active=server.vm_state == VmState.ACTIVE and not nic.get("is_coming"),
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
    route("POST", _PATH, attach, policy=_RULE + "create", body=ATTACH_INTERFACE, returns=One(shape=INTERFACE)),
    route("DELETE", _PATH + "/{port_id}", detach, policy=_RULE + "delete", status=202),
)
