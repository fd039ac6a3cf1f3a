"""What a server of the estate can be plugged into: ports that nothing is plugged into yet, and free addresses."""

from typing import Any

from tests.compat.golden.estate import Estate


def spare_port(estate: Estate) -> str:
    """A port made by hand."""
    return str(_made(estate)["id"])


def free_address(estate: Estate) -> str:
    """An address that nothing has."""
    port = _made(estate)
    estate.must("DELETE", f"//network/v2.0/ports/{port['id']}")
    return str(port["fixed_ips"][0]["ip_address"])


def _made(estate: Estate) -> dict[str, Any]:
    made = estate.must("POST", "//network/v2.0/ports", {"port": {"network_id": estate.network()}})
    found: dict[str, Any] = made["port"]
    return found
