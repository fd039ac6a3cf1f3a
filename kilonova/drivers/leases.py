"""QEMU's own network of one guest: closed against the host's, with a DHCP that hands out one address."""

import ipaddress


def user_netdev(name: str, address: str | None) -> str:
    """What ``-netdev`` takes; the network is the /24 around the IPv4 address that the guest is given."""
    return f"user,id={name},restrict=on{_lease(address)}"


def _lease(address: str | None) -> str:
    if address is None or ":" in address:
        return ""
    own = ipaddress.IPv4Address(address)
    network = ipaddress.IPv4Network((own, 24), strict=False)
    gateway, resolver = [each for each in (network[1], network[2], network[3]) if each != own][:2]
    return f",net={network},dhcpstart={own},host={gateway},dns={resolver}"
