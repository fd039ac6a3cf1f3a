"""How simulated guests move while they run: in a few parts of their memory, that a client can watch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import GuestSpec, Tell
from kilonova.drivers.simulated.guests import Sending, SimulatedGuests, require_power
from kilonova.drivers.simulated.script import read_script
from kilonova.drivers.simulated.shelf import SimulatedGuest

_PARTS: Final = 8
"""Of the memory, after each of which is told how far it is."""
_MIB: Final = 2**20
_GIB: Final = 2**30


class SimulatedLiveMoves(SimulatedGuests):
    """The verbs of ``CanLiveMigrate``."""

    def check_live_destination(self, guest: GuestSpec) -> None:
        """See CanLiveMigrate."""
        with self._turns.take(guest.uuid):
            self._work("check_live_destination", self._sketch(guest))

    def check_live_source(self, uuid: str) -> None:
        """See CanLiveMigrate."""
        with self._turns.take(uuid):
            if self._find(uuid) is None and self._find_aside(uuid) is not None:
                return
            guest = self._require(uuid)
            require_power(guest)
            self._work("check_live_source", guest)

    def prepare_live(self, guest: GuestSpec) -> Mapping[str, Any]:
        """See CanLiveMigrate. What is made ready is a half-made guest."""
        with self._turns.take(guest.uuid):
            if self._find(guest.uuid) is None:
                self._work("prepare_live", self._prepare(guest))
        return {"simulated": True}

    def cancel_live(self, uuid: str) -> None:
        """See CanLiveMigrate."""
        with self._turns.take(uuid):
            guest = self._find(uuid)
            if guest is not None and guest.power is PowerState.NOSTATE:
                self._remove(uuid)

    def live_migrate(self, uuid: str, target: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
        """See CanLiveMigrate."""
        with self._turns.take(uuid):
            guest, aside = self._find(uuid), self._find_aside(uuid)
            if guest is None and aside is not None:
                return _parcel(aside)
            guest = self._require(uuid)
            require_power(guest)
            self._send(guest, tell)
            self._put_aside(replace(guest, is_aside=True))
            self._remove(uuid)
            return _parcel(guest)

    def stay(self, uuid: str) -> None:
        """See CanLiveMigrate."""
        with self._turns.take(uuid):
            aside = self._find_aside(uuid)
            if aside is not None and self._find(uuid) is None:
                self._restore(replace(aside, is_aside=False))
            self._remove_aside(uuid)

    def arrive(self, guest: GuestSpec, parcel: Mapping[str, Any]) -> None:
        """See CanLiveMigrate."""
        with self._turns.take(guest.uuid):
            found = self._find(guest.uuid)
            if found is not None and found.power is not PowerState.NOSTATE:
                return
            found = found or self._prepare(guest)
            found.boots, found.console = parcel["boots"], list(parcel["console"])
            self._work("arrive", found)
            self._become(found, PowerState(parcel["power"]), "arrived, still running")

    def abort_live(self, uuid: str) -> None:
        """See CanLiveMigrate."""
        with self._guard:
            if uuid in self._sendings:
                self._sendings[uuid].is_called_off = True

    def force_complete_live(self, uuid: str) -> None:
        """See CanLiveMigrate."""
        with self._guard:
            if uuid in self._sendings:
                self._sendings[uuid].is_hurried = True

    def _send(self, guest: SimulatedGuest, tell: Tell) -> None:
        """Let the parts go one after the other, until it is called off or hurried."""
        sending = Sending()
        with self._guard:
            self._sendings[guest.uuid] = sending
        try:
            script = read_script(guest.metadata)
            whole = self._durations.get("live_migrate", 0.0) + script.delay_seconds
            for part in range(1, _PARTS + 1):
                if not sending.is_hurried:
                    self._pace.spend(whole / _PARTS)
                if sending.is_called_off:
                    raise GuestFailure(FaultCause.ABORTED, "the live migration was called off")
                if part > _PARTS // 2:
                    script.check("live_migrate")
                tell(_progress(guest, part))
        finally:
            with self._guard:
                self._sendings.pop(guest.uuid, None)


def _progress(guest: SimulatedGuest, part: int) -> Mapping[str, int]:
    memory, disk = guest.memory_mb * _MIB, guest.root_gb * _GIB
    return {
        "memory_total_bytes": memory,
        "memory_processed_bytes": memory * part // _PARTS,
        "memory_remaining_bytes": memory - memory * part // _PARTS,
        "disk_total_bytes": disk,
        "disk_processed_bytes": disk * part // _PARTS,
        "disk_remaining_bytes": disk - disk * part // _PARTS,
    }


def _parcel(guest: SimulatedGuest) -> Mapping[str, Any]:
    return {"boots": guest.boots, "console": list(guest.console), "power": int(guest.power)}
