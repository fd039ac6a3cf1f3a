"""The built-in network: one flat IPv4 range, in which a server's address follows from its number.

For a server that is plugged in once, by nobody's choice, there is nothing to allocate and nothing to leak: server
number n has the n-th address of the range, and the range is large enough that two living servers share one only after
it went around. Whatever else is plugged in has a port of its own, which gets what is free.
"""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network
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

    def has(self, address: str) -> bool:
        """Whether a server could have this address: it is spelled as one, and in the pool."""
        try:
            wanted = IPv4Address(address)
        except AddressValueError:
            return False
        first, last = self.pool
        return IPv4Address(first) <= wanted <= IPv4Address(last)

    def candidates(self, port_id: str) -> Iterator[str]:
        """Every address that a port of this id could have, once each; the same ones first each time.

        Those come from the upper half of the range, to which numbers lead last.
        """
        usable = self._range.num_addresses - _RESERVED - 1
        half = usable // 2
        start = _number_of(port_id) % (usable - half)
        for step in range(usable):
            yield str(self._range[_RESERVED + (half + start + step) % usable])

    @staticmethod
    def port_mac(port_id: str, attempt: int) -> str:
        """A MAC address for a port of this id, another one at each attempt; far from those of numbers."""
        tail = 0x800000 | (_number_of(f"{port_id}:{attempt}" if attempt else port_id) % 0x800000)
        return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in tail.to_bytes(3, "big"))

    @staticmethod
    def mac(number: int) -> str:
        """The MAC address of server number ``number``, in OpenStack's own range ``fa:16:3e``."""
        return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in (number % 2**24).to_bytes(3, "big"))

    @staticmethod
    def port_id(server_id: str, index: int) -> str:
        """The id of a server's port, by the server's UUID and the place of its NIC among its NICs (from 0)."""
        return stable_id("port", server_id, str(index))


def _number_of(text: str) -> int:
    """The same number for the same text, everywhere."""
    return uuid5(NAMESPACE_URL, text).int
