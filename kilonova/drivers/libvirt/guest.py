"""The verbs on one guest, by libvirt. What is known of it, and what befalls it on its own, is in ``known``."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
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
from kilonova.drivers.disks.moving import take_disks
from kilonova.drivers.disks.tool import SNAPSHOT_FORMAT, copy_at_rest, disk_trouble
from kilonova.drivers.instances.aside import Aside
from kilonova.drivers.instances.console import put_before, read_console, take_console, trim_console
from kilonova.drivers.instances.definition import (
    DEFINITION_FILE,
    Condition,
    Definition,
    Disk,
    DiskRole,
    find_definition,
    placed,
    save_definition,
)
from kilonova.drivers.instances.passwords import ANSWER_SECONDS, hidden, require_agent
from kilonova.drivers.instances.room import make_open_directory, remove_directory, require_memory
from kilonova.drivers.libvirt.copying import copy_live
from kilonova.drivers.libvirt.description import CONSOLE_LOG, Place, describe, files_of
from kilonova.drivers.libvirt.known import KnownGuest
from kilonova.drivers.libvirt.migration import runs_at
from kilonova.drivers.libvirt.statistics import diagnose
from kilonova.drivers.libvirt.words import translated
from kilonova.drivers.protocol import GuestSpec, ImageSource

_LOG = logging.getLogger(__name__)
_PRESS_SECONDS: Final = 2.0  # a guest that still boots does not hear its power button: press again
_LOOK_SECONDS: Final = 0.1
_COPY_SECONDS: Final = 3600.0
_FORCE_BOOT: Final = 8  # VIR_DOMAIN_START_FORCE_BOOT: what was saved of its memory is forgotten
_ACPI: Final = 1  # VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
UP: Final = (PowerState.RUNNING, PowerState.PAUSED, PowerState.SUSPENDED)


class Guest(KnownGuest):
    """A guest with its verbs, which come one at a time and within ``turn`` (the driver sees to it)."""

    # --- verbs -------------------------------------------------------------------------------------------

    def spawn(self, spec: GuestSpec) -> None:
        """Make it and switch it on. What fails before it ran once leaves nothing behind."""
        if self._definition is None and (self.directory / DEFINITION_FILE).exists():
            text = "there is something on the host that is not understood"
            raise GuestFailure(FaultCause.DRIVER_ERROR, text, detail=f"{self.directory} is not of this version")
        if self.is_made:
            self.power_on()
            return
        self._forget_domain()  # of an attempt that was cut off
        try:
            with disk_trouble():
                self._prepare(spec, lambda: make_disks(spec, self.directory, self._site.cache))
            self._launch()
        except BaseException:
            self._leave_nothing()
            raise

    def take_in(self, spec: GuestSpec, source: Path) -> None:
        """Make it, switched off, of what its own directory elsewhere has; one that is here already is left alone."""
        if self.is_made:
            return
        was = find_definition(source)
        if was is None or was.uuid != self.uuid:
            text = "what the server left on its old host cannot be reached from its new one"
            raise GuestFailure(FaultCause.GUEST_MISSING, text, detail=f"there is no guest in {source}")
        try:
            with disk_trouble():
                self._prepare(spec, lambda: take_disks(source, was, spec, self.directory, self._site.cache), was=was)
                take_console(source / CONSOLE_LOG, self.directory)
        except BaseException:
            self._leave_nothing()
            raise

    def set_aside(self, aside: Aside) -> Path:
        """Put it, switched off, where what has moved away is kept; gives the place. It is not here any more."""
        self._forget_domain()
        self._definition = None
        return aside.put(self.directory)

    def put_back(self, aside: Aside) -> None:
        """Put what is kept of it in the place of what is here, if anything is kept."""
        if aside.find(self.uuid) is not None:
            self.destroy()
            aside.take_back(self.directory)
            self._definition = find_definition(self.directory)
            self._known = PowerState.SHUTDOWN
        self.require_definition()

    def await_arrival(self, spec: GuestSpec) -> Mapping[str, Any]:
        """Make disks for one that is to come while it runs; gives its files and the images that they stand on.

        It stays half-made until it has arrived. One that is here already is left alone.
        """
        if not self.is_made and not self.has_arrived:
            with disk_trouble():
                remove_directory(self.directory)
                make_open_directory(self.directory)
                made = Definition.of(spec)
                save_definition(self.directory, made)
                self._definition = replace(made, disks=make_disks(spec, self.directory, self._site.cache))
                save_definition(self.directory, self._definition)
        made = self._definition or Definition.of(spec)
        return {
            "files": files_of(made, self.directory),
            "bases": {disk.role.value: disk.base for disk in made.disks if disk.base is not None},
            "console": str(self.directory / CONSOLE_LOG),
        }

    @property
    def has_arrived(self) -> bool:
        """Whether a half-made one has a domain that is up: it came from another host."""
        return not self.is_made and self._is_active()

    def has_left(self, note: Path, target: Mapping[str, Any]) -> bool:
        """Whether it went to the target before, by a driver that was cut off and wrote the note."""
        return note.exists() and not self._is_active() and runs_at(self.uuid, target)

    def arrive(self, source: Path, places: Sequence[str | None]) -> None:
        """Be a full guest of this host; its console log begins with what it wrote on the old one.

        ``places`` are those of its cards.
        """
        if self.is_made:
            return
        if not self.has_arrived:
            raise GuestFailure(FaultCause.GUEST_MISSING, "the server did not arrive on its new host")
        with disk_trouble():
            put_before(source / CONSOLE_LOG, self.directory / CONSOLE_LOG)
            if self._definition is not None:
                self._rewrite(nics=placed((nic for _, nic in self._definition.cards), places))
        self._record(Condition.ON)
        self._site.domains.define(self.uuid, self.describe())
        self._known = self.power

    def destroy(self) -> None:
        """Switch it off and remove its domain and its directory."""
        self._forget_domain()
        remove_directory(self.directory)
        self._definition = None
        self._known = PowerState.NOSTATE

    def power_on(self) -> None:
        """Switch it on, unless it is."""
        self.require_definition()
        if self.power not in UP:
            self._pull_the_plug()
            self._launch()

    def power_off(self, timeout_seconds: float) -> None:
        """Press the button, then pull the plug."""
        self.require_definition()
        self._press_power_button(timeout_seconds)
        self._pull_the_plug()

    def reboot(self, *, hard: bool, timeout_seconds: float) -> None:
        """Off and on again, or on if it was off. Each time is a new QEMU, so also a hung one is cured by it."""
        self.require_definition()
        if not hard:
            self._press_power_button(timeout_seconds)
        self._pull_the_plug()
        self._launch()

    def pause(self) -> None:
        """Freeze it."""
        domain = self.require_up()
        if self.power is not PowerState.PAUSED:
            with translated("pause the server"):
                domain.suspend()
        self._known = PowerState.PAUSED

    def unpause(self) -> None:
        """Let it go on."""
        domain = self.require_up()
        if self.power is not PowerState.RUNNING:
            with translated("let the server go on"):
                domain.resume()
        self._known = PowerState.RUNNING

    def inject_nmi(self) -> None:
        """Strike all of its processors."""
        with translated("interrupt the server"):
            self.require_up().injectNMI(0)

    def set_password(self, password: str) -> None:
        """Have the agent inside set it; libvirt waits for it without end unless it is told otherwise."""
        definition, domain = self.require_definition(), self.require_up()
        require_agent(definition)
        with hidden(password), translated("set the password"):
            domain.agentSetResponseTimeout(ANSWER_SECONDS, 0)
            domain.setUserPassword(definition.admin_user, password, 0)

    def suspend(self) -> None:
        """Have libvirt save its memory and end its QEMU (managed save)."""
        self.require_definition()
        if not self._has_saved_memory():
            with disk_trouble(), translated("suspend the server"):
                self.require_up().managedSave(0)
        self._record(Condition.OFF)
        self._known = PowerState.SHUTDOWN

    def resume(self) -> None:
        """Let it go on from its memory, or only let it go on."""
        self.require_definition()
        domain = self._site.domains.find(self.uuid)
        if domain is not None and self.power not in UP and self._has_saved_memory():
            require_memory(self.require_definition().memory_mb)
            with translated("resume the server"):
                domain.create()
            self._record(Condition.ON)
        self.unpause()

    def rescue(self, image: ImageSource, timeout_seconds: float) -> None:
        """Make the disk, switch the guest off, boot it from the disk; its own one again where that fails."""
        definition = self.require_definition()
        if definition.rescue is not None and definition.rescue.base == cache_key(image) and self.power in UP:
            return
        if definition.rescue is not None:  # it may be in use
            self._pull_the_plug()
        with disk_trouble():
            disk = make_rescue_disk(image, self.directory, self._site.cache)
        if definition.rescue is None:
            self._press_power_button(timeout_seconds)
            self._pull_the_plug()
        with disk_trouble():
            self._rewrite(rescue=disk)
        try:
            self._launch()
        except BaseException:
            self._leave_rescue_disk()
            raise

    def unrescue(self) -> None:
        """Boot it from its own disk, unless it runs from that."""
        if self.require_definition().rescue is None and self.power in UP:
            return
        self._pull_the_plug()
        self._leave_rescue_disk()
        self._launch()

    def snapshot(self, destination: Path) -> str:
        """Copy its root disk: by its QEMU where it is up, else with qemu-img."""
        definition = self.require_definition()
        root = definition.find_disk(DiskRole.ROOT)
        if root is None:
            raise GuestFailure(FaultCause.DRIVER_ERROR, "the server has no disk of which an image could be made")
        domain = self._site.domains.find(self.uuid)
        with disk_trouble():
            if domain is not None and self.power in UP:
                device = f"vd{chr(ord('a') + definition.attached.index(root))}"
                copy_live(domain, device, destination, timeout_seconds=_COPY_SECONDS)
            else:
                self._pull_the_plug()  # of one that panicked and holds its disk
                copy_at_rest(self.directory, root, destination)
        return SNAPSHOT_FORMAT

    def diagnose(self) -> Diagnostics | None:
        """What libvirt counts of it; None while it does not run."""
        definition = self.require_definition()
        domain = self._site.domains.find(self.uuid)
        if domain is None or self.power is not PowerState.RUNNING:
            return None
        return diagnose(domain, definition)

    def console_log(self, lines: int | None) -> str:
        """What it wrote."""
        self.require_definition()
        return read_console(self.directory / CONSOLE_LOG, lines=lines)

    def tend(self) -> None:
        """What is to be done now and then."""
        if self.is_made:
            trim_console(self.directory / CONSOLE_LOG)

    # --- steps of verbs ---------------------------------------------------------------------------------

    def _leave_nothing(self) -> None:
        """Remove what an attempt made that failed; while the daemon is gone it stays half-made."""
        try:
            self.destroy()
        except HypervisorUnavailable:
            with disk_trouble():
                self._rewrite(condition=Condition.PREPARING)

    def _forget_domain(self) -> None:
        """Switch it off and have libvirt know it no more."""
        domain = self._site.domains.find(self.uuid)
        if domain is not None:
            self._site.domains.stop(domain)
            self._site.domains.undefine(domain)

    def _prepare(self, spec: GuestSpec, make: Callable[[], tuple[Disk, ...]], *, was: Definition | None = None) -> None:
        """Make its directory, with the disks that ``make`` makes there; ``was`` is what it was made of elsewhere."""
        require_memory(spec.memory_mb)
        remove_directory(self.directory)  # of an attempt that was cut off
        make_open_directory(self.directory)
        definition = Definition.of(spec, was.places if was is not None else ())
        save_definition(self.directory, definition)
        self._definition = replace(definition, disks=make())
        self._rewrite(condition=Condition.OFF, boot_id=host.boot_id())
        self._known = PowerState.SHUTDOWN

    def _launch(self) -> None:
        definition = self.require_definition()
        require_memory(definition.memory_mb)
        with disk_trouble():
            trim_console(self.directory / CONSOLE_LOG)
        domain = self._site.domains.define(self.uuid, self.describe())
        with translated("start the server"):
            domain.createWithFlags(_FORCE_BOOT)
        self._record(Condition.ON)
        self._known = PowerState.RUNNING

    def describe(self) -> str:
        """Its domain, as libvirt is told of it."""
        site = self._site
        place = Place(directory=self.directory, accelerator=site.accelerator, owner=site.owner, bridge=site.bridge)
        return describe(self.require_definition(), place)

    def _press_power_button(self, timeout_seconds: float) -> None:
        """Press it, again and again, until the guest is off or the time is over."""
        domain = self._site.domains.find(self.uuid)
        if domain is None or timeout_seconds <= 0 or self.power not in UP:
            return
        until = time.monotonic() + timeout_seconds
        try:
            if self.power is PowerState.PAUSED:
                with translated("let the server go on"):
                    domain.resume()
            while time.monotonic() < until and self._is_active():
                with translated("press the server's power button"):
                    domain.shutdownFlags(_ACPI)
                self._await_end(min(until, time.monotonic() + _PRESS_SECONDS))
        except GuestFailure as failure:  # it went off between two looks, or cannot be asked: the plug is next
            _LOG.info("guest %s cannot be asked to stop: %s", self.uuid, failure.detail)

    def _is_active(self) -> bool:
        sight = self._site.domains.look(self.uuid)
        return sight is not None and sight.is_active

    def _await_end(self, until: float) -> None:
        while self._is_active() and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)

    def _pull_the_plug(self) -> None:
        domain = self._site.domains.find(self.uuid)
        if domain is not None:
            self._site.domains.stop(domain)
        if self.require_definition().condition is not Condition.OFF:
            self._record(Condition.OFF)
        self._known = PowerState.SHUTDOWN

    def _has_saved_memory(self) -> bool:
        domain = self._site.domains.find(self.uuid)
        if domain is None:
            return False
        with translated("tell whether the server is suspended"):
            return bool(domain.hasManagedSaveImage(0))

    def _leave_rescue_disk(self) -> None:
        with disk_trouble():
            self._rewrite(rescue=None)
        (self.directory / RESCUE_DISK).unlink(missing_ok=True)

    def require_up(self) -> Any:
        """Its domain. Raises GuestFailure where it neither runs nor is frozen."""
        self.require_definition()
        domain, power = self._site.domains.find(self.uuid), self.power
        if domain is None or power not in UP:
            text = f"the server is not running, it is {power.name.lower()}"
            raise GuestFailure(FaultCause.DRIVER_ERROR, text)
        return domain
