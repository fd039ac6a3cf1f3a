"""The guests of one state directory, each of them held by one verb at a time, and the images that they stand on.

The same for every driver of real machines, whose guests are directories: only what a guest is, and what watches it,
differs.
"""

import contextlib
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Final, Generic, Protocol, TypeVar

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.disks.settings import ImageCacheSettings
from kilonova.drivers.instances.aside import Aside
from kilonova.drivers.instances.home import checked_uuid, is_uuid
from kilonova.drivers.instances.room import GONE
from kilonova.drivers.turns import Turns

LAST_VERB_SECONDS: Final = 5.0
"""What a verb in progress gets when the driver is closed."""


class Site(Protocol):
    """What all guests of a driver share, as far as it is the same everywhere."""

    @property
    def instances(self) -> Path:
        """Under which each guest has its directory, named by its uuid."""
        ...

    @property
    def aside(self) -> Aside:
        """Where guests are kept that moved away."""
        ...

    @property
    def cache(self) -> ImageCache:
        """The images that disks stand on."""
        ...


class HostedGuest(Protocol):
    """What is asked of every guest."""

    @property
    def is_absent(self) -> bool:
        """Whether nothing of it is on this host."""
        ...

    @property
    def base_images(self) -> frozenset[str] | None:
        """The names of the images that its disks stand on; None while it may need some without our knowing."""
        ...

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Within it, what happens to the guest is a verb's doing."""
        ...


SiteT = TypeVar("SiteT", bound=Site)
GuestT = TypeVar("GuestT", bound=HostedGuest)


class HostedGuests(ABC, Generic[SiteT, GuestT]):
    """What every verb is made of. A driver that is started has a ``_site``."""

    name: str

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
        self._guests: dict[str, GuestT] = {}
        self._site: SiteT | None = None

    @abstractmethod
    def _make_guest(self, uuid: str, site: SiteT) -> GuestT:
        """The guest of that uuid, there or not."""

    def forget_images(self) -> None:
        """Remove cached images that no guest uses, and that nobody asked for as long as the settings say."""
        idle = self._images.remove_unused_original_minimum_age_seconds
        self._started.cache.forget_unused(self._used_images, idle_seconds=idle, now=time.time())

    @property
    def _started(self) -> SiteT:
        if self._site is None:
            raise HypervisorUnavailable(f"the {self.name} driver is not started")
        return self._site

    @property
    def _aside(self) -> Aside:
        return self._started.aside

    def _has(self, uuid: str) -> bool:
        return uuid in self._guests

    def _find(self, uuid: str) -> GuestT | None:
        with self._guard:
            return self._guests.get(uuid)

    def _known(self) -> list[GuestT]:
        with self._guard:
            return list(self._guests.values())

    def _kept(self, uuid: str) -> GuestT:
        """The guest, without its turn. Raises GuestFailure(GUEST_MISSING)."""
        guest = self._find(uuid)
        if guest is None:
            raise GuestFailure(FaultCause.GUEST_MISSING, "the server is not on its host any more")
        return guest

    @contextlib.contextmanager
    def _held(self, uuid: str) -> Iterator[GuestT]:
        """The guest of this uuid, there or not, for the one verb whose turn it is."""
        with self._turns.take(checked_uuid(uuid)):
            site = self._started
            with self._guard:
                guest = self._guests.get(uuid) or self._make_guest(uuid, site)
                self._guests[uuid] = guest
            try:
                with guest.turn():
                    yield guest
            finally:
                with self._guard:
                    if guest.is_absent:
                        self._guests.pop(uuid, None)

    def _find_again(self, site: SiteT) -> dict[str, GuestT]:
        """The guests whose directories are there, by uuid; what was being removed is removed to its end."""
        for leftover in (*site.instances.glob(f"{GONE}*"), *site.aside.directory.glob(f"{GONE}*")):
            shutil.rmtree(leftover, ignore_errors=True)
        uuids = [path.name for path in site.instances.iterdir() if is_uuid(path.name)]
        found = {uuid: self._make_guest(uuid, site) for uuid in uuids}
        self._guests.update(found)
        return found

    def _forget_images_when_due(self) -> None:
        period, now = self._images.period_seconds, time.monotonic()
        if self._site is not None and period is not None and now >= self._next_cleaning:
            self._next_cleaning = now + period
            self.forget_images()

    def _used_images(self) -> frozenset[str] | None:
        """The names of all images that disks stand on; None while somebody may need one without our knowing."""
        kept = [self._aside.find_definition(uuid) for uuid in self._aside.uuids()]
        used = [guest.base_images for guest in self._known()]
        if None in used or None in kept:
            return None
        return frozenset[str]().union(*filter(None, used), *(each.base_images for each in kept if each is not None))
