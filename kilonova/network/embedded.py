"""The built-in network: one flat IPv4 range, in which a server's address follows from its number.

There is nothing to allocate and nothing to leak: server number n has the n-th address of the range, and the range
is large enough that two living servers share one only after it went around.
"""

from ipaddress import IPv4Network
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from kilonova.domain.errors import SettingsUnusable

_RESERVED: Final = 16
"""Addresses at the low end that the hypervisor's own network keeps: gateway, name server, and the like."""


def stable_id(*parts: str) -> str:
    """The UUID of what has no record of its own: the same in every process and after every restart."""
    return str(uuid5(NAMESPACE_URL, ":".join(("kilonova", *parts))))


class FlatNetwork:
    """Gives MAC and IP addresses of one range. ``label`` is the name that clients see in ``addresses``.

    ``id`` and ``subnet_id`` are the same for every such network, whatever it is called: it is the only one.
    """

    id: Final = stable_id("network")
    subnet_id: Final = stable_id("subnet")

    def __init__(self, *, label: str = "private", cidr: str = "10.77.0.0/16") -> None:
        try:
            self._range = IPv4Network(cidr)
        except ValueError as error:
            raise SettingsUnusable(f"The network {cidr!r} is not an IPv4 range: {error}") from error
        if self._range.num_addresses < 2 * _RESERVED:
            raise SettingsUnusable(f"The network {cidr} is too small: it takes at least {2 * _RESERVED} addresses.")
        self.label = label

    @property
    def cidr(self) -> str:
        """The range, such as ``10.77.0.0/16``."""
        return str(self._range)

    @property
    def gateway(self) -> str:
        """The address that guests are told to be their router."""
        return str(self._range[1])

    @property
    def pool(self) -> tuple[str, str]:
        """The first and the last address that a server can have."""
        return str(self._range[_RESERVED]), str(self._range[-2])

    def address(self, number: int) -> str:
        """The address of server number ``number``."""
        usable = self._range.num_addresses - _RESERVED - 1
        return str(self._range[_RESERVED + number % usable])

    @staticmethod
    def mac(number: int) -> str:
        """The MAC address of server number ``number``, in OpenStack's own range ``fa:16:3e``."""
        return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in (number % 2**24).to_bytes(3, "big"))

    @staticmethod
    def port_id(server_id: str, index: int) -> str:
        """The id of a server's port, by the server's UUID and the place of its NIC among its NICs (from 0)."""
        return stable_id("port", server_id, str(index))
