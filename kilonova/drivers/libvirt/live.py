"""How guests move while they run: libvirt's peer-to-peer migration, with their disks.

The new host makes disks of the right sizes first, and says where; the old one has libvirt send memory and disks there,
and keeps its own disks aside until the move is confirmed.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers import host
from kilonova.drivers.instances.definition import find_definition
from kilonova.drivers.instances.room import require_memory
from kilonova.drivers.libvirt.hosted import LibvirtGuests
from kilonova.drivers.libvirt.migration import Departure, end_migration, is_migrating, runs_at
from kilonova.drivers.libvirt.words import translated
from kilonova.drivers.protocol import GuestSpec, Tell

_TARGET: Final = "leaving.json"
"""Where a guest is to go, in its directory from before it goes: whoever is cut off finds out whether it went."""


class LibvirtLiveMoves(LibvirtGuests):
    """The verbs of ``CanLiveMigrate``."""

    def check_live_destination(self, guest: GuestSpec) -> None:
        """See CanLiveMigrate."""
        self._started.connection.handle()
        require_memory(guest.memory_mb)

    def check_live_source(self, uuid: str) -> None:
        """See CanLiveMigrate."""
        with self._held(uuid) as held:
            if held.is_absent and self._aside.find(uuid) is not None:
                return
            held.require_up()
            held.settle()

    def prepare_live(self, guest: GuestSpec) -> Mapping[str, Any]:
        """See CanLiveMigrate. What the old host must know is where the daemon is, and where the files are to be."""
        with self._held(guest.uuid) as held:
            files = held.await_arrival(guest)
        return {
            "machine": host.boot_id(),
            "uri": self.uri,
            "peer_uri": self._settings.live_migration_uri.replace("%s", self._host_ip),
            "address": self._host_ip,
            "owner": self._started.owner,
            **files,
        }

    def cancel_live(self, uuid: str) -> None:
        """See CanLiveMigrate."""
        with self._held(uuid) as held:
            if not held.is_made and not held.has_arrived:
                held.destroy()

    def live_migrate(self, uuid: str, target: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
        """See CanLiveMigrate."""
        with self._held(uuid) as held:
            kept = self._aside.find(uuid) if held.is_absent else None
            if kept is None:
                note = held.directory / _TARGET
                if held.has_left(note, target):
                    domain = None
                else:
                    domain = held.require_up()
                    held.settle()
                    note.write_text(json.dumps(dict(target)), "utf-8")
                if domain is not None:
                    departure = Departure(domain, held, target)
                    departure.go(tell, mib_a_second=self._settings.live_migration_bandwidth)
                kept = held.set_aside(self._aside)
            left = find_definition(kept)
            return {"directory": str(kept), "places": list(left.places) if left is not None else []}

    def stay(self, uuid: str) -> None:
        """See CanLiveMigrate. Raises GuestFailure where the guest went, and runs on its new host."""
        with self._held(uuid) as held:
            if held.is_absent:
                held.put_back(self._aside)
            note = held.directory / _TARGET
            domain = self._started.domains.find(uuid)
            if domain is not None:
                end_migration(domain)
            elif note.exists() and runs_at(uuid, json.loads(note.read_text("utf-8"))):
                text = "the server runs on its new host already"
                raise GuestFailure(FaultCause.DRIVER_ERROR, text)
            note.unlink(missing_ok=True)
            held.power_on()

    def arrive(self, guest: GuestSpec, parcel: Mapping[str, Any]) -> None:
        """See CanLiveMigrate."""
        with self._held(guest.uuid) as held:
            held.arrive(Path(parcel["directory"]), parcel.get("places", ()))

    def abort_live(self, uuid: str) -> None:
        """See CanLiveMigrate."""
        domain = self._started.domains.find(uuid)
        if domain is not None and is_migrating(domain):
            with contextlib.suppress(GuestFailure), translated("call the migration off"):  # it has just ended
                domain.abortJob()

    def force_complete_live(self, uuid: str) -> None:
        """See CanLiveMigrate: the guest stands still until it is there, where it goes on."""
        domain = self._started.domains.find(uuid)
        if domain is not None and is_migrating(domain):
            with contextlib.suppress(GuestFailure), translated("bring the migration to its end"):
                domain.suspend()
