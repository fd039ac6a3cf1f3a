"""The libvirt driver: real machines under a daemon that operators know, with all that watches it at home.

In its state directory are ``images/`` (the cache), ``instances/<uuid>/`` (one guest each: its definition, disks and
console log), ``aside/<uuid>/`` (what a guest that moves left behind), ``owner`` (by which our domains are known) and
``driver.lock``. Guests outlive this process and the daemon, and are found again.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import HypervisorUnavailable, NotFound
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.instances.moves import ColdMoves
from kilonova.drivers.libvirt.live import LibvirtLiveMoves
from kilonova.drivers.libvirt.statistics import diagnose_all
from kilonova.drivers.libvirt.words import translated
from kilonova.drivers.protocol import GuestSpec, ImageSource, Inventory

_ADMINISTRATOR: Final = "root"
"""Whose password is set inside a guest."""


class LibvirtDriver(LibvirtLiveMoves, ColdMoves):
    """One host's guests; one node, named as the host.

    ``state_dir`` is made if it is not there. At most one driver at a time has a state directory (a lock says so).
    """

    name = "libvirt"

    def probe(self) -> None:
        """See the Protocol: the daemon answers, and the state directory can be written."""
        if not os.access(self._state_dir, os.W_OK | os.X_OK):
            raise HypervisorUnavailable("the libvirt driver's state directory cannot be written")
        with translated("say that it is there"):
            self._started.connection.handle().numOfDomains()

    # --- the host ---------------------------------------------------------------------------------------

    def nodes(self) -> Sequence[str]:
        """See the Protocol."""
        return (self._node,)

    def inventory(self, node: str) -> Inventory:
        """See the Protocol. libvirt's own count of memory is not to be relied upon where it is ballooned."""
        if node != self._node:
            raise NotFound(f"no node {node} on this host")
        disk = shutil.disk_usage(self._state_dir)
        with translated("tell its version"):
            version = int(self._started.connection.handle().getVersion())
        return Inventory(
            node=node,
            hypervisor_type="QEMU",
            hypervisor_version=version,
            host_ip=self._host_ip,
            vcpus=max(1, host.cpu_count() // self._shares),
            memory_mb=host.memory_mb("MemTotal") // self._shares,
            local_gb=disk.total // host.GIB // self._shares,
            local_gb_available=disk.free // host.GIB // self._shares,
            cpu_info=host.cpu_facts(),
            uptime_text=host.uptime_text(),
        )

    def list_guests(self) -> Mapping[str, PowerState]:
        """See the Protocol. Raises HypervisorUnavailable: that the daemon is gone says nothing about guests."""
        moved = self._aside.uuids() if self._site is not None else []
        known = [guest for guest in self._known() if not guest.is_absent]
        shown = self._started.domains.look_at_all() if known else {}
        return dict.fromkeys(moved, PowerState.SHUTDOWN) | {
            guest.uuid: guest.power_as_shown(shown.get(guest.uuid)) for guest in known
        }

    def power_state(self, uuid: str) -> PowerState:
        """See the Protocol. Raises HypervisorUnavailable, as ``list_guests``."""
        with self._guard:
            guest = self._guests.get(uuid)
        if guest is not None:
            return guest.power
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

    def set_password(self, uuid: str, password: str) -> None:
        """See CanSetPassword; needs QEMU's agent inside the guest."""
        with self._held(uuid) as held:
            held.set_password(_ADMINISTRATOR, password)

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
        """See CanCountAll: one call for all domains."""
        definitions = {guest.uuid: guest.definition for guest in self._known()}
        made = {uuid: definition for uuid, definition in definitions.items() if definition is not None}
        return diagnose_all(self._started.connection.handle(), made)

    def console_log(self, uuid: str, *, lines: int | None) -> str:
        """See CanReadConsole; needs no turn, so a guest that is busy can be read."""
        return self._kept(uuid).console_log(lines)
