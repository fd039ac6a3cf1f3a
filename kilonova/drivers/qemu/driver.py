"""The qemu driver: real machines on a host that has only QEMU, spoken to over QMP; no daemon, no compiled package.

Everything is in one state directory: ``images/`` (the cache), ``instances/<uuid>/`` (one guest each: its definition,
disks, console log and sockets), ``driver.lock``. Guests outlive the process that started them and are found again
by the next one.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import time
import uuid as uuids
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import IO, Final

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import GuestFailure, HypervisorUnavailable, NotFound
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.herald import Herald
from kilonova.drivers.instances.room import GONE
from kilonova.drivers.protocol import GuestSpec, ImageSource, Inventory, Listener
from kilonova.drivers.qemu import process
from kilonova.drivers.qemu.guest import Guest, Site
from kilonova.drivers.qemu.watch import Watch
from kilonova.drivers.turns import Turns

IMAGE_IDLE_SECONDS: Final = 24 * 3600.0
"""How long an image is kept that no guest uses (Nova's remove_unused_original_minimum_age_seconds)."""

_LOG = logging.getLogger(__name__)
_CLEANING_SECONDS: Final = 3600.0
_COUNT_SECONDS: Final = 1.0  # what one guest gets to tell its counters
_COUNTING_SECONDS: Final = 5.0  # what all of them get
_LAST_VERB_SECONDS: Final = 5.0  # what a verb in progress gets when the driver is closed


class QemuDriver:
    """One host's guests; one node, named as the host.

    ``state_dir`` is made if it is not there. At most one driver at a time has a state directory (a lock says so).
    """

    name = "qemu"

    def __init__(
        self,
        *,
        state_dir: Path,
        node: str,
        host_ip: str = "127.0.0.1",
        accelerator: host.Accelerator | None = None,
    ) -> None:
        self._state_dir = state_dir
        self._node = node
        self._host_ip = host_ip
        self.accelerator = accelerator or host.find_accelerator()
        self._guard = Lock()
        self._turns = Turns()
        self._next_cleaning = 0.0
        self._guests: dict[str, Guest] = {}
        self._site: Site | None = None
        self._lock_file: IO[str] | None = None

    # --- life -------------------------------------------------------------------------------------------

    def start(self, listener: Listener) -> None:
        """See the Protocol. Raises HypervisorUnavailable also where another process has the state directory."""
        qemu = host.require_qemu()
        instances = self._open_state_dir()
        cache = ImageCache(instances.parent / "images")
        cache.sweep()
        site = Site(instances, cache, qemu, self.accelerator, Watch(self._tend), Herald(listener))
        self._adopt(site)
        self._site = site

    def close(self) -> None:
        """See the Protocol."""
        site, self._site = self._site, None
        if site is None:
            return
        self._turns.wait_idle(_LAST_VERB_SECONDS)
        for guest in self._known():
            guest.release()
        site.watch.close()
        site.herald.close()
        self._guests.clear()
        if self._lock_file is not None:
            self._lock_file.close()

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
            vcpus=host.cpu_count(),
            memory_mb=host.memory_mb("MemTotal"),
            local_gb=disk.total // host.GIB,
            local_gb_available=disk.free // host.GIB,
            cpu_info=host.cpu_facts(),
            uptime_text=host.uptime_text(),
        )

    def list_guests(self) -> Mapping[str, PowerState]:
        """See the Protocol."""
        return {guest.uuid: guest.state for guest in self._known() if not guest.is_absent}

    def power_state(self, uuid: str) -> PowerState:
        """See the Protocol."""
        with self._guard:
            guest = self._guests.get(uuid)
        return PowerState.NOSTATE if guest is None else guest.state

    # --- verbs ------------------------------------------------------------------------------------------

    def spawn(self, guest: GuestSpec) -> None:
        """See the Protocol."""
        with self._held(guest.uuid) as held:
            held.spawn(guest)

    def destroy(self, uuid: str) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.destroy()

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
        site = self._site
        if site is None:
            raise HypervisorUnavailable("the qemu driver is not started")
        return site.cache.fetched(image)

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

    def _kept(self, uuid: str) -> Guest:
        with self._guard:
            guest = self._guests.get(uuid)
        if guest is None:
            raise GuestFailure(FaultCause.GUEST_MISSING, "the server is not on its host any more")
        return guest

    # --- inside -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _held(self, uuid: str) -> Iterator[Guest]:
        """The guest of this uuid, there or not, for the one verb whose turn it is."""
        with self._turns.take(_checked(uuid)):
            site = self._site
            if site is None:
                raise HypervisorUnavailable("the qemu driver is not started")
            with self._guard:
                guest = self._guests.get(uuid) or Guest(uuid, site)
                self._guests[uuid] = guest
            try:
                yield guest
            finally:
                with self._guard:
                    if guest.is_absent:
                        self._guests.pop(uuid, None)

    def _known(self) -> list[Guest]:
        with self._guard:
            return list(self._guests.values())

    def _adopt(self, site: Site) -> None:
        for leftover in site.instances.glob(f"{GONE}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        running = process.find_processes(site.instances)
        for uuid in [path.name for path in site.instances.iterdir() if _is_uuid(path.name)]:
            guest = self._guests[uuid] = Guest(uuid, site)
            guest.adopt(running.pop(uuid, None))
        for uuid, orphan in running.items():
            _LOG.warning("a QEMU of ours runs without its guest's directory (%s); it is ended", uuid)
            orphan.kill_and_reap(timeout_seconds=10)

    def _tend(self) -> None:
        for guest in self._known():
            guest.tend()
        site, now = self._site, time.time()
        if site is not None and now >= self._next_cleaning:
            self._next_cleaning = now + _CLEANING_SECONDS
            used = [guest.base_images for guest in self._known()]
            if None not in used:  # else somebody may need an image without our knowing
                images = frozenset[str]().union(*(names for names in used if names))
                site.cache.forget_unused(images, idle_seconds=IMAGE_IDLE_SECONDS, now=now)

    def _open_state_dir(self) -> Path:
        try:
            self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            state_dir = self._state_dir.resolve()
            (state_dir / "instances").mkdir(exist_ok=True, mode=0o700)
            self._lock_file = (state_dir / "driver.lock").open("w")
        except OSError as error:
            text = f"the qemu driver's state directory cannot be used: {error.strerror}"
            raise HypervisorUnavailable(text, detail=str(error)) from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock_file.close()
            text = "another process drives the guests of this state directory"
            raise HypervisorUnavailable(text, detail=str(state_dir)) from error
        return state_dir / "instances"


def _checked(uuid: str) -> str:
    """The uuid, which becomes a directory's name. Raises GuestFailure where it is none."""
    if _is_uuid(uuid):
        return uuid
    raise GuestFailure(FaultCause.GUEST_MISSING, "not the uuid of a server")


def _is_uuid(text: str) -> bool:
    try:
        return str(uuids.UUID(text)) == text
    except ValueError:
        return False
