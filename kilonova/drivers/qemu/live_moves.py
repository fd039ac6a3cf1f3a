"""How guests move while they run: between the hosts of one machine, disks and all."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.instances.definition import DEFINITION_FILE, Condition
from kilonova.drivers.instances.room import require_memory
from kilonova.drivers.protocol import GuestSpec, Tell
from kilonova.drivers.qemu.hosted import QemuGuests
from kilonova.drivers.qemu.sending import Sending

_TELLING_SECONDS: Final = 1.0


class QemuLiveMoves(QemuGuests):
    """The verbs of ``CanLiveMigrate``.

    A host finds the guest that comes to it in the directory of another host of the machine, which is beside its own.
    """

    def check_live_destination(self, guest: GuestSpec) -> None:
        """See CanLiveMigrate."""
        self._find_source(guest.uuid)
        require_memory(guest.memory_mb)

    def check_live_source(self, uuid: str) -> None:
        """See CanLiveMigrate."""
        with self._held(uuid) as held:
            if not (held.is_absent and self._aside.find(uuid)):
                held.require_running()
                held.settle()

    def prepare_live(self, guest: GuestSpec) -> Mapping[str, Any]:
        """See CanLiveMigrate: its disks, and a QEMU that waits for what they and its memory have."""
        with self._held(guest.uuid) as held:
            held.receive(guest, self._find_source(guest.uuid))
            return {"directory": str(held.directory)}

    def cancel_live(self, uuid: str) -> None:
        """See CanLiveMigrate."""
        with self._held(uuid) as held:
            held.forget_arrival()

    def live_migrate(self, uuid: str, target: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
        """See CanLiveMigrate. It stands still from when all of it is there until ``arrive`` lets it go on."""
        with self._held(uuid) as held:
            if held.is_absent and (sent := self._aside.find_definition(uuid)) is not None:
                return {"ran": sent.left is Condition.ON}
            sending = Sending()
            with self._sending_guard:
                self._sendings[uuid] = sending
            try:
                ran = held.send(Path(target["directory"]), sending, _now_and_then(tell))
            finally:
                with self._sending_guard:
                    self._sendings.pop(uuid, None)
            held.set_aside(self._aside)
            return {"ran": ran}

    def stay(self, uuid: str) -> None:
        """See CanLiveMigrate. One whose QEMU has ended already boots anew."""
        with self._held(uuid) as held:
            held.put_back(self._aside)
            held.stay()

    def arrive(self, guest: GuestSpec, parcel: Mapping[str, Any]) -> None:
        """See CanLiveMigrate."""
        with self._held(guest.uuid) as held:
            held.arrive(runs=bool(parcel["ran"]))

    def abort_live(self, uuid: str) -> None:
        """See CanLiveMigrate."""
        with self._sending_guard:
            if uuid in self._sendings:
                self._sendings[uuid].is_called_off = True

    def force_complete_live(self, uuid: str) -> None:
        """See CanLiveMigrate: it is frozen, so that it changes no more of what was sent."""
        with self._sending_guard:
            if uuid in self._sendings:
                self._sendings[uuid].is_hurried = True

    def _find_source(self, uuid: str) -> Path:
        """Where on this machine the guest is now."""
        own = self._started.instances
        for place in sorted(own.parent.parent.glob(f"*/instances/{uuid}/{DEFINITION_FILE}")):
            if place.parent.parent != own:
                return place.parent
        text = "the server's disks cannot be reached from this host: live migration is between hosts of one machine"
        raise GuestFailure(FaultCause.NOT_SUPPORTED, text)


def _now_and_then(tell: Tell) -> Tell:
    """Tell what is told of late only: each telling is written down."""
    told_at: dict[str, float] = {}

    def heard(progress: Mapping[str, int]) -> None:
        now, kind = time.monotonic(), next(iter(progress), "")
        if progress and now - told_at.get(kind, float("-inf")) >= _TELLING_SECONDS:
            told_at[kind] = now
            tell(progress)

    return heard
