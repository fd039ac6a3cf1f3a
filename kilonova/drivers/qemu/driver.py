"""The qemu driver: real machines on a host that has only QEMU, spoken to over QMP; no daemon, no compiled package.

Everything is in one state directory: ``images/`` (the cache), ``instances/<uuid>/`` (one guest each: its definition,
disks, console log and sockets), ``aside/<uuid>/`` (what a guest that moves left behind), ``driver.lock``. Guests
outlive the process that started them and are found again by the next one.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import GuestFailure, HypervisorUnavailable, NotFound
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.instances.moves import ColdMoves
from kilonova.drivers.protocol import GuestSpec, ImageSource, Inventory
from kilonova.drivers.qemu.live_moves import QemuLiveMoves

_COUNT_SECONDS: Final = 1.0  # what one guest gets to tell its counters
_COUNTING_SECONDS: Final = 5.0  # what all of them get


class QemuDriver(QemuLiveMoves, ColdMoves):
    """One host's guests; one node, named as the host.

    ``state_dir`` is made if it is not there. At most one driver at a time has a state directory (a lock says so).
    """

    name = "qemu"

    def probe(self) -> None:
        """See the Protocol: QEMU is there, and the state directory can be written."""
        host.require_qemu()
        if not os.access(self._state_dir, os.W_OK | os.X_OK):
            raise HypervisorUnavailable("the qemu driver's state directory cannot be written")

    # --- the host ---------------------------------------------------------------------------------------

    def nodes(self) -> Sequence[str]:
        """See the Protocol."""
        return (self._node,)

    def inventory(self, node: str) -> Inventory:
        """See the Protocol."""
        if node != self._node:
            raise NotFound(f"no node {node} on this host")
        disk = shutil.disk_usage(self._state_dir)
        return Inventory(
            node=node,
            hypervisor_type="QEMU",
            hypervisor_version=host.require_qemu().number,
            host_ip=self._host_ip,
            vcpus=max(1, host.cpu_count() // self._shares),
            memory_mb=host.memory_mb("MemTotal") // self._shares,
            local_gb=disk.total // host.GIB // self._shares,
            local_gb_available=disk.free // host.GIB // self._shares,
            cpu_info=host.cpu_facts(),
            uptime_text=host.uptime_text(),
        )

    def list_guests(self) -> Mapping[str, PowerState]:
        """See the Protocol."""
        moved = self._aside.uuids() if self._site is not None else []
        return dict.fromkeys(moved, PowerState.SHUTDOWN) | {
            guest.uuid: guest.state for guest in self._known() if not guest.is_absent
        }

    def power_state(self, uuid: str) -> PowerState:
        """See the Protocol."""
        with self._guard:
            guest = self._guests.get(uuid)
        if guest is not None:
            return guest.state
        is_moved = self._site is not None and uuid in self._aside.uuids()
        return PowerState.SHUTDOWN if is_moved else PowerState.NOSTATE

    # --- verbs ------------------------------------------------------------------------------------------

    def spawn(self, guest: GuestSpec) -> None:
        """See the Protocol."""
        with self._held(guest.uuid) as held:
            held.spawn(guest)

    def destroy(self, uuid: str) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.destroy()
            self._aside.drop(uuid)

    def power_on(self, uuid: str) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.power_on()

    def power_off(self, uuid: str, *, timeout_seconds: float) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.power_off(timeout_seconds)

    def reboot(self, uuid: str, *, hard: bool, timeout_seconds: float) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.reboot(hard=hard, timeout_seconds=timeout_seconds)

    def pause(self, uuid: str) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.pause()

    def unpause(self, uuid: str) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.unpause()

    def suspend(self, uuid: str) -> None:
        """See CanSuspend."""
        with self._held(uuid) as held:
            held.suspend()

    def resume(self, uuid: str) -> None:
        """See CanSuspend."""
        with self._held(uuid) as held:
            held.resume()

    def rescue(self, uuid: str, image: ImageSource, *, timeout_seconds: float) -> None:
        """See CanRescue."""
        with self._held(uuid) as held:
            held.rescue(image, timeout_seconds)

    def unrescue(self, uuid: str) -> None:
        """See CanRescue."""
        with self._held(uuid) as held:
            held.unrescue()

    def snapshot(self, uuid: str, destination: Path) -> str:
        """See CanSnapshot."""
        with self._held(uuid) as held:
            return held.snapshot(destination)

    def inject_nmi(self, uuid: str) -> None:
        """See CanInterrupt."""
        with self._held(uuid) as held:
            held.inject_nmi()

    def cache_image(self, image: ImageSource) -> bool:
        """See CanCacheImages. As long as no guest uses it, it stays for as long as any other such image."""
        return self._started.cache.fetched(image)

    def diagnose(self, uuid: str) -> Diagnostics | None:
        """See CanDiagnose; needs no turn, so a guest that is busy can be counted."""
        return self._kept(uuid).diagnose()

    def count_all(self) -> Mapping[str, Diagnostics | None]:
        """See CanCountAll: those that answer at once, for as long as there is time for the others."""
        counted: dict[str, Diagnostics | None] = {}
        until = time.monotonic() + _COUNTING_SECONDS
        for guest in self._known():
            if time.monotonic() > until:
                break
            with contextlib.suppress(GuestFailure):  # it hangs, ends, or is being made: the next count will tell
                counted[guest.uuid] = guest.diagnose(timeout_seconds=_COUNT_SECONDS)
        return counted

    def console_log(self, uuid: str, *, lines: int | None) -> str:
        """See CanReadConsole; needs no turn, so a guest that is busy can be read."""
        return self._kept(uuid).console_log(lines)
