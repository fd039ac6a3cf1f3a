"""What is known of one guest, and how it is told from what libvirt shows: so surprises are found, and announced.

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

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.herald import Herald
from kilonova.drivers.instances.aside import Aside
from kilonova.drivers.instances.cards import Patience
from kilonova.drivers.instances.definition import (
    DEFINITION_FILE,
    Condition,
    Definition,
    find_definition,
    save_definition,
)
from kilonova.drivers.libvirt.connection import Connection, Happening
from kilonova.drivers.libvirt.domains import Domains, Sight
from kilonova.drivers.protocol import GuestEvent, GuestEventKind
from kilonova.drivers.turns import Turns

_LOG = logging.getLogger(__name__)
_RESET_ECHO_SECONDS: Final = 3.0  # the firmware answers a reset with one or two of its own
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
    aside: Aside
    cache: ImageCache
    accelerator: host.Accelerator
    connection: Connection
    domains: Domains
    herald: Herald
    owner: str
    bridge: str
    patience: Patience
    turns: Turns


class KnownGuest:
    """A guest that is there, is being made, or (``is_absent``) is not there; the verbs are elsewhere.

    Verbs come one at a time, within ``turn`` (the driver sees to the turns). The driver's watch comes in by ``judge``
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
    def turn(self) -> Iterator[None]:
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

    def require_definition(self) -> Definition:
        """What it is made of. Raises GuestFailure where it is not made."""
        definition = self._definition
        if definition is None or definition.condition is Condition.PREPARING:
            raise GuestFailure(FaultCause.GUEST_MISSING, "the server is not on its host any more")
        return definition

    # --- keeping it ---------------------------------------------------------------------------------------

    def _announce(self, kind: GuestEventKind, power: PowerState, detail: str) -> None:
        _LOG.info("guest %s: %s %s", self.uuid, kind, detail)
        self._site.herald.announce(GuestEvent(uuid=self.uuid, kind=kind, power_state=power, detail=detail))

    def _rewrite(self, **facts: Any) -> None:
        with self._facts:
            if self._definition is not None:
                self._definition = replace(self._definition, **facts)
                save_definition(self.directory, self._definition)

    def _record(self, condition: Condition) -> None:
        """Write down how it is. A full disk is no reason to fail: a later driver learns it from libvirt as well."""
        try:
            self._rewrite(condition=condition, boot_id=host.boot_id())
        except OSError as error:
            _LOG.warning("that guest %s is %s could not be written down: %s", self.uuid, condition, error)
