"""The qemu driver: real machines on a host that has only QEMU, spoken to over QMP; no daemon, no compiled package.

Everything is in one state directory: ``images/`` (the cache), ``instances/<uuid>/`` (one guest each: its definition,
disks, console log and sockets), ``aside/<uuid>/`` (what a guest that moves left behind), ``driver.lock``. Guests
outlive the process that started them and are found again by the next one.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from typing import Final

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.instances.verbs import RealMachines
from kilonova.drivers.qemu.consoles import QemuConsoles
from kilonova.drivers.qemu.live_moves import QemuLiveMoves
from kilonova.drivers.qemu.moving_guest import MovingGuest
from kilonova.drivers.qemu.site import Site

_COUNT_SECONDS: Final = 1.0  # what one guest gets to tell its counters
_COUNTING_SECONDS: Final = 5.0  # what all of them get


class QemuDriver(QemuLiveMoves, QemuConsoles, RealMachines[Site, MovingGuest]):
    """One host's guests, each a QEMU process of its own.

    ``state_dir`` is made if it is not there. At most one driver at a time has a state directory (a lock says so).
    """

    name = "qemu"

    def probe(self) -> None:
        """See the Protocol: QEMU is there, and the state directory can be written."""
        host.require_qemu()
        if not os.access(self._state_dir, os.W_OK | os.X_OK):
            raise HypervisorUnavailable("the qemu driver's state directory cannot be written")

    def _hypervisor_version(self) -> int:
        return host.require_qemu().number

    def list_guests(self) -> Mapping[str, PowerState]:
        """See the Protocol."""
        return self._moved() | {guest.uuid: guest.power for guest in self._known() if not guest.is_absent}

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
