"""Network cards of a QEMU that runs: put in and taken out while its guest goes on."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.leases import user_network
from kilonova.drivers.protocol import Nic

Command = Callable[[str, Mapping[str, Any]], Any]
"""Runs a command of QEMU's monitor and gives what it returned. Raises GuestFailure."""

_FIRST_SLOT: Final = 0x10
_LOOK_SECONDS: Final = 0.1
_DEVICES: Final = "/machine/peripheral"


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a guest is asked to let go of a card, and for how many seconds each time it is waited for that."""

    attempts: int = 8
    seconds: float = 20.0


class Bay(Protocol):
    """Where the cards of a guest are that runs. Everything raises GuestFailure where its QEMU does not do it."""

    def mac_in(self, place: int) -> str | None:
        """The MAC address of the card in this place, empty for one without its network; None where there is none."""
        ...

    def put_in(self, place: int, nic: Nic) -> None:
        """Put a card into a place that is free; none is in after a failure."""
        ...

    def ask_out(self, place: int, nic: Nic) -> None:
        """Ask the guest to let go of a card; no trouble where it is gone, or was asked just now."""
        ...

    def clear(self, place: int) -> None:
        """Remove what is left of a card that the guest let go of."""
        ...


class MonitorBay:
    """Cards on QEMU's own network, by QEMU's monitor, whoever holds the other end of that."""

    def __init__(self, command: Command) -> None:
        self._command = command

    def mac_in(self, place: int) -> str | None:
        """See Bay."""
        found = self._command("qom-list", {"path": _DEVICES})
        if all(each["name"] != name_of(place) for each in found):
            return None
        mac = self._property(place, "mac")
        return mac if mac is None or self._property(place, "netdev") else ""

    def _property(self, place: int, name: str) -> str | None:
        """A property of the card there; None where it has just gone."""
        found: list[str] = []
        with refusals_ignored():
            found.append(self._command("qom-get", {"path": f"{_DEVICES}/{name_of(place)}", "property": name}))
        return found[0] if found else None

    def put_in(self, place: int, nic: Nic) -> None:
        """See Bay."""
        self.clear(place)  # of an attempt that was cut off
        self._command("netdev_add", user_network(name_of(place), nic.address))
        try:
            self._command("device_add", device_of(place, nic))
        except GuestFailure:
            self.clear(place)
            raise

    def ask_out(self, place: int, nic: Nic) -> None:
        """See Bay."""
        del nic
        with refusals_ignored():
            self._command("device_del", {"id": name_of(place)})

    def clear(self, place: int) -> None:
        """See Bay."""
        with refusals_ignored():  # there is none
            self._command("netdev_del", {"id": name_of(place)})


def name_of(place: int) -> str:
    """What QEMU calls the card in this place, and the network behind it."""
    return f"nic{place}"


def slot_of(place: int) -> str:
    """The PCI slot of the card in this place, as QEMU and libvirt spell it."""
    return f"{_FIRST_SLOT + place:#x}"


def device_of(place: int, nic: Nic) -> dict[str, str]:
    """A card on QEMU's own network, as ``-device`` and ``device_add`` take it."""
    name = name_of(place)
    return {
        "driver": "virtio-net-pci",
        "id": name,
        "netdev": name,
        "mac": nic.mac,
        "addr": slot_of(place),
        "romfile": "",
    }


def have_card(bay: Bay, place: int, nic: Nic, patience: Patience) -> None:
    """See that the card is in this place. One that is there instead of it, put in later than we waited, goes first.

    Raises GuestFailure.
    """
    found = bay.mac_in(place)
    if found == nic.mac:
        return
    if found is not None:
        take_out(bay, place, replace(nic, mac=found), patience)
    bay.put_in(place, nic)


def take_out(
    bay: Bay, place: int, nic: Nic, patience: Patience, *, is_awaited: Callable[[], bool] = lambda: False
) -> None:
    """Have the guest let go of the card, if it is in, and take it out.

    Where somebody awaits the guest for something else, such as to destroy it, it is not asked again.

    Raises GuestFailure(GUEST_UNRESPONSIVE) where the guest does not; it may then let go of it at any later time.
    """
    asked = 0
    while bay.mac_in(place) is not None and asked < patience.attempts and not (asked and is_awaited()):
        asked += 1
        bay.ask_out(place, nic)
        until = time.monotonic() + patience.seconds
        while bay.mac_in(place) is not None and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
    if bay.mac_in(place) is not None:
        text = "the server did not let go of its network card, which it has still"
        raise GuestFailure(FaultCause.GUEST_UNRESPONSIVE, text, detail=f"asked {asked} times")
    bay.clear(place)


def see_out(bay: Bay, place: int, nic: Nic) -> bool:
    """Have the guest asked to let go of what is in the card's place, without waiting for it; whether it is out.

    Raises GuestFailure.
    """
    found = bay.mac_in(place)
    if found is not None:
        bay.ask_out(place, replace(nic, mac=found or nic.mac))
        if bay.mac_in(place) is not None:
            return False
    bay.clear(place)
    return True


def refuse_frozen() -> GuestFailure:
    """Why a card cannot be taken out of a guest that stands still."""
    text = "the server is paused, so it cannot let go of its network card; unpause it first"
    return GuestFailure(FaultCause.GUEST_UNRESPONSIVE, text)


def refuse_suspended() -> GuestFailure:
    """Why the cards of a suspended guest stay as they are: what it was doing knows of these alone."""
    return GuestFailure(FaultCause.DRIVER_ERROR, "the server is suspended; its network cards cannot be changed")


@contextlib.contextmanager
def refusals_ignored() -> Iterator[None]:
    """While a refusal is no trouble; that QEMU does not answer, or ended, is."""
    try:
        yield
    except GuestFailure as failure:
        if failure.cause is not FaultCause.DRIVER_ERROR:
            raise
