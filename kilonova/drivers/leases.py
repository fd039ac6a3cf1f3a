"""QEMU's own network of one guest: closed against the host's, with a DHCP that hands out one address."""

import ipaddress
from typing import Any


def user_network(name: str, address: str | None) -> dict[str, Any]:
    """What ``netdev_add`` takes; the network is the /24 around the IPv4 address that the guest is given."""
    return {"type": "user", "id": name, "restrict": True, **_lease(address)}


def user_netdev(name: str, address: str | None) -> str:
    """The same network as ``-netdev`` takes it."""
    words = user_network(name, address)
    kind = words.pop("type")
    return ",".join((kind, *(f"{key}={'on' if value is True else value}" for key, value in words.items())))


def _lease(address: str | None) -> dict[str, str]:
    if address is None or ":" in address:
        return {}
    own = ipaddress.IPv4Address(address)
    network = ipaddress.IPv4Network((own, 24), strict=False)
    gateway, resolver = [str(each) for each in (network[1], network[2], network[3]) if each != own][:2]
    return {"net": str(network), "dhcpstart": str(own), "host": gateway, "dns": resolver}
