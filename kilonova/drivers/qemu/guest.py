"""One guest: its directory, its definition, the QEMU that runs it if one does, and the verbs on it."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.disks.cache import cache_key
from kilonova.drivers.disks.making import RESCUE_DISK, make_disks, make_rescue_disk
from kilonova.drivers.disks.tool import SNAPSHOT_FORMAT, copy_at_rest, disk_trouble
from kilonova.drivers.instances.console import read_console, trim_console
from kilonova.drivers.instances.definition import (
    DEFINITION_FILE,
    Condition,
    Definition,
    Disk,
    DiskRole,
    find_definition,
    save_definition,
)
from kilonova.drivers.instances.room import remove_directory, require_memory
from kilonova.drivers.protocol import GuestEvent, GuestEventKind, GuestSpec, ImageSource
from kilonova.drivers.qemu import command, process
from kilonova.drivers.qemu.copying import copy_live
from kilonova.drivers.qemu.last_words import why_not
from kilonova.drivers.qemu.machine import MONITOR, STATE_WITHOUT_QEMU, Machine
from kilonova.drivers.qemu.memory import MEMORY_FILE, forget_memory, load_memory, save_memory
from kilonova.drivers.qemu.process import QemuProcess
from kilonova.drivers.qemu.qmp import QmpClosed, QmpTimeout
from kilonova.drivers.qemu.site import Site
from kilonova.drivers.qemu.statistics import diagnose

_LOG = logging.getLogger(__name__)
_START_SECONDS: Final = 60.0


class Guest:
    """A guest that is there, is being made, or (``is_absent``) is not there.

    Verbs come one at a time (the driver sees to the turns). The watch's thread comes in by ``_on_change`` and
    ``_on_end`` only, and never waits for a verb.
    """

    def __init__(self, uuid: str, site: Site) -> None:
        self.uuid = uuid
        self.directory = site.instances / uuid
        self._site = site
        self._definition = find_definition(self.directory)
        self._machine: Machine | None = None
        self._facts = threading.Lock()  # machine and definition change together
        self._is_making = False
        self._asked = False  # a verb is at work: what happens now is its doing, and is not announced

    @property
    def is_absent(self) -> bool:
        """Whether nothing of it is left."""
        return self._machine is None and not self.directory.exists()

    @property
    def power(self) -> PowerState:
        """Its power state now."""
        machine, definition = self._machine, self._definition
        if machine is not None and not self._is_on_its_way:
            return machine.state
        return PowerState.NOSTATE if definition is None else STATE_WITHOUT_QEMU[definition.condition]

    @property
    def _is_preparing(self) -> bool:
        """Whether it was never whole on this host: it is not there, is being made, or is on its way here."""
        return self._definition is None or self._definition.condition is Condition.PREPARING

    @property
    def _is_on_its_way(self) -> bool:
        """Whether a QEMU that runs for it only waits for it."""
        return self._definition is not None and self._definition.condition is Condition.PREPARING

    @property
    def _is_up(self) -> bool:
        """Whether it runs or is frozen; a QEMU may outlive its guest for a moment, or for long if it panicked."""
        return self._machine is not None and self.power not in (PowerState.SHUTDOWN, PowerState.CRASHED)

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Nothing to note: each verb says by itself what is its doing."""
        return contextlib.nullcontext()

    # --- verbs -------------------------------------------------------------------------------------------

    def spawn(self, spec: GuestSpec) -> None:
        """Make it and switch it on. What fails before it ran once leaves nothing behind."""
        if self._is_up:
            return
        if self._definition is None and (self.directory / DEFINITION_FILE).exists():
            text = "there is something on the host that is not understood"
            raise GuestFailure(FaultCause.DRIVER_ERROR, text, detail=f"{self.directory} is not of this version")
        if not self._is_preparing:
            self.power_on()
            return
        try:
            require_memory(spec.memory_mb)
            with self._making_disks():
                self._prepare(spec, lambda: make_disks(spec, self.directory, self._site.cache))
            self._launch()
        except BaseException:
            self.destroy()
            raise

    def destroy(self) -> None:
        """Kill it and remove its directory."""
        if self._machine is not None:
            with self._by_request():
                self._machine.kill()
        remove_directory(self.directory)
        self._definition = None

    def power_on(self) -> None:
        """Switch it on, unless it is."""
        self._require_definition()
        if not self._is_up:
            self._pull_the_plug()
            self._launch()

    def power_off(self, timeout_seconds: float) -> None:
        """Press the button, then pull the plug."""
        self._require_definition()
        self._press_power_button(timeout_seconds)
        self._pull_the_plug()
        if self.power is not PowerState.SHUTDOWN:
            self._record(Condition.OFF)

    def reboot(self, *, hard: bool, timeout_seconds: float) -> None:
        """Off and on again, or on if it was off. Each time is a new QEMU, so also a hung one is cured by it."""
        self._require_definition()
        if not hard:
            self._press_power_button(timeout_seconds)
        self._pull_the_plug()
        self._launch()

    def pause(self) -> None:
        """Freeze it."""
        if self.power is not PowerState.PAUSED:
            self._run_command("stop")

    def unpause(self) -> None:
        """Let it go on."""
        if self.power is not PowerState.RUNNING:
            self._run_command("cont")

    def inject_nmi(self) -> None:
        """Strike all of its processors."""
        self._run_command("inject-nmi")

    def suspend(self) -> None:
        """Save its memory, then end its QEMU; whoever is cut off in between ends it the next time."""
        definition, machine = self._require_definition(), self._machine
        if not definition.memory:
            if machine is None or machine.state not in (PowerState.RUNNING, PowerState.PAUSED):
                raise not_running(self.power)
            with self._by_request():
                save_memory(machine, self.directory)
            self._rewrite(memory=MEMORY_FILE)
        self._pull_the_plug()
        if self.power is not PowerState.SHUTDOWN:
            self._record(Condition.OFF)

    def resume(self) -> None:
        """Load its memory and let it go on. It does not run a step before its memory is forgotten."""
        if self._require_definition().memory:
            self._pull_the_plug()  # of one that was cut off while it was suspended or resumed
            self._launch(with_memory=True)
            self._forget_memory()
        if self.power is not PowerState.RUNNING:
            self._run_command("cont")

    def rescue(self, image: ImageSource, timeout_seconds: float) -> None:
        """Make the disk, switch the guest off, boot it from the disk; its own one again where that fails."""
        definition = self._require_definition()
        if self._is_up and definition.rescue is not None and definition.rescue.base == cache_key(image):
            return
        if definition.rescue is not None:
            self._pull_the_plug()  # it may run from the disk that is made anew
        with self._making_disks():
            disk = make_rescue_disk(image, self.directory, self._site.cache)
            if definition.rescue is None:
                self._press_power_button(timeout_seconds)
                self._pull_the_plug()
            self._rewrite(rescue=disk)
        try:
            self._launch()
        except BaseException:
            self._leave_rescue_disk()
            raise

    def unrescue(self) -> None:
        """Boot it from its own disk, unless it runs from that."""
        if self._require_definition().rescue is None and self._is_up:
            return
        self._pull_the_plug()
        self._leave_rescue_disk()
        self._launch()

    def snapshot(self, destination: Path) -> str:
        """Copy its root disk: by its QEMU where it is up, else with qemu-img."""
        definition, machine = self._require_definition(), self._machine
        root = definition.find_disk(DiskRole.ROOT)
        if root is None:
            raise GuestFailure(FaultCause.DRIVER_ERROR, "the server has no disk of which an image could be made")
        with disk_trouble(), self._by_request():
            if machine is not None and machine.state is not PowerState.CRASHED:
                copy_live(machine, self.directory / root.file, destination)
            else:
                self._pull_the_plug()  # of one that panicked and holds its disk
                copy_at_rest(self.directory, root, destination)
        return SNAPSHOT_FORMAT

    def diagnose(self, *, timeout_seconds: float = 10.0) -> Diagnostics | None:
        """What QEMU and the kernel count of it; None while it does not run."""
        definition, machine = self._require_definition(), self._machine
        if machine is None or machine.state is not PowerState.RUNNING:
            return None
        return diagnose(machine, definition, timeout_seconds=timeout_seconds)

    def console_log(self, lines: int | None) -> str:
        """What it wrote."""
        self._require_definition()
        return read_console(self.directory / command.CONSOLE_LOG, lines=lines)

    # --- finding what is there, and letting go ----------------------------------------------------------

    def adopt(self, found: QemuProcess | None) -> None:
        """Take over what an earlier driver left: a running QEMU, or none."""
        definition = self._definition
        if definition is None and (self.directory / DEFINITION_FILE).exists():
            _LOG.warning("%s is not of this version; only destroy will touch it", self.directory)
        if found is not None:
            machine = self._hold(found)
            machine.find_out()
            if not self._is_on_its_way:  # else whoever awaits it will say so
                self._record_running(machine)
        elif definition is not None and (definition.memory or definition.left is not None):
            self._record(Condition.OFF)  # what it was doing is on disk, or on another host
        elif definition is not None and definition.condition is Condition.ON:
            self._lose(restarted=definition.boot_id != host.boot_id())

    @property
    def base_images(self) -> frozenset[str] | None:
        """The names of the cached images that its disks stand on; None where nobody can tell, or not now."""
        return None if self._definition is None or self._is_making else self._definition.base_images

    def tend(self) -> None:
        """What is to be done now and then."""
        if self._machine is not None:
            trim_console(self.directory / command.CONSOLE_LOG)

    def release(self) -> None:
        """Stop watching it; it goes on."""
        machine = self._machine
        if machine is not None:
            machine.release()

    def _lose(self, *, restarted: bool) -> None:
        """It ran when somebody last looked, and does not any more."""
        if restarted:
            self._record(Condition.OFF)
            self._announce(GuestEventKind.STOPPED, "the host was restarted")
        else:
            self._record(Condition.CRASHED)
            self._announce(GuestEventKind.CRASHED, "its process ended while nobody watched")

    # --- making and starting ----------------------------------------------------------------------------

    def _prepare(
        self,
        spec: GuestSpec,
        make: Callable[[], tuple[Disk, ...]],
        *,
        becomes: Condition = Condition.OFF,
        was: Definition | None = None,
    ) -> None:
        """Make its directory and its disks; ``was`` is what it was made of elsewhere."""
        remove_directory(self.directory)  # of an attempt that was cut off
        self.directory.mkdir(mode=0o700)
        definition = Definition.of(spec, was.places if was is not None else ())
        save_definition(self.directory, definition)
        disks = make()
        self._definition = replace(definition, disks=disks)
        self._record(becomes)

    def _launch(self, *, with_memory: bool = False) -> None:
        definition = self._require_definition()
        require_memory(definition.memory_mb)
        if not with_memory:
            self._forget_memory()
        if definition.left is not None:
            self._rewrite(left=None)  # it is here again
        with self._by_request(), disk_trouble():
            trim_console(self.directory / command.CONSOLE_LOG)
            machine = self._hold(self._start_qemu(definition, awaits_memory=with_memory))
            try:
                machine.connect(timeout_seconds=_START_SECONDS)
                if with_memory:
                    load_memory(machine, self.directory)
            except (OSError, QmpClosed, QmpTimeout, GuestFailure) as error:
                machine.kill()
                raise self._why_not(str(error)) from error
            if not self._record_running(machine):
                raise self._why_not("QEMU ended as soon as it had started")

    def _start_qemu(self, definition: Definition, *, awaits_memory: bool) -> QemuProcess:
        with contextlib.closing(process.listen(self.directory, MONITOR)) as listener:
            handed_over = listener.fileno()
            line = command.command_line(
                self._site.qemu.path,
                definition,
                self._site.accelerator,
                monitor_fd=handed_over,
                awaits_memory=awaits_memory,
            )
            log = self.directory / command.QEMU_LOG
            try:
                return process.launch(line, directory=self.directory, log=log, pass_fds=(handed_over,))
            except FileNotFoundError as error:
                text = f"QEMU is not installed any more; install it with: {host.INSTALL_LINE}"
                raise HypervisorUnavailable(text, detail=str(error)) from error

    def _hold(self, held: QemuProcess) -> Machine:
        machine = Machine(self.directory, held, self._site.watch, on_change=self._on_change, on_end=self._on_end)
        self._machine = machine
        machine.watch()
        return machine

    def _record_running(self, machine: Machine) -> bool:
        """Write down that it is on, unless it ended in the meantime; whether it is on."""
        with self._facts:
            if self._machine is machine:
                self._write(Condition.ON)
            return self._machine is machine

    def _why_not(self, otherwise: str) -> GuestFailure:
        return why_not(self.directory / command.QEMU_LOG, otherwise)

    # --- steps of verbs ---------------------------------------------------------------------------------

    def _press_power_button(self, timeout_seconds: float) -> None:
        machine = self._machine
        if machine is not None and machine.state is not PowerState.CRASHED:
            self._forget_memory()
            with self._by_request():
                machine.press_power_button(timeout_seconds=timeout_seconds)

    def _pull_the_plug(self) -> None:
        machine = self._machine
        if machine is not None:
            with self._by_request():
                machine.pull_the_plug()

    def _run_command(self, name: str) -> None:
        self._require_definition()
        machine = self._machine
        if machine is None or machine.state not in (PowerState.RUNNING, PowerState.PAUSED):
            raise not_running(self.power)
        self._forget_memory()
        with self._by_request():
            machine.command(name)

    def _forget_memory(self) -> None:
        """Before it runs again: what was saved would then belong to another past of its disks."""
        if self._require_definition().memory:
            self._rewrite(memory="")
            forget_memory(self.directory)

    def _leave_rescue_disk(self) -> None:
        self._rewrite(rescue=None)
        (self.directory / RESCUE_DISK).unlink(missing_ok=True)

    def _require_definition(self) -> Definition:
        definition = self._definition
        if definition is None or definition.condition is Condition.PREPARING:
            raise GuestFailure(FaultCause.GUEST_MISSING, "the server is not on its host any more")
        return definition

    @contextlib.contextmanager
    def _making_disks(self) -> Iterator[None]:
        """While images are in use of which the definition does not tell yet."""
        self._is_making = True
        try:
            with disk_trouble():
                yield
        finally:
            self._is_making = False

    @contextlib.contextmanager
    def _by_request(self) -> Iterator[None]:
        before, self._asked = self._asked, True
        try:
            yield
        finally:
            self._asked = before

    # --- what comes on the watch's thread ---------------------------------------------------------------

    def _on_change(self, kind: GuestEventKind, detail: str) -> None:
        if not self._asked:
            self._announce(kind, detail)

    def _on_end(self, how: str) -> None:
        asked = self._asked
        with self._facts:
            machine, self._machine = self._machine, None
            if self._is_on_its_way:
                return  # whoever waits for it will miss it
            meant = asked or (machine is not None and machine.halted)
            self._write(Condition.OFF if meant else Condition.CRASHED)
        if not asked:
            kind = GuestEventKind.STOPPED if meant else GuestEventKind.CRASHED
            self._announce(kind, "" if meant else how)

    def _announce(self, kind: GuestEventKind, detail: str) -> None:
        _LOG.info("guest %s: %s %s", self.uuid, kind, detail)
        self._site.herald.announce(GuestEvent(uuid=self.uuid, kind=kind, power_state=self.power, detail=detail))

    def _rewrite(self, **facts: Any) -> None:
        with self._facts:
            if self._definition is not None:
                self._definition = replace(self._definition, **facts)
                save_definition(self.directory, self._definition)

    def _record(self, condition: Condition) -> None:
        with self._facts:
            self._write(condition)

    def _write(self, condition: Condition) -> None:
        if self._definition is not None:
            self._definition = replace(self._definition, condition=condition, boot_id=host.boot_id())
            save_definition(self.directory, self._definition)


def not_running(state: PowerState) -> GuestFailure:
    """What is said of a verb that needs a guest to run."""
    return GuestFailure(FaultCause.DRIVER_ERROR, f"the server is not running, it is {state.name.lower()}")
