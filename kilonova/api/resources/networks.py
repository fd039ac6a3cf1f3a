"""What Nova told of networks and security groups until 2.35, and tells of those of a server (contract §0.5, §11.10).

There is one network, and one security group a project, both built in; nobody makes or changes one here.
"""

from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.routes import route
from kilonova.api.schemas.types import NOTHING
from kilonova.domain.errors import NotFound
from kilonova.network.embedded import FlatNetwork
from kilonova.network.views import group_id

_API: Final = "os_compute_api:"
_UNTIL: Final = "2.35"
_UNKNOWN: Final = (
    *("cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6"),
    *("created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address"),
    *("vpn_public_port", "vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface"),
    *("multi_host", "priority", "rxtx_base", "mtu", "dhcp_server", "enable_dhcp", "share_address"),
)
"""Keys that meant something to nova-network and have been null since it went."""
_DEFAULT_GROUP: Final = "default"


def networks(call: Call) -> dict[str, Any]:
    """``GET /os-networks``."""
    return {"networks": [_network(call)]}


def network(call: Call) -> dict[str, Any]:
    """``GET /os-networks/{id}``."""
    _check_network(call, "Network not found")
    return {"network": _network(call)}


def project_networks(call: Call) -> dict[str, Any]:
    """``GET /os-tenant-networks``."""
    return {"networks": [_project_network(call)]}


def project_network(call: Call) -> dict[str, Any]:
    """``GET /os-tenant-networks/{id}``."""
    _check_network(call, "Network not found")
    return {"network": _project_network(call)}


def groups(call: Call) -> dict[str, Any]:
    """``GET /os-security-groups``."""
    return {"security_groups": [_group(call.caller.project_id or "")]}


def group(call: Call) -> dict[str, Any]:
    """``GET /os-security-groups/{id}``."""
    own = _group(call.caller.project_id or "")
    if call.params["id"] != own["id"]:
        raise NotFound(f"Security group {call.params['id']} not found.")
    return {"security_group": own}


def groups_of_server(call: Call) -> dict[str, Any]:
    """``GET /servers/{id}/os-security-groups``: a server that is plugged in nowhere has none."""
    return {"security_groups": [_group(call.server.project_id)] if call.server.nics else []}


def _check_network(call: Call, text: str) -> None:
    if call.params["id"] != FlatNetwork.id:
        raise NotFound(text)


def _network(call: Call) -> dict[str, Any]:
    return {"id": FlatNetwork.id, "label": call.plane.settings.network_label, **dict.fromkeys(_UNKNOWN)}


def _project_network(call: Call) -> dict[str, Any]:
    return {"id": FlatNetwork.id, "cidr": "None", "label": call.plane.settings.network_label}


def _group(project_id: str) -> dict[str, Any]:
    return {
        "id": group_id(project_id),
        "description": "Default security group",
        "name": _DEFAULT_GROUP,
        "tenant_id": project_id,
        "rules": [],
    }


ROUTES: Final = (
    route("GET", "/os-networks", networks, policy=_API + "os-networks:list", until=_UNTIL),
    route("GET", "/os-networks/{id}", network, policy=_API + "os-networks:show", until=_UNTIL),
    route("GET", "/os-tenant-networks", project_networks, policy=_API + "os-tenant-networks:list", until=_UNTIL),
    route("GET", "/os-tenant-networks/{id}", project_network, policy=_API + "os-tenant-networks:show", until=_UNTIL),
    route("GET", "/os-security-groups", groups, policy=_API + "os-security-groups:get", until=_UNTIL),
    route("GET", "/os-security-groups/{id}", group, policy=_API + "os-security-groups:show", until=_UNTIL),
    route(
        "GET",
        "/servers/{server_id}/os-security-groups",
        groups_of_server,
        policy=_API + "os-security-groups:list",
        query=NOTHING,
    ),
)
