"""The libvirt driver: real machines under a daemon that operators know, with all that watches it at home.

In its state directory are ``images/`` (the cache), ``instances/<uuid>/`` (one guest each: its definition, disks and
console log), ``aside/<uuid>/`` (what a guest that moves left behind), ``owner`` (by which our domains are known) and
``driver.lock``. Guests outlive this process and the daemon, and are found again.
"""

import os
from collections.abc import Mapping

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import HypervisorUnavailable
from kilonova.domain.states import PowerState
from kilonova.drivers.instances.verbs import RealMachines
from kilonova.drivers.libvirt.consoles import LibvirtConsoles
from kilonova.drivers.libvirt.known import Site
from kilonova.drivers.libvirt.live import LibvirtLiveMoves
from kilonova.drivers.libvirt.plugging import PluggableGuest
from kilonova.drivers.libvirt.statistics import diagnose_all
from kilonova.drivers.libvirt.words import translated


class LibvirtDriver(LibvirtLiveMoves, LibvirtConsoles, RealMachines[Site, PluggableGuest]):
    """One host's guests, each a domain of its daemon's. Whatever asks for them may raise HypervisorUnavailable.

    ``state_dir`` is made if it is not there. At most one driver at a time has a state directory (a lock says so).
    """

    name = "libvirt"

    def probe(self) -> None:
        """See the Protocol: the daemon answers, and the state directory can be written."""
        if not os.access(self._state_dir, os.W_OK | os.X_OK):
            raise HypervisorUnavailable("the libvirt driver's state directory cannot be written")
        with translated("say that it is there"):
            self._started.connection.handle().numOfDomains()

    def _hypervisor_version(self) -> int:
        with translated("tell its version"):
            return int(self._started.connection.handle().getVersion())

    def list_guests(self) -> Mapping[str, PowerState]:
        """See the Protocol. Raises HypervisorUnavailable: that the daemon is gone says nothing about guests."""
        known = [guest for guest in self._known() if not guest.is_absent]
        shown = self._started.domains.look_at_all() if known else {}
        return self._moved() | {guest.uuid: guest.power_as_shown(shown.get(guest.uuid)) for guest in known}

    def count_all(self) -> Mapping[str, Diagnostics | None]:
        """See CanCountAll: one call for all domains."""
        definitions = {guest.uuid: guest.definition for guest in self._known()}
        made = {uuid: definition for uuid, definition in definitions.items() if definition is not None}
        return diagnose_all(self._started.connection.handle(), made)
