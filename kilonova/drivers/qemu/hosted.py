"""The guests of one state directory: found again at start, watched by the driver's own thread."""

import logging
from pathlib import Path
from threading import Lock
from typing import IO

from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.disks.settings import ImageCacheSettings
from kilonova.drivers.herald import Herald
from kilonova.drivers.instances.aside import Aside
from kilonova.drivers.instances.cards import Patience
from kilonova.drivers.instances.home import open_state_dir
from kilonova.drivers.instances.hosted import LAST_VERB_SECONDS, HostedGuests
from kilonova.drivers.protocol import Listener
from kilonova.drivers.qemu import process
from kilonova.drivers.qemu.moving_guest import MovingGuest
from kilonova.drivers.qemu.sending import Sending
from kilonova.drivers.qemu.site import Site
from kilonova.drivers.qemu.watch import Watch

_LOG = logging.getLogger(__name__)


class QemuGuests(HostedGuests[Site, MovingGuest]):
    """Guests that are QEMU processes."""

    def __init__(
        self,
        *,
        state_dir: Path,
        node: str,
        accelerator: host.Accelerator | None = None,
        shares: int = 1,
        images: ImageCacheSettings | None = None,
        patience: Patience | None = None,
    ) -> None:
        """``patience`` is how long a guest may take to let go of a network card. See HostedGuests."""
        super().__init__(state_dir=state_dir, node=node, accelerator=accelerator, shares=shares, images=images)
        self._patience = patience or Patience()
        self._sendings: dict[str, Sending] = {}
        self._sending_guard = Lock()
        self._lock_file: IO[str] | None = None

    def start(self, listener: Listener) -> None:
        """See the Protocol. Raises HypervisorUnavailable also where another process has the state directory."""
        qemu = host.require_qemu()
        state_dir, self._lock_file = open_state_dir(self._state_dir, "qemu")
        instances = state_dir / "instances"
        cache = ImageCache(instances.parent / "images")
        cache.sweep()
        aside = Aside(instances.parent / "aside")
        watch, herald = Watch(self._tend), Herald(listener)
        site = Site(instances, aside, cache, qemu, self.accelerator, watch, herald, self._patience, self._turns)
        self._adopt(site)
        self._site = site

    def close(self) -> None:
        """See the Protocol."""
        site, self._site = self._site, None
        if site is None:
            return
        self._turns.wait_idle(LAST_VERB_SECONDS)
        for guest in self._known():
            guest.release()
        site.watch.close()
        site.herald.close()
        self._guests.clear()
        if self._lock_file is not None:
            self._lock_file.close()

    def _make_guest(self, uuid: str, site: Site) -> MovingGuest:
        return MovingGuest(uuid, site)

    def _adopt(self, site: Site) -> None:
        found = self._find_again(site)
        running = process.find_processes(site.instances)
        for uuid, guest in found.items():
            guest.adopt(running.pop(uuid, None))
        for uuid, orphan in running.items():
            _LOG.warning("a QEMU of ours runs without its guest's directory (%s); it is ended", uuid)
            orphan.kill_and_reap(timeout_seconds=10)

    def _tend(self) -> None:
        for guest in self._known():
            guest.tend()
        self._forget_images_when_due()
