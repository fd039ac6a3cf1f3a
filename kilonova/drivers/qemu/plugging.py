"""A guest of a QEMU of our own whose network cards come and go."""

import contextlib
from collections.abc import Mapping
from typing import Any

from kilonova.domain.errors import GuestFailure
from kilonova.drivers.instances.cards import Bay, MonitorBay, refuse_suspended
from kilonova.drivers.instances.definition import Definition
from kilonova.drivers.instances.plugging import Pluggable
from kilonova.drivers.protocol import Nic
from kilonova.drivers.qemu.guest import Guest
from kilonova.drivers.qemu.machine import Machine
from kilonova.drivers.qemu.process import QemuProcess
from kilonova.drivers.qemu.site import Site


class PluggableGuest(Guest, Pluggable):
    """A guest with the cards that its definition says."""

    def __init__(self, uuid: str, site: Site) -> None:
        super().__init__(uuid, site)
        self._prepare_plugging(site)

    def plug(self, nic: Nic) -> None:
        """See Pluggable."""
        with self._by_request():
            super().plug(nic)

    def unplug(self, mac: str) -> None:
        """See Pluggable."""
        with self._by_request():
            super().unplug(mac)

    def suspend(self) -> None:
        """Save its memory with its own cards alone, for with them it will go on; then end its QEMU."""
        if not self.require_definition().memory:
            self.settle()
        super().suspend()

    def adopt(self, found: QemuProcess | None) -> None:
        """Take it over, with the cards that it is to have."""
        super().adopt(found)
        if self._is_up and self._definition is not None:
            for place, nic in self._definition.cards:
                with contextlib.suppress(GuestFailure):  # it does not answer: a later verb will say so
                    self._put_in(place, nic)
            self.mend_cards()

    def tend(self) -> None:
        """What is to be done now and then."""
        super().tend()
        self.mend_cards()

    def release(self) -> None:
        """Stop watching it; it goes on."""
        self._mender.end()
        super().release()

    def require_definition(self) -> Definition:
        """What it is made of. Raises GuestFailure where it is not made."""
        return self._require_definition()

    def _require_changeable(self) -> Definition:
        definition = self._require_definition()
        if definition.memory:
            raise refuse_suspended()
        return definition

    def _find_bay(self) -> Bay | None:
        machine = self._machine
        return MonitorBay(machine.command) if machine is not None and self._is_up else None

    def _launch(self, *, with_memory: bool = False) -> None:
        if not with_memory:
            self._forget_doubts()
        super()._launch(with_memory=with_memory)

    # --- what comes on the watch's thread ---------------------------------------------------------------

    def _hold(self, held: QemuProcess) -> Machine:
        machine = super()._hold(held)
        machine.react_to("DEVICE_DELETED", self._on_card_gone)
        return machine

    def _on_card_gone(self, _: Mapping[str, Any]) -> None:
        self.mend_cards()
