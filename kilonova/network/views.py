"""What there is, as Neutron v2.0 shows it: one network with one subnet, a port a NIC, a security group a project."""

from collections.abc import Mapping
from typing import Any, Final

from kilonova.domain.plugs import PluggedServer
from kilonova.domain.ports import Port, addresses_of
from kilonova.network.embedded import FlatNetwork, stable_id
from kilonova.wire.times import zulu

_ONCE: Final = "1970-01-01T00:00:00Z"
"""When everything came into being that was never created."""

_STAMPS: Final = {"created_at": _ONCE, "updated_at": _ONCE, "revision_number": 1}

EXTENSIONS: Final = (
    ("security-group", "security-group", "A security group a project, to be read."),
    ("quotas", "Quota management support", "Limits, to be read."),
    ("router", "Neutron L3 Router", "Empty lists of routers and floating IPs."),
    ("availability_zone", "Availability Zone", "An empty list of zones."),
    ("agent", "agent", "An empty list of agents."),
    ("project-id", "project_id field enabled", "Both project_id and tenant_id in every view."),
    ("standard-attr-timestamp", "Resource timestamps", "created_at and updated_at in every view."),
    ("standard-attr-revisions", "Resource revision numbers", "revision_number in every view."),
    ("standard-attr-tag", "Tag support for resources", "A list of tags, always empty, in every view."),
)

LIMITS: Final = {
    "network": 0,
    "subnet": 0,
    "subnetpool": 0,
    "port": 500,
    "router": 0,
    "floatingip": 0,
    "security_group": 1,
    "security_group_rule": 4,
    "rbac_policy": 0,
}
"""What a project may have: ports made by hand, besides those of its servers, and of all else no more than there is."""


def network_view(network: FlatNetwork) -> dict[str, Any]:
    """The network, which belongs to nobody and is shared with everybody."""
    return {
        "id": network.id,
        "name": network.label,
        **_owned(""),
        "status": "ACTIVE",
        "admin_state_up": True,
        "shared": True,
        "router:external": False,
        "subnets": [network.subnet_id],
        "mtu": 1500,
        "port_security_enabled": False,
        "availability_zone_hints": [],
        "availability_zones": [],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
        "is_default": False,
        "description": "The built-in network, of every server that asks for no other.",
        "tags": [],
        **_STAMPS,
    }


def subnet_view(network: FlatNetwork) -> dict[str, Any]:
    """The subnet of the network."""
    first, last = network.pool
    return {
        "id": network.subnet_id,
        "name": network.label,
        **_owned(""),
        "network_id": network.id,
        "ip_version": 4,
        "cidr": network.cidr,
        "gateway_ip": network.gateway,
        "allocation_pools": [{"start": first, "end": last}],
        "enable_dhcp": True,
        "dns_nameservers": [],
        "host_routes": [],
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        "subnetpool_id": None,
        "segment_id": None,
        "service_types": [],
        "description": "",
        "tags": [],
        **_STAMPS,
    }


def port_views(server: PluggedServer, network: FlatNetwork, kept: Mapping[str, Port]) -> list[dict[str, Any]]:
    """The ports of a server, one a NIC; those that have a record are in ``kept``, by their ids."""
    views = []
    for index, nic in enumerate(server.nics):
        port_id = nic.get("port_id") or network.port_id(server.uuid, index)
        views.append(_plugged_view(server, network, kept.get(port_id) or _following(server, port_id, nic), nic))
    return views


def spare_port_view(port: Port, network: FlatNetwork) -> dict[str, Any]:
    """A port that nothing is plugged into."""
    return {
        **_port_view(port, network),
        "device_id": "",
        "device_owner": "",
        "status": "DOWN",
        "binding:host_id": "",
        "binding:vif_type": "unbound",
    }


def _following(server: PluggedServer, port_id: str, nic: Mapping[str, Any]) -> Port:
    """The port that is there because its server is."""
    return Port(
        id=port_id,
        project_id=server.project_id,
        name="",
        description="",
        mac=nic["mac"],
        addresses=addresses_of(nic),
        device_id=server.uuid,
        is_kept=False,
        created_at=server.created_at,
        updated_at=server.updated_at,
    )


def _plugged_view(server: PluggedServer, network: FlatNetwork, port: Port, nic: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_port_view(port, network),
        "device_id": server.uuid,
        "device_owner": f"compute:{server.availability_zone or 'nova'}",
        "status": "DOWN" if nic.get("is_coming") else "ACTIVE",
        "binding:host_id": server.host or "",
        "binding:vif_type": "other",
    }


def _port_view(port: Port, network: FlatNetwork) -> dict[str, Any]:
    return {
        "id": port.id,
        "name": port.name,
        **_owned(port.project_id),
        "network_id": network.id,
        "mac_address": port.mac,
        "fixed_ips": [{"subnet_id": network.subnet_id, "ip_address": address} for address in port.addresses],
        "admin_state_up": True,
        "binding:vnic_type": "normal",
        "binding:vif_details": {},
        "binding:profile": {},
        "port_security_enabled": False,
        "security_groups": [group_id(port.project_id)],
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "description": port.description,
        "tags": [],
        "created_at": zulu(port.created_at),
        "updated_at": zulu(port.updated_at or port.created_at),
        "revision_number": 1,
    }


def group_id(project_id: str) -> str:
    """The id of a project's only security group."""
    return stable_id("security-group", project_id)


def group_view(project_id: str) -> dict[str, Any]:
    """The security group that every project has; its rules say what is so: nothing is filtered."""
    return {
        "id": group_id(project_id),
        "name": "default",
        **_owned(project_id),
        "description": "Default security group",
        "security_group_rules": rule_views(project_id),
        "stateful": True,
        "shared": False,
        "tags": [],
        **_STAMPS,
    }


def rule_views(project_id: str) -> list[dict[str, Any]]:
    """The four rules of a project's security group: whatever comes and goes may, in both families."""
    return [
        {
            "id": stable_id("security-group-rule", project_id, direction, family),
            **_owned(project_id),
            "security_group_id": group_id(project_id),
            "direction": direction,
            "ethertype": family,
            "protocol": None,
            "port_range_min": None,
            "port_range_max": None,
            "remote_ip_prefix": None,
            "remote_group_id": None,
            "remote_address_group_id": None,
            "normalized_cidr": None,
            "description": "",
            "belongs_to_default_sg": True,
            **_STAMPS,
        }
        for direction in ("egress", "ingress")
        for family in ("IPv4", "IPv6")
    ]


def extension_views() -> list[dict[str, Any]]:
    """What of Neutron's extensions can be read here."""
    return [
        {"alias": alias, "name": name, "description": text, "updated": _ONCE, "links": []}
        for alias, name, text in EXTENSIONS
    ]


def usage_view(ports: int) -> dict[str, dict[str, int]]:
    """What a project with so many ports made by hand may have and has."""
    used = {"port": ports, "security_group": 1, "security_group_rule": 4}
    return {name: {"limit": limit, "used": used.get(name, 0), "reserved": 0} for name, limit in LIMITS.items()}


def versions_view(here: str) -> dict[str, Any]:
    """The one version that is spoken."""
    return {
        "versions": [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": f"{here}/v2.0/"}]}],
    }


def _owned(project_id: str) -> dict[str, str]:
    return {"project_id": project_id, "tenant_id": project_id}
