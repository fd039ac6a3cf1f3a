"""The guests of one state directory and the line to their daemon: found again, and watched by what it tells."""

import contextlib
import logging
import time
from pathlib import Path
from typing import IO, Final

from kilonova.domain.errors import HypervisorUnavailable
from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.disks.settings import ImageCacheSettings
from kilonova.drivers.herald import Herald
from kilonova.drivers.instances.aside import Aside
from kilonova.drivers.instances.home import open_state_dir, owner_of
from kilonova.drivers.instances.hosted import LAST_VERB_SECONDS, HostedGuests
from kilonova.drivers.instances.room import make_open_directory
from kilonova.drivers.libvirt.connection import Connection, Happening
from kilonova.drivers.libvirt.domains import Domains
from kilonova.drivers.libvirt.known import Site
from kilonova.drivers.libvirt.plugging import PluggableGuest
from kilonova.drivers.libvirt.watch import Watch
from kilonova.drivers.protocol import Listener
from kilonova.drivers.settings import LibvirtSettings

_LOG = logging.getLogger(__name__)
_TENDING_SECONDS: Final = 10.0


class LibvirtGuests(HostedGuests[Site, PluggableGuest]):
    """Guests that are domains of one daemon."""

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
        """``uri`` names a daemon of this machine. See HostedGuests."""
        super().__init__(state_dir=state_dir, node=node, shares=shares, images=images)
        self.uri = uri
        self._settings = settings or LibvirtSettings()
        self._next_tending = 0.0
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
                patience=self._settings.patience,
                turns=self._turns,
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
        self._turns.wait_idle(LAST_VERB_SECONDS)
        if self._watch is not None:
            self._watch.close()
        site.connection.close()
        site.herald.close()
        self._guests.clear()
        if self._lock_file is not None:
            self._lock_file.close()

    def _make_guest(self, uuid: str, site: Site) -> PluggableGuest:
        return PluggableGuest(uuid, site)

    def _adopt(self, site: Site) -> None:
        for guest in self._find_again(site).values():
            guest.adopt()

    # --- on the watch's thread --------------------------------------------------------------------------

    def _judge(self, happening: Happening) -> None:
        guest = self._find(happening.uuid)
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
        self._forget_images_when_due()
