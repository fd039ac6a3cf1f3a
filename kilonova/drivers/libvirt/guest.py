"""One guest: its directory, its definition, the domain that libvirt has of it, and the verbs on it.

libvirt is asked how the guest is, each time; what is kept is what was last known, so that a change which no verb made
can be told from one that a verb made.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache, cache_key
from kilonova.drivers.disks.making import RESCUE_DISK, make_disks, make_rescue_disk
from kilonova.drivers.disks.tool import disk_trouble
from kilonova.drivers.herald import Herald
from kilonova.drivers.instances.console import read_console, trim_console
from kilonova.drivers.instances.definition import (
    DEFINITION_FILE,
    Condition,
    Definition,
    DiskRole,
    find_definition,
    save_definition,
)
from kilonova.drivers.instances.room import remove_directory, require_memory
from kilonova.drivers.libvirt.connection import Happening
from kilonova.drivers.libvirt.copying import SNAPSHOT_FORMAT, copy_at_rest, copy_live
from kilonova.drivers.libvirt.description import CONSOLE_LOG, Place, describe
from kilonova.drivers.libvirt.domains import Domains, Sight
from kilonova.drivers.libvirt.statistics import diagnose
from kilonova.drivers.libvirt.words import translated
from kilonova.drivers.protocol import GuestEvent, GuestEventKind, GuestSpec, ImageSource

_LOG = logging.getLogger(__name__)
_PRESS_SECONDS: Final = 2.0  # a guest that still boots does not hear its power button: press again
_LOOK_SECONDS: Final = 0.1
_COPY_SECONDS: Final = 3600.0
_RESET_ECHO_SECONDS: Final = 3.0  # the firmware answers a reset with one or two of its own
_FORCE_BOOT: Final = 8  # VIR_DOMAIN_START_FORCE_BOOT: what was saved of its memory is forgotten
_ACPI: Final = 1  # VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
_UP: Final = (PowerState.RUNNING, PowerState.PAUSED, PowerState.SUSPENDED)
_WHEN_OFF: Final[Mapping[Condition, PowerState]] = {
    Condition.PREPARING: PowerState.NOSTATE,
    Condition.OFF: PowerState.SHUTDOWN,
    Condition.ON: PowerState.RUNNING,
    Condition.CRASHED: PowerState.CRASHED,
}
_KINDS: Final[Mapping[PowerState, GuestEventKind]] = {
    PowerState.SHUTDOWN: GuestEventKind.STOPPED,
    PowerState.CRASHED: GuestEventKind.CRASHED,
    PowerState.PAUSED: GuestEventKind.PAUSED,
    PowerState.SUSPENDED: GuestEventKind.PAUSED,
    PowerState.RUNNING: GuestEventKind.RESUMED,
}


@dataclass(frozen=True, slots=True)
class Site:
    """What all guests of a driver share."""

    instances: Path
    cache: ImageCache
    accelerator: host.Accelerator
    domains: Domains
    herald: Herald
    owner: str
    bridge: str


class Guest:
    """A guest that is there, is being made, or (``is_absent``) is not there.

    Verbs come one at a time, within ``verb`` (the driver sees to the turns). The driver's watch comes in by ``judge``
    and ``hear`` only, which leave a guest alone while a verb is at work.
    """

    def __init__(self, uuid: str, site: Site) -> None:
        self.uuid = uuid
        self.directory = site.instances / uuid
        self._site = site
        self._definition = find_definition(self.directory)
        self._facts = threading.RLock()  # what is known and the definition change together
        self._known = PowerState.NOSTATE
        self._is_busy = False
        self._last_reset = float("-inf")

    @property
    def is_absent(self) -> bool:
        """Whether nothing of it is left."""
        return not self.directory.exists()

    @property
    def base_images(self) -> frozenset[str] | None:
        """The names of the cached images that its disks stand on; None where nobody can tell."""
        return None if self._definition is None else self._definition.base_images

    @property
    def definition(self) -> Definition | None:
        """What it is made of; None where it is not made."""
        return self._definition if self.is_made else None

    @property
    def is_made(self) -> bool:
        """Whether it is a whole guest, and not a half-made one."""
        return self._definition is not None and self._definition.condition is not Condition.PREPARING

    @contextlib.contextmanager
    def verb(self) -> Iterator[None]:
        """What happens inside is our doing, and is not announced; what follows is."""
        with self._facts:
            self._is_busy = True
        try:
            yield
        except BaseException:
            self._end_of_verb(is_surprising=False)
            raise
        self._end_of_verb(is_surprising=True)

    def _end_of_verb(self, *, is_surprising: bool) -> None:
        with self._facts:
            self._is_busy = False
            with contextlib.suppress(HypervisorUnavailable, GuestFailure):  # then the watch looks again
                if is_surprising:
                    self.judge()
                elif self.is_made:
                    self._known = self.power_as_shown(self._site.domains.look(self.uuid))

    # --- how it is --------------------------------------------------------------------------------------

    @property
    def power(self) -> PowerState:
        """Its power state now, as libvirt says. Raises HypervisorUnavailable."""
        return self.power_as_shown(self._site.domains.look(self.uuid)) if self.is_made else PowerState.NOSTATE

    def power_as_shown(self, sight: Sight | None) -> PowerState:
        """Its power state where libvirt shows it so, or not at all."""
        definition = self._definition
        if definition is None or definition.condition is Condition.PREPARING:
            return PowerState.NOSTATE
        if sight is not None and sight.is_active:
            return sight.power or PowerState.NOSTATE
        if definition.condition is not Condition.ON:
            return _WHEN_OFF[definition.condition]
        return self._end(definition, sight)[0]

    @staticmethod
    def _end(definition: Definition, sight: Sight | None) -> tuple[PowerState, str]:
        """How one that was on came to be off, and why."""
        if definition.boot_id != host.boot_id():
            return PowerState.SHUTDOWN, "the host was restarted"
        if sight is None:
            return PowerState.SHUTDOWN, "somebody removed it from libvirt past Kilonova; to start it brings it back"
        if sight.power is None:
            return PowerState.CRASHED, "its QEMU ended while nobody watched"
        return sight.power, sight.why

    def adopt(self) -> None:
        """Take over what an earlier driver left, and tell what happened meanwhile."""
        definition = self._definition
        if definition is None:
            if (self.directory / DEFINITION_FILE).exists():
                _LOG.warning("%s is not of this version; only destroy will touch it", self.directory)
            return
        sight = self._site.domains.look(self.uuid)
        if sight is not None and sight.is_active:
            self._known = self.power_as_shown(sight)
        else:
            self._known = _WHEN_OFF[definition.condition]
        self.judge()

    def judge(self, detail: str = "") -> None:
        """See how it is now, and tell if that is not what was known. Nothing while a verb is at work."""
        with self._facts:
            definition = self._definition
            if self._is_busy or definition is None or definition.condition is Condition.PREPARING:
                return
            sight = self._site.domains.look(self.uuid)
            is_active = sight is not None and sight.is_active
            power = self.power_as_shown(sight)
            why = detail or (sight.why if sight is not None else "")
            if not is_active and definition.condition is Condition.ON:
                power, why = self._end(definition, sight)
                self._record(Condition.CRASHED if power is PowerState.CRASHED else Condition.OFF)
            elif is_active and definition.condition is not Condition.ON:
                self._record(Condition.ON)
            if power is self._known:
                return
            self._known = power
            is_stuck = sight is not None and sight.is_stuck
            self._announce(GuestEventKind.IO_ERROR if is_stuck else _KINDS[power], power, why)

    def hear(self, happening: Happening) -> None:
        """Take note of what libvirt told."""
        match happening.what:
            case "reset":
                self._hear_reset()
            case "io_error":
                self._hear_failed_access(happening.detail)
            case "watchdog":
                self.judge(happening.detail)
            case _:
                self.judge()

    def _hear_reset(self) -> None:
        with self._facts:
            before, self._last_reset = self._last_reset, time.monotonic()
            if not self._is_busy and self.is_made and self._last_reset - before > _RESET_ECHO_SECONDS:
                self._announce(GuestEventKind.RESET, self._known, "")

    def _hear_failed_access(self, detail: str) -> None:
        with self._facts:
            before = self._known
            self.judge(detail)
            if not self._is_busy and self.is_made and before is self._known is PowerState.RUNNING:
                self._announce(GuestEventKind.IO_ERROR, self._known, detail)

    # --- verbs -------------------------------------------------------------------------------------------

    def spawn(self, spec: GuestSpec) -> None:
        """Make it and switch it on. What fails before it ran once leaves nothing behind."""
        if self._definition is None and (self.directory / DEFINITION_FILE).exists():
            text = "there is something on the host that is not understood"
            raise GuestFailure(FaultCause.DRIVER_ERROR, text, detail=f"{self.directory} is not of this version")
        if self.is_made:
            self.power_on()
            return
        try:
            with disk_trouble():
                self._prepare(spec)
            self._launch()
        except BaseException:
            self.destroy()
            raise

    def destroy(self) -> None:
        """Switch it off and remove its domain and its directory."""
        domain = self._site.domains.find(self.uuid)
        if domain is not None:
            self._site.domains.stop(domain)
            self._site.domains.undefine(domain)
        remove_directory(self.directory)
        self._definition = None
        self._known = PowerState.NOSTATE

    def power_on(self) -> None:
        """Switch it on, unless it is."""
        self._require_definition()
        if self.power not in _UP:
            self._pull_the_plug()
            self._launch()

    def power_off(self, timeout_seconds: float) -> None:
        """Press the button, then pull the plug."""
        self._require_definition()
        self._press_power_button(timeout_seconds)
        self._pull_the_plug()

    def reboot(self, *, hard: bool, timeout_seconds: float) -> None:
        """Off and on again, or on if it was off. Each time is a new QEMU, so also a hung one is cured by it."""
        self._require_definition()
        if not hard:
            self._press_power_button(timeout_seconds)
        self._pull_the_plug()
        self._launch()

    def pause(self) -> None:
        """Freeze it."""
        domain = self._require_up()
        if self.power is not PowerState.PAUSED:
            with translated("pause the server"):
                domain.suspend()
        self._known = PowerState.PAUSED

    def unpause(self) -> None:
        """Let it go on."""
        domain = self._require_up()
        if self.power is not PowerState.RUNNING:
            with translated("let the server go on"):
                domain.resume()
        self._known = PowerState.RUNNING

    def inject_nmi(self) -> None:
        """Strike all of its processors."""
        with translated("interrupt the server"):
            self._require_up().injectNMI(0)

    def set_password(self, user: str, password: str) -> None:
        """Have the agent inside set it."""
        with translated("set the password"):
            self._require_up().setUserPassword(user, password, 0)

    def suspend(self) -> None:
        """Have libvirt save its memory and end its QEMU (managed save)."""
        self._require_definition()
        if not self._has_saved_memory():
            with disk_trouble(), translated("suspend the server"):
                self._require_up().managedSave(0)
        self._record(Condition.OFF)
        self._known = PowerState.SHUTDOWN

    def resume(self) -> None:
        """Let it go on from its memory, or only let it go on."""
        self._require_definition()
        domain = self._site.domains.find(self.uuid)
        if domain is not None and self.power not in _UP and self._has_saved_memory():
            require_memory(self._require_definition().memory_mb)
            with translated("resume the server"):
                domain.create()
            self._record(Condition.ON)
        self.unpause()

    def rescue(self, image: ImageSource, timeout_seconds: float) -> None:
        """Make the disk, switch the guest off, boot it from the disk; its own one again where that fails."""
        definition = self._require_definition()
        if definition.rescue is not None and definition.rescue.base == cache_key(image) and self.power in _UP:
            return
        if definition.rescue is not None:  # it may be in use
            self._pull_the_plug()
        with disk_trouble():
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
        if self._require_definition().rescue is None and self.power in _UP:
            return
        self._pull_the_plug()
        self._leave_rescue_disk()
        self._launch()

    def snapshot(self, destination: Path) -> str:
        """Copy its root disk: by its QEMU where it is up, else with qemu-img."""
        definition = self._require_definition()
        root = definition.find_disk(DiskRole.ROOT)
        if root is None:
            raise GuestFailure(FaultCause.DRIVER_ERROR, "the server has no disk of which an image could be made")
        domain = self._site.domains.find(self.uuid)
        with disk_trouble():
            if domain is not None and self.power in _UP:
                device = f"vd{chr(ord('a') + definition.attached.index(root))}"
                copy_live(domain, device, destination, timeout_seconds=_COPY_SECONDS)
            else:
                self._pull_the_plug()  # of one that panicked and holds its disk
                copy_at_rest(self.directory, root, destination)
        return SNAPSHOT_FORMAT

    def diagnose(self) -> Diagnostics | None:
        """What libvirt counts of it; None while it does not run."""
        definition = self._require_definition()
        domain = self._site.domains.find(self.uuid)
        if domain is None or self.power is not PowerState.RUNNING:
            return None
        return diagnose(domain, definition)

    def console_log(self, lines: int | None) -> str:
        """What it wrote."""
        self._require_definition()
        return read_console(self.directory / CONSOLE_LOG, lines=lines)

    def tend(self) -> None:
        """What is to be done now and then."""
        if self.is_made:
            trim_console(self.directory / CONSOLE_LOG)

    # --- steps of verbs ---------------------------------------------------------------------------------

    def _prepare(self, spec: GuestSpec) -> None:
        require_memory(spec.memory_mb)
        remove_directory(self.directory)  # of an attempt that was cut off
        self.directory.mkdir(mode=0o711)
        definition = Definition.of(spec)
        save_definition(self.directory, definition)
        disks = make_disks(spec, self.directory, self._site.cache)
        self._definition = replace(definition, disks=disks)
        self._record(Condition.OFF)

    def _launch(self) -> None:
        definition = self._require_definition()
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
        return describe(self._require_definition(), place)

    def _press_power_button(self, timeout_seconds: float) -> None:
        """Press it, again and again, until the guest is off or the time is over."""
        domain = self._site.domains.find(self.uuid)
        if domain is None or timeout_seconds <= 0 or self.power not in _UP:
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
        if self._require_definition().condition is not Condition.OFF:
            self._record(Condition.OFF)
        self._known = PowerState.SHUTDOWN

    def _has_saved_memory(self) -> bool:
        domain = self._site.domains.find(self.uuid)
        if domain is None:
            return False
        with translated("tell whether the server is suspended"):
            return bool(domain.hasManagedSaveImage(0))

    def _leave_rescue_disk(self) -> None:
        self._rewrite(rescue=None)
        (self.directory / RESCUE_DISK).unlink(missing_ok=True)

    def _require_up(self) -> Any:
        """Its domain. Raises GuestFailure where it neither runs nor is frozen."""
        self._require_definition()
        domain, power = self._site.domains.find(self.uuid), self.power
        if domain is None or power not in _UP:
            text = f"the server is not running, it is {power.name.lower()}"
            raise GuestFailure(FaultCause.DRIVER_ERROR, text)
        return domain

    def _require_definition(self) -> Definition:
        definition = self._definition
        if definition is None or definition.condition is Condition.PREPARING:
            raise GuestFailure(FaultCause.GUEST_MISSING, "the server is not on its host any more")
        return definition

    def _announce(self, kind: GuestEventKind, power: PowerState, detail: str) -> None:
        _LOG.info("guest %s: %s %s", self.uuid, kind, detail)
        self._site.herald.announce(GuestEvent(uuid=self.uuid, kind=kind, power_state=power, detail=detail))

    def _rewrite(self, **facts: Any) -> None:
        with self._facts:
            if self._definition is not None:
                self._definition = replace(self._definition, **facts)
                save_definition(self.directory, self._definition)

    def _record(self, condition: Condition) -> None:
        self._rewrite(condition=condition, boot_id=host.boot_id())
