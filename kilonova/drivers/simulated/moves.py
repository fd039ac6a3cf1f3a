"""How simulated guests move: set aside on one host, taken in on another, confirmed or taken back."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import GuestSpec
from kilonova.drivers.simulated.guests import SimulatedGuests
from kilonova.drivers.simulated.shelf import SimulatedGuest

_ON = (PowerState.RUNNING, PowerState.PAUSED)


class SimulatedMoves(SimulatedGuests):
    """The verbs of ``CanMove``."""

    def prepare_move(self, guest: GuestSpec) -> None:
        """See CanMove."""
        with self._turns.take(guest.uuid):
            self._work("prepare_move", self._sketch(guest))

    def migrate_out(self, uuid: str, *, timeout_seconds: float) -> Mapping[str, Any]:
        """See CanMove. A simulated guest obeys its power button."""
        with self._turns.take(uuid):
            guest, aside = self._find(uuid), self._find_aside(uuid)
            if guest is None and aside is not None:
                return _parcel(aside)
            guest = self._require(uuid)
            self._work("migrate_out", guest)
            self._say(guest, "power button, off")
            self._put_aside(replace(guest, power=PowerState.SHUTDOWN, is_aside=True))
            self._remove(uuid)
            return _parcel(guest)

    def take_in(self, guest: GuestSpec, parcel: Mapping[str, Any], *, power_on: bool) -> None:
        """See CanMove."""
        with self._turns.take(guest.uuid):
            found = self._find(guest.uuid)
            if found is None or found.power is PowerState.NOSTATE:
                if guest.root_gb and guest.root_gb < parcel["root_gb"]:
                    text = f"the root disk cannot shrink from {parcel['root_gb']} to {guest.root_gb} GiB"
                    raise GuestFailure(FaultCause.NOT_SUPPORTED, text)
                found = self._prepare(guest)
                found.boots, found.console = parcel["boots"], list(parcel["console"])
                self._work("take_in", found)
                self._become(found, PowerState.SHUTDOWN, "moved in")
            if power_on and found.power not in _ON:
                self._boot(found)

    def drop_moved(self, uuid: str) -> None:
        """See CanMove."""
        with self._turns.take(uuid):
            guest = self._find(uuid)
            if guest is not None:
                self._work("drop_moved", guest)
                self._remove(uuid)

    def confirm_move(self, uuid: str) -> None:
        """See CanMove."""
        with self._turns.take(uuid):
            aside = self._find_aside(uuid)
            if aside is not None:
                self._work("confirm_move", aside)
                self._remove_aside(uuid)

    def revert_move(self, uuid: str, *, power_on: bool) -> None:
        """See CanMove."""
        with self._turns.take(uuid):
            aside = self._find_aside(uuid)
            if aside is not None:
                self._work("revert_move", aside)
                self._restore(replace(aside, is_aside=False))
                self._remove_aside(uuid)
            guest = self._require(uuid)
            if power_on and guest.power not in _ON:
                self._boot(guest)


def _parcel(guest: SimulatedGuest) -> Mapping[str, Any]:
    return {"root_gb": guest.root_gb, "boots": guest.boots, "console": list(guest.console)}
