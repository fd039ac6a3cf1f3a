"""The libvirt driver: real machines under a daemon that operators know, with all that watches it at home.

In its state directory are ``images/`` (the cache), ``instances/<uuid>/`` (one guest each: its definition, disks and
console log), ``aside/<uuid>/`` (guests that are moving), ``owner`` (by which our domains are known), ``driver.lock``.
Guests outlive this process and the daemon, and are found again.
"""

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import IO, Final

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import GuestFailure, HypervisorUnavailable, NotFound
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.disks.cache import IMAGE_IDLE_SECONDS, ImageCache
from kilonova.drivers.herald import Herald
from kilonova.drivers.instances.home import checked_uuid, is_uuid, open_state_dir, owner_of
from kilonova.drivers.instances.room import GONE
from kilonova.drivers.libvirt.connection import Connection, Happening
from kilonova.drivers.libvirt.domains import Domains
from kilonova.drivers.libvirt.guest import Guest
from kilonova.drivers.libvirt.known import Site
from kilonova.drivers.libvirt.statistics import diagnose_all
from kilonova.drivers.libvirt.watch import Watch
from kilonova.drivers.libvirt.words import translated
from kilonova.drivers.protocol import GuestSpec, ImageSource, Inventory, Listener
from kilonova.drivers.settings import LibvirtSettings
from kilonova.drivers.turns import Turns

_LOG = logging.getLogger(__name__)
_TENDING_SECONDS: Final = 10.0
_CLEANING_SECONDS: Final = 3600.0
_LAST_VERB_SECONDS: Final = 5.0  # what a verb in progress gets when the driver is closed
_ADMINISTRATOR: Final = "root"
"""Whose password is set inside a guest."""


