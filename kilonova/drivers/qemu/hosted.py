"""The guests of one state directory: found again at start, watched, and each of them held by one verb at a time."""

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
from kilonova.drivers.instances.home import checked_uuid, is_uuid, open_state_dir
from kilonova.drivers.instances.room import GONE
from kilonova.drivers.protocol import Listener
from kilonova.drivers.qemu import process
from kilonova.drivers.qemu.moving_guest import MovingGuest
from kilonova.drivers.qemu.sending import Sending
from kilonova.drivers.qemu.site import Site
from kilonova.drivers.qemu.watch import Watch
from kilonova.drivers.turns import Turns

_LOG = logging.getLogger(__name__)
_LAST_VERB_SECONDS: Final = 5.0  # what a verb in progress gets when the driver is closed


class HostedGuests:
    """What every verb is made of."""

    def __init__(
        self,
        *,
        state_dir: Path,
        node: str,
        host_ip: str = "127.0.0.1",
        accelerator: host.Accelerator | None = None,
        shares: int = 1,
        images: ImageCacheSettings | None = None,
    ) -> None:
        """``shares`` is into how many hosts the machine is divided; each says that it has its part of it."""
        self._state_dir = state_dir
        self._node = node
        self._host_ip = host_ip
        self.accelerator = accelerator or host.find_accelerator()
        self._shares = shares
        self._images = images or ImageCacheSettings()
        self._guard = Lock()
        self._turns = Turns()
        self._next_cleaning = 0.0
        self._guests: dict[str, MovingGuest] = {}
        self._sendings: dict[str, Sending] = {}
        self._sending_guard = Lock()
        self._site: Site | None = None
        self._lock_file: IO[str] | None = None

    def start(self, listener: Listener) -> None:
        """See the Protocol. Raises HypervisorUnavailable also where another process has the state directory."""
        qemu = host.require_qemu()
        state_dir, self._lock_file = open_state_dir(self._state_dir, "qemu")
        instances = state_dir / "instances"
        cache = ImageCache(instances.parent / "images")
        cache.sweep()
        aside = Aside(instances.parent / "aside")
        site = Site(instances, aside, cache, qemu, self.accelerator, Watch(self._tend), Herald(listener))
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

    @contextlib.contextmanager
    def _held(self, uuid: str) -> Iterator[MovingGuest]:
        """The guest of this uuid, there or not, for the one verb whose turn it is."""
        with self._turns.take(checked_uuid(uuid)):
            site = self._started
            with self._guard:
                guest = self._guests.get(uuid) or MovingGuest(uuid, site)
                self._guests[uuid] = guest
            try:
                yield guest
            finally:
                with self._guard:
                    if guest.is_absent:
                        self._guests.pop(uuid, None)

    @property
    def _started(self) -> Site:
        if self._site is None:
            raise HypervisorUnavailable("the qemu driver is not started")
        return self._site

    def _has(self, uuid: str) -> bool:
        return uuid in self._guests

    @property
    def _aside(self) -> Aside:
        return self._started.aside

    def _kept(self, uuid: str) -> MovingGuest:
        with self._guard:
            guest = self._guests.get(uuid)
        if guest is None:
            raise GuestFailure(FaultCause.GUEST_MISSING, "the server is not on its host any more")
        return guest

    def forget_images(self) -> None:
        """Remove cached images that no guest uses, and that nobody asked for as long as the settings say."""
        idle = self._images.remove_unused_original_minimum_age_seconds
        self._started.cache.forget_unused(self._used_images, idle_seconds=idle, now=time.time())

    def _known(self) -> list[MovingGuest]:
        with self._guard:
            return list(self._guests.values())

    def _adopt(self, site: Site) -> None:
        for leftover in (*site.instances.glob(f"{GONE}*"), *site.aside.directory.glob(f"{GONE}*")):
            shutil.rmtree(leftover, ignore_errors=True)
        running = process.find_processes(site.instances)
        for uuid in [path.name for path in site.instances.iterdir() if is_uuid(path.name)]:
            guest = self._guests[uuid] = MovingGuest(uuid, site)
            guest.adopt(running.pop(uuid, None))
        for uuid, orphan in running.items():
            _LOG.warning("a QEMU of ours runs without its guest's directory (%s); it is ended", uuid)
            orphan.kill_and_reap(timeout_seconds=10)

    def _tend(self) -> None:
        for guest in self._known():
            guest.tend()
        period, now = self._images.period_seconds, time.monotonic()
        if self._site is not None and period is not None and now >= self._next_cleaning:
            self._next_cleaning = now + period
            self.forget_images()

    def _used_images(self) -> frozenset[str] | None:
        """The names of all images that disks stand on; None while somebody may need one without our knowing."""
        site = self._started
        kept = [site.aside.find_definition(uuid) for uuid in site.aside.uuids()]
        used = [guest.base_images for guest in self._known()]
        if None in used or None in kept:
            return None
        return frozenset[str]().union(*filter(None, used), *(each.base_images for each in kept if each is not None))
