"""The guests of one state directory and the line to their daemon: found again, watched, held by one verb at a time."""

import contextlib
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import IO, Final

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.disks.settings import ImageCacheSettings
from kilonova.drivers.herald import Herald
from kilonova.drivers.instances.aside import Aside
from kilonova.drivers.instances.home import checked_uuid, is_uuid, open_state_dir, owner_of
from kilonova.drivers.instances.room import GONE, make_open_directory
from kilonova.drivers.libvirt.connection import Connection, Happening
from kilonova.drivers.libvirt.domains import Domains
from kilonova.drivers.libvirt.guest import Guest
from kilonova.drivers.libvirt.known import Site
from kilonova.drivers.libvirt.watch import Watch
from kilonova.drivers.protocol import Listener
from kilonova.drivers.settings import LibvirtSettings
from kilonova.drivers.turns import Turns

_LOG = logging.getLogger(__name__)
_TENDING_SECONDS: Final = 10.0
_LAST_VERB_SECONDS: Final = 5.0  # what a verb in progress gets when the driver is closed


class HostedGuests:
    """What every verb is made of."""

    def __init__(
        self,
        *,
        state_dir: Path,
        node: str,
        uri: str = "qemu:///system",
        settings: LibvirtSettings | None = None,
        shares: int = 1,
        images: ImageCacheSettings | None = None,
    ) -> None:
        """``uri`` names a daemon of this machine; ``shares`` is into how many hosts the machine is divided."""
        self.uri = uri
        self.accelerator = host.find_accelerator()
        self._state_dir = state_dir
        self._node = node
        self._host_ip = "127.0.0.1"
        self._settings = settings or LibvirtSettings()
        self._shares = shares
        self._images = images or ImageCacheSettings()
        self._guard = Lock()
        self._turns = Turns()
        self._next_tending = self._next_cleaning = 0.0
        self._guests: dict[str, Guest] = {}
        self._site: Site | None = None
        self._watch: Watch | None = None
        self._lock_file: IO[str] | None = None

    def start(self, listener: Listener) -> None:
        """See the Protocol. Raises HypervisorUnavailable also where another process has the state directory."""
        host.require_qemu()
        state_dir, self._lock_file = open_state_dir(self._state_dir, "libvirt")
        for directory in (state_dir, *(state_dir / name for name in ("instances", "images"))):
            make_open_directory(directory)
        watch = Watch(judge=self._judge, look_anew=self._look_anew, tick=self._tick)
        connection = Connection(self.uri, hear=watch.hear, opened=watch.opened)
        try:
            connection.handle()
            cache = ImageCache(state_dir / "images")
            cache.sweep()
            owner = owner_of(state_dir)
            site = Site(
                instances=state_dir / "instances",
                aside=Aside(state_dir / "aside"),
                cache=cache,
                accelerator=self.accelerator,
                connection=connection,
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
        self._site, self._watch = site, watch
        watch.start()

    def close(self) -> None:
        """See the Protocol."""
        site, self._site = self._site, None
        if site is None:
            return
        self._turns.wait_idle(_LAST_VERB_SECONDS)
        if self._watch is not None:
            self._watch.close()
        site.connection.close()
        site.herald.close()
        self._guests.clear()
        if self._lock_file is not None:
            self._lock_file.close()

    def forget_images(self) -> None:
        """Remove cached images that no guest uses, and that nobody asked for as long as the settings say."""
        idle = self._images.remove_unused_original_minimum_age_seconds
        self._started.cache.forget_unused(self._used_images, idle_seconds=idle, now=time.time())

    @contextlib.contextmanager
    def _held(self, uuid: str) -> Iterator[Guest]:
        """The guest of this uuid, there or not, for the one verb whose turn it is."""
        with self._turns.take(checked_uuid(uuid)):
            site = self._started
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

    @property
    def _started(self) -> Site:
        if self._site is None:
            raise HypervisorUnavailable("the libvirt driver is not started")
        return self._site

    def _has(self, uuid: str) -> bool:
        return uuid in self._guests

    @property
    def _aside(self) -> Aside:
        return self._started.aside

    def _adopt(self, site: Site) -> None:
        for leftover in (*site.instances.glob(f"{GONE}*"), *site.aside.directory.glob(f"{GONE}*")):
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
        if self._site is None:
            return
        if self._site.connection.is_lost:
            with contextlib.suppress(HypervisorUnavailable):  # the next tick tries again
                self._site.connection.handle()
        now = time.monotonic()
        if now >= self._next_tending:
            self._next_tending = now + _TENDING_SECONDS
            for guest in self._known():
                guest.tend()
        period = self._images.period_seconds
        if period is not None and now >= self._next_cleaning:
            self._next_cleaning = now + period
            self.forget_images()

    def _used_images(self) -> frozenset[str] | None:
        """The names of all images that disks stand on; None while somebody may need one without our knowing."""
        kept = [self._aside.find_definition(uuid) for uuid in self._aside.uuids()]
        used = [guest.base_images for guest in self._known()]
        if None in used or None in kept:
            return None
        return frozenset[str]().union(*filter(None, used), *(each.base_images for each in kept if each is not None))