class LibvirtDriver:
    """One host's guests; one node, named as the host.

    ``state_dir`` is made if it is not there. At most one driver at a time has a state directory (a lock says so).
    """

    name = "libvirt"

    def __init__(
        self,
        *,
        state_dir: Path,
        node: str,
        settings: LibvirtSettings | None = None,
        host_ip: str = "127.0.0.1",
        accelerator: host.Accelerator | None = None,
    ) -> None:
        self._state_dir = state_dir
        self._node = node
        self._host_ip = host_ip
        self._settings = settings or LibvirtSettings()
        self.accelerator = accelerator or host.find_accelerator()
        self._guard = Lock()
        self._turns = Turns()
        self._next_tending = self._next_cleaning = 0.0
        self._guests: dict[str, Guest] = {}
        self._site: Site | None = None
        self._connection: Connection | None = None
        self._watch: Watch | None = None
        self._lock_file: IO[str] | None = None

    # --- life -------------------------------------------------------------------------------------------

    def start(self, listener: Listener) -> None:
        """See the Protocol. Raises HypervisorUnavailable also where another process has the state directory."""
        host.require_qemu()
        state_dir, self._lock_file = open_state_dir(self._state_dir, self.name)
        watch = Watch(judge=self._judge, look_anew=self._look_anew, tick=self._tick)
        connection = Connection(self._settings.uri, hear=watch.hear, opened=watch.opened)
        try:
            connection.handle()
            cache = ImageCache(state_dir / "images")
            cache.sweep()
            owner = owner_of(state_dir)
            site = Site(
                instances=state_dir / "instances",
                cache=cache,
                accelerator=self.accelerator,
                domains=Domains(connection, owner),
                herald=Herald(listener),
                owner=owner,
                bridge=self._settings.bridge,
            )
            self._adopt(site)
        except BaseException:
            connection.close()
            self._lock_file.close()
            raise
        self._site, self._connection, self._watch = site, connection, watch
        watch.start()

    def close(self) -> None:
        """See the Protocol."""
        site, self._site = self._site, None
        if site is None:
            return
        self._turns.wait_idle(_LAST_VERB_SECONDS)
        if self._watch is not None:
            self._watch.close()
        if self._connection is not None:
            self._connection.close()
        site.herald.close()
        self._guests.clear()
        if self._lock_file is not None:
            self._lock_file.close()

    def probe(self) -> None:
        """See the Protocol: the daemon answers, and the state directory can be written."""
        if not os.access(self._state_dir, os.W_OK | os.X_OK):
            raise HypervisorUnavailable("the libvirt driver's state directory cannot be written")
        with translated("say that it is there"):
            self._line().handle().numOfDomains()

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
            version = int(self._line().handle().getVersion())
        return Inventory(
            node=node,
            hypervisor_type="QEMU",
            hypervisor_version=version,
            host_ip=self._host_ip,
            vcpus=host.cpu_count(),
            memory_mb=host.memory_mb("MemTotal"),
            local_gb=disk.total // host.GIB,
            local_gb_available=disk.free // host.GIB,
            cpu_info=host.cpu_facts(),
            uptime_text=host.uptime_text(),
        )

    def list_guests(self) -> Mapping[str, PowerState]:
        """See the Protocol. Raises HypervisorUnavailable: that the daemon is gone says nothing about guests."""
        known = [guest for guest in self._known() if not guest.is_absent]
        shown = self._require_site().domains.look_at_all() if known else {}
        return {guest.uuid: guest.power_as_shown(shown.get(guest.uuid)) for guest in known}

    def power_state(self, uuid: str) -> PowerState:
        """See the Protocol. Raises HypervisorUnavailable, as ``list_guests``."""
        with self._guard:
            guest = self._guests.get(uuid)
        return PowerState.NOSTATE if guest is None else guest.power

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
        return self._require_site().cache.fetched(image)

    def diagnose(self, uuid: str) -> Diagnostics | None:
        """See CanDiagnose; needs no turn, so a guest that is busy can be counted."""
        return self._kept(uuid).diagnose()

    def count_all(self) -> Mapping[str, Diagnostics | None]:
        """See CanCountAll: one call for all domains."""
        definitions = {guest.uuid: guest.definition for guest in self._known()}
        made = {uuid: definition for uuid, definition in definitions.items() if definition is not None}
        return diagnose_all(self._line().handle(), made)

    def console_log(self, uuid: str, *, lines: int | None) -> str:
        """See CanReadConsole; needs no turn, so a guest that is busy can be read."""
        return self._kept(uuid).console_log(lines)

    # --- inside -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _held(self, uuid: str) -> Iterator[Guest]:
        """The guest of this uuid, there or not, for the one verb whose turn it is."""
        with self._turns.take(checked_uuid(uuid)):
            site = self._require_site()
            with self._guard:
                guest = self._guests.get(uuid) or Guest(uuid, site)
                self._guests[uuid] = guest
            try:
                with guest.verb():
                    yield guest
            finally:
                with self._guard:
                    if guest.is_absent:
                        self._guests.pop(uuid, None)

    def _kept(self, uuid: str) -> Guest:
        with self._guard:
            guest = self._guests.get(uuid)
        if guest is None:
            raise GuestFailure(FaultCause.GUEST_MISSING, "the server is not on its host any more")
        return guest

    def _known(self) -> list[Guest]:
        with self._guard:
            return list(self._guests.values())

    def _require_site(self) -> Site:
        if self._site is None:
            raise HypervisorUnavailable("the libvirt driver is not started")
        return self._site

    def _line(self) -> Connection:
        if self._connection is None or self._site is None:
            raise HypervisorUnavailable("the libvirt driver is not started")
        return self._connection

    def _adopt(self, site: Site) -> None:
        for leftover in site.instances.glob(f"{GONE}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for uuid in [path.name for path in site.instances.iterdir() if is_uuid(path.name)]:
            guest = self._guests[uuid] = Guest(uuid, site)
            guest.adopt()

    # --- on the watch's thread --------------------------------------------------------------------------

    def _judge(self, happening: Happening) -> None:
        with self._guard:
            guest = self._guests.get(happening.uuid)
        if guest is not None:
            guest.hear(happening)

    def _look_anew(self) -> None:
        for guest in self._known():
            guest.judge()

    def _tick(self) -> None:
        if self._site is None or self._connection is None:
            return
        if self._connection.is_lost:
            with contextlib.suppress(HypervisorUnavailable):  # the next tick tries again
                self._connection.handle()
        now = time.time()
        if now >= self._next_tending:
            self._next_tending = now + _TENDING_SECONDS
            for guest in self._known():
                guest.tend()
        if now >= self._next_cleaning:
            self._next_cleaning = now + _CLEANING_SECONDS
            self._clean(self._site.cache, now)

    def _clean(self, cache: ImageCache, now: float) -> None:
        used = [guest.base_images for guest in self._known()]
        if None not in used:  # else somebody may need an image without our knowing
            images = frozenset[str]().union(*(names for names in used if names))
            cache.forget_unused(images, idle_seconds=IMAGE_IDLE_SECONDS, now=now)
