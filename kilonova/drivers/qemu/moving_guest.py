"""A guest that can move: set aside and taken in while it is off, sent and received while it runs."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.disks.moving import receive_disks, take_disks
from kilonova.drivers.instances.aside import Aside
from kilonova.drivers.instances.console import take_console
from kilonova.drivers.instances.definition import Condition, find_definition
from kilonova.drivers.instances.room import require_memory
from kilonova.drivers.protocol import GuestSpec, Tell
from kilonova.drivers.qemu import command
from kilonova.drivers.qemu.guest import not_running
from kilonova.drivers.qemu.machine import Machine
from kilonova.drivers.qemu.plugging import PluggableGuest
from kilonova.drivers.qemu.reachable_guest import ReachableGuest
from kilonova.drivers.qemu.reception import await_arrival, open_reception
from kilonova.drivers.qemu.sending import Sending, call_back

_START_SECONDS: Final = 60.0


class MovingGuest(PluggableGuest, ReachableGuest):
    """Its verbs come one at a time, as a guest's do."""

    # --- while it is off --------------------------------------------------------------------------------

    def take_in(self, spec: GuestSpec, source: Path) -> None:
        """Make it, switched off, of what its own directory elsewhere has; one that is here already is left alone."""
        if not self._is_preparing:
            return
        was = find_definition(source)
        if was is None or was.uuid != self.uuid:
            text = "what the server left on its old host cannot be reached from its new one"
            raise GuestFailure(FaultCause.GUEST_MISSING, text, detail=f"there is no guest in {source}")
        try:
            with self._making_disks():
                self._prepare(spec, lambda: take_disks(source, was, spec, self.directory, self._site.cache), was=was)
                take_console(source / command.CONSOLE_LOG, self.directory)
        except BaseException:
            self.destroy()
            raise

    def set_aside(self, aside: Aside) -> Path:
        """Put it, switched off, where what has moved away is kept; gives the place. It is not here any more."""
        self._definition = None
        return aside.put(self.directory)

    def put_back(self, aside: Aside) -> None:
        """Put what is kept of it in the place of what is here, if anything is kept."""
        if aside.find(self.uuid) is not None:
            self.destroy()
            aside.take_back(self.directory)
            self._definition = find_definition(self.directory)
        self._require_definition()

    # --- while it runs ----------------------------------------------------------------------------------

    def require_running(self) -> None:
        """Raise GuestFailure unless it runs or is frozen."""
        self._require_definition()
        if self._machine is None or self.power not in (PowerState.RUNNING, PowerState.PAUSED):
            raise not_running(self.power)

    def receive(self, spec: GuestSpec, source: Path) -> None:
        """Make its disks, empty over its image, and a QEMU that waits for it; one that has arrived is left alone."""
        if not self._is_preparing:
            return
        was = find_definition(source)
        if was is None:
            raise GuestFailure(FaultCause.GUEST_MISSING, "the server cannot be reached from its new host")
        self.destroy()
        try:
            require_memory(spec.memory_mb)
            with self._making_disks():
                self._prepare(
                    replace(spec, has_agent=was.has_agent),  # its machine must be the very same
                    lambda: receive_disks(source, was, self.directory, self._site.cache),
                    becomes=Condition.PREPARING,
                    was=was,
                )
                take_console(source / command.CONSOLE_LOG, self.directory)
            self._await_it()
        except BaseException:
            self.destroy()
            raise

    def send(self, directory: Path, sending: Sending, tell: Tell) -> bool:
        """Send what it does to the QEMU that waits for it there; whether it ran, and did not stand still.

        It is not here any more afterwards; after any failure it goes on here. Raises GuestFailure.
        """
        if self._require_definition().left is None:
            self.settle()
            self._rewrite(left=self._send_all(directory, sending, tell))  # from now on it is the one there
        self._pull_the_plug()
        return self._require_definition().left is Condition.ON

    def _send_all(self, directory: Path, sending: Sending, tell: Tell) -> Condition:
        self.require_running()
        machine = self._running_machine()
        ran = sending.ran = machine.state is PowerState.RUNNING
        definition = self._require_definition()
        with self._by_request():
            try:
                sending.carry_out(machine, definition, directory, tell)
            except BaseException:
                if not machine.ended.is_set():
                    call_back(machine, runs=ran)
                raise
        return Condition.ON if ran else Condition.OFF

    def stay(self) -> None:
        """Let it go on here, wherever its sending was cut off. One whose QEMU has ended already boots anew."""
        has_left = self._require_definition().left is not None
        machine = self._machine
        if machine is None and has_left:
            self._launch()
        elif machine is not None:
            self._rewrite(left=None)
            with self._by_request():
                call_back(machine, runs=machine.state is PowerState.RUNNING or machine.find_state() == "postmigrate")

    def arrive(self, *, runs: bool) -> None:
        """Have what came go on here, if it ran; one that has arrived already is left alone."""
        if self._definition is not None and not self._is_preparing:
            return
        machine = self._running_machine()
        with self._by_request():
            await_arrival(machine)
            if runs:
                machine.command("cont")
            machine.find_state()
            if not self._record_running(machine):
                raise self._why_not("QEMU ended as soon as the server had arrived")

    def forget_arrival(self) -> None:
        """Remove what waits for it, unless it has arrived."""
        if self._is_preparing:
            self.destroy()

    def _running_machine(self) -> Machine:
        machine = self._machine
        if machine is None:
            text = "the QEMU that waited for the server has ended"
            raise GuestFailure(FaultCause.GUEST_CRASHED, text)
        return machine

    def _await_it(self) -> None:
        definition = self._definition
        if definition is None:
            raise GuestFailure(FaultCause.GUEST_MISSING, "the server is not on its host any more")
        with self._by_request():
            machine = self._hold(self._start_qemu(definition, awaits_memory=True))
            machine.connect(timeout_seconds=_START_SECONDS)
            open_reception(machine, definition)
