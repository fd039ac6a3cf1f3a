"""How guests move while they are off: set aside on one host, taken in on another, confirmed or taken back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kilonova.drivers.instances.room import require_memory
from kilonova.drivers.libvirt.hosted import HostedGuests
from kilonova.drivers.protocol import GuestSpec


class LibvirtMoves(HostedGuests):
    """The verbs of ``CanMove``, between state directories of one machine."""

    def prepare_move(self, guest: GuestSpec) -> None:
        """See CanMove."""
        if guest.uuid not in self._guests:  # else its own memory is free by then
            require_memory(guest.memory_mb)

    def migrate_out(self, uuid: str, *, timeout_seconds: float) -> Mapping[str, Any]:
        """See CanMove. What ``take_in`` needs is the place where the guest's disks are."""
        with self._held(uuid) as held:
            kept = self._aside.find(uuid) if held.is_absent else None
            if kept is None:
                held.power_off(timeout_seconds)
                kept = held.set_aside(self._aside)
            return {"directory": str(kept)}

    def take_in(self, guest: GuestSpec, parcel: Mapping[str, Any], *, power_on: bool) -> None:
        """See CanMove."""
        with self._held(guest.uuid) as held:
            held.take_in(guest, Path(parcel["directory"]))
            if power_on:
                held.power_on()

    def drop_moved(self, uuid: str) -> None:
        """See CanMove."""
        with self._held(uuid) as held:
            held.destroy()

    def confirm_move(self, uuid: str) -> None:
        """See CanMove."""
        with self._held(uuid):
            self._aside.drop(uuid)

    def revert_move(self, uuid: str, *, power_on: bool) -> None:
        """See CanMove."""
        with self._held(uuid) as held:
            held.put_back(self._aside)
            if power_on:
                held.power_on()
