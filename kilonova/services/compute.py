"""The agent on a compute host: pulls work through the door, has the driver do it, and reports.

It keeps no state that matters. Whatever it was doing when it died is given to its next run again, and drivers may
be asked for the same thing twice.
"""

import json
import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Final
from uuid import uuid4

from kilonova.domain.changes import Phase, Raised
from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import (
    Conflict,
    GuestFailure,
    HypervisorUnavailable,
    KilonovaError,
    NotSupported,
    Unavailable,
)
from kilonova.domain.faults import FaultCause
from kilonova.domain.images import Image
from kilonova.domain.model import SECOND, Clock, Instant
from kilonova.domain.operations import Operation, get_operation
from kilonova.domain.states import PowerState, TaskState
from kilonova.domain.workflow import Leg
from kilonova.drivers.protocol import CanCacheImages, CanDiagnose, CanReadConsole, CanSetPassword, Driver, GuestEvent
from kilonova.services.crew import Crew
from kilonova.services.door import Door, Failure, HostReport, NodeReport, Observation, PhaseReport, Work
from kilonova.services.driver_calls import DriverCalls, is_able
from kilonova.services.sampling import Sampler
from kilonova.services.settings import ServiceSettings

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS: Final = 5.0
"""How long a stop waits for operations in hand."""
_HANG_SECONDS: Final = 15.0
"""A hypervisor that has not answered for so long is told of as silent."""
_NOT_LOOKED: Final = "nobody has asked the hypervisor yet"
_PAUSES_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Between attempts to be heard by the control plane; the last one is repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who an agent is: the name of its host, the id that all runs of it share, and the clock that it goes by."""

    host: str
    agent_id: str
    clock: Clock


class Agent:
    """One run of the agent of one host. ``prod`` is called when there may be more work to fetch.

    ``door`` is all that it knows of the control plane, ``driver`` all that it knows of the hypervisor. ``crew`` carries
    operations out in the background.
    """

    def __init__(
        self, person: Person, driver: Driver, door: Door, calls: DriverCalls, *, settings: ServiceSettings, crew: Crew
    ) -> None:
        self.host = person.host
        self.agent_id = person.agent_id
        self.run_id = uuid4().hex
        self._clock = person.clock
        self._crew = crew
        self.prod: Callable[[], None] = lambda: None
        self.driver = driver
        self.sampler = Sampler(driver, person.clock)
        self.door = door
        self._calls = calls
        self._settings = settings
        self._working: dict[tuple[int, Leg | None], Work] = {}
        self._next_leg: dict[int, Work] = {}
        self._missed: set[str] = set()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._stopping = threading.Event()
        self._is_concurrent = False
        self._is_resting = False
        self._is_refused = False
        self._seen: tuple[tuple[NodeReport, ...], str | None] = ((), _NOT_LOOKED)
        self._looking_since: Instant | None = None

    def prepare(self) -> None:
        """Adopt what runs on the host, and look at what it has."""
        self.driver.start(self._heard)
        self.look()

    def start(self, *, concurrently: bool) -> None:
        """Say that the prepared agent is there; then it is ready for ``step``.

        With ``concurrently`` operations run on the crew's threads, without it within ``step``.
        """
        self.beat()
        self.compare()
        self._is_concurrent = concurrently

    def rest(self) -> None:
        """Take no more work; what is in hand goes on."""
        self._is_resting = True

    def wait_idle(self, seconds: float) -> list[str]:
        """What is in hand once nothing is, or after so long; ``reboot of <uuid> on <host>`` each."""
        with self._idle:
            self._idle.wait_for(lambda: not self._working, seconds)
            return [f"{work.operation} of {work.instance.uuid} on {self.host}" for work in self._working.values()]

    def stop(self) -> None:
        """Let go of the guests, which keep running; what is in hand and does not end soon is the next run's."""
        with self._idle:
            patience = 0 if self._is_resting else _PATIENCE_SECONDS
            if not self._idle.wait_for(lambda: not self._working, patience):
                _log.warning("%d operations on %s go on at the next start", len(self._working), self.host)
        self._stopping.set()
        self.driver.close()

    def step(self) -> bool:
        """Fetch work and begin it; True if there was any."""
        room = self._settings.max_concurrent_builds - len(self._working)
        if room <= 0 or self._is_resting or self._stopping.is_set() or self._is_refused:
            return False
        fetched = self.door.next_work(self.host, self.run_id, limit=room)
        begun = [work for work in fetched if self._take_in_hand(work)]
        for work in begun:
            self._begin(work)
        return bool(begun)

    def look(self) -> bool:
        """Ask the hypervisor whether it answers and what it has, for the next heartbeats. Always False, as ``beat``.

        A hypervisor that hangs keeps nobody but this: heartbeats then tell for how long it has not answered.
        """
        self._looking_since = self._clock()
        seen = self._look()
        self._looking_since = None
        trouble, before = seen[1], self._seen[1]
        if bool(trouble) is not bool(before) and before is not _NOT_LOOKED:
            _log.warning("The hypervisor of %s %s", self.host, f"does not answer: {trouble}" if trouble else "is back")
        self._seen = seen
        return False

    def beat(self) -> bool:
        """Send a heartbeat with what the host has. Always False: a beat leaves nothing to do.

        A hypervisor that does not answer is told of; the agent lives all the same, and so do the leases of its work.
        While another agent speaks for the host this one takes no work, and tries again at the next beat.
        """
        if not self._is_concurrent:
            self.look()
        report = self.state()
        try:
            self.door.report_state(report)
        except Conflict as refusal:
            if not self._is_refused:
                _log.error("The agent of %s is refused: %s", self.host, refusal.message)
            self._is_refused = True
            return False
        self._is_refused = False
        self.sampler.taken(report.samples)
        return False

    def state(self) -> HostReport:
        """The heartbeat that it would send now."""
        with self._lock:
            working = tuple({action_id for action_id, _ in self._working})
        nodes, trouble = self._seen
        since, now = self._looking_since, self._clock()
        if since is not None and now - since > _HANG_SECONDS * SECOND:
            nodes, trouble = (), f"no answer for {(now - since) // SECOND} s"
        return HostReport(
            host=self.host,
            agent_id=self.agent_id,
            run_id=self.run_id,
            sent_at=now,
            nodes=nodes,
            working=working,
            trouble=trouble,
            samples=self.sampler.waiting(),
            driver=self.driver.name,
        )

    def compare(self) -> bool:
        """Tell the power state of every guest, and remove those that are one too many. Always False, as ``beat``.

        With a negative ``sync_power_state_interval`` only the second is done.
        """
        self._tell(self.driver.list_guests(), "found so by the comparison of power states", is_complete=True)
        return False

    def is_able(self, operation: Operation) -> bool:
        """Whether the host's driver has what the operation needs."""
        return is_able(self.driver, operation.driver)

    @property
    def needs_guest_agent(self) -> bool:
        """Whether the host's driver sets passwords only in guests with QEMU's agent inside."""
        return isinstance(self.driver, CanSetPassword) and self.driver.needs_agent

    def cache_image(self, image: Image) -> bool:
        """Have the driver fetch an image ahead of time, unless it has it; True if it had not.

        Raises NotSupported where the driver keeps no images, and what the driver raises.
        """
        if not isinstance(self.driver, CanCacheImages):
            raise NotSupported("The driver in use keeps no images.")
        return self.driver.cache_image(self._calls.source_of(image))

    def diagnose(self, uuid: str) -> Diagnostics | None:
        """What the driver counts of a guest, None for one that does not run; NotSupported where it counts nothing."""
        if not isinstance(self.driver, CanDiagnose):
            raise NotSupported("The requested functionality is not supported.")
        return self.driver.diagnose(uuid)

    def console_log(self, uuid: str, *, lines: int | None) -> str:
        """The last lines that the guest wrote to its serial console; NotSupported where the driver keeps none."""
        if not isinstance(self.driver, CanReadConsole):
            raise NotSupported("The driver in use keeps no console log.")
        return self.driver.console_log(uuid, lines=lines)

    def _heard(self, event: GuestEvent) -> None:
        """Pass on what the hypervisor tells of itself; while an operation is in hand, look again once it is over."""
        with self._lock:
            busy = any(work.instance.uuid == event.uuid for work in self._working.values())
            if busy:
                self._missed.add(event.uuid)
        if not busy:
            self._tell_safely({event.uuid: event.power_state}, event.detail)

    def _look_again(self, uuid: str) -> None:
        """Tell how the guest is, if something was heard of it while an operation was in hand."""
        with self._lock:
            missed = uuid in self._missed
            self._missed.discard(uuid)
        power = self._power(uuid) if missed else None
        if power is not None:
            self._tell_safely({uuid: power}, "found so after an operation")

    def _tell_safely(self, powers: Mapping[str, PowerState], detail: str) -> None:
        try:
            self._tell(powers, detail)
        except KilonovaError:
            _log.exception("Could not tell of %s; the next comparison will", ", ".join(powers))

    def _tell(self, powers: Mapping[str, PowerState], detail: str, *, is_complete: bool = False) -> None:
        """Tell power states; remove what is unwanted, and look again where the control plane doubts."""
        if self._is_refused:
            return
        verdict = self.door.observe(self.host, _observations(powers, detail), is_complete=is_complete)
        for uuid in verdict.unwanted:
            _log.warning("Removing guest %s from %s: no server wants it here", uuid, self.host)
            self.driver.destroy(uuid)
        if verdict.doubts and self._settings.sync_power_state_interval >= 0:
            now = {uuid: self.driver.power_state(uuid) for uuid in verdict.doubts}
            self.door.observe(self.host, _observations(now, detail, verdict.doubts))

    def _look(self) -> tuple[tuple[NodeReport, ...], str | None]:
        """What the host has, or why the hypervisor does not say."""
        try:
            self.driver.probe()
            return tuple(self._node(node) for node in self.driver.nodes()), None
        except HypervisorUnavailable as error:
            return (), error.message

    def _node(self, node: str) -> NodeReport:
        has = self.driver.inventory(node)
        return NodeReport(
            hypervisor_hostname=has.node,
            hypervisor_type=has.hypervisor_type,
            hypervisor_version=has.hypervisor_version,
            host_ip=has.host_ip,
            vcpus=has.vcpus,
            memory_mb=has.memory_mb,
            local_gb=has.local_gb,
            disk_available_least=has.local_gb_available,
            cpu_info_json=json.dumps(has.cpu_info),
            uptime_text=has.uptime_text,
        )

    def _take_in_hand(self, work: Work) -> bool:
        """False for what this run has in hand already: its lease ran out, but it is being done.

        A leg that follows one which is still being done, such as its undoing, begins as soon as that is over.
        """
        with self._lock:
            if any(other.action_id == work.action_id and other.leg != work.leg for other in self._working.values()):
                self._next_leg[work.action_id] = work
                return False
            return self._working.setdefault((work.action_id, work.leg), work) is work

    def _begin(self, work: Work) -> None:
        if not self._is_concurrent:
            self._perform(work)
            return
        name = f"{work.operation} {work.instance.uuid}"
        try:
            self._crew.begin(name, lambda: self._perform(work))
        except RuntimeError:
            self._let_go(work)
            raise

    def _let_go(self, work: Work) -> None:
        with self._idle:
            self._working.pop((work.action_id, work.leg), None)
            following = self._next_leg.pop(work.action_id, None)
            self._idle.notify_all()
        is_stopping = self._is_resting or self._stopping.is_set()
        if following is None or is_stopping or not self._take_in_hand(following):
            return
        try:
            self._begin(following)
        except RuntimeError:
            _log.exception("Could not begin %s of %s; it is given out again", following.operation, work.instance.uuid)

    def _perform(self, work: Work) -> None:
        operation = get_operation(work.operation)
        try:
            if not self._report(self._phase(work, Phase.START)):
                return
            outcome = self._outcome(operation, work)
            if outcome is None:
                return
            if not self._report(outcome):
                # What was made may be wanted by nobody now: that is for the control plane to say.
                self._missed.add(work.instance.uuid)
            elif outcome.phase is Phase.END:
                self._calls.follow(work)
        except Exception:  # noqa: BLE001 - whatever it was, the lease runs out and the operation is given out again
            _log.exception("Could not carry out %s of %s", work.operation, work.instance.uuid)
        finally:
            self._let_go(work)
            self._look_again(work.instance.uuid)
            self.prod()

    def _report(self, report: PhaseReport) -> bool:
        """Report until the control plane has heard it; False if the operation is no longer this run's."""
        for pause in chain(_PAUSES_SECONDS, repeat(_PAUSES_SECONDS[-1])):
            try:
                return self.door.report(report)
            except Unavailable as error:
                _log.warning("Could not report action %d, trying again: %s", report.action_id, error.message)
                if self._stopping.wait(pause):
                    break
        return False

    def _phase(self, work: Work, phase: Phase, step: TaskState | None = None) -> PhaseReport:
        return PhaseReport(
            action_id=work.action_id, host=self.host, run_id=self.run_id, phase=phase, step=step, leg=work.leg
        )

    def _outcome(self, operation: Operation, work: Work) -> PhaseReport | None:
        """What to report of the operation; None if it was cut off by the stop of this run, and is the next one's."""
        uuid = work.instance.uuid
        try:
            result = self._calls.carry_out(
                operation,
                work,
                lambda step: self._report_step(work, step),
                lambda progress: self._report_progress(work, progress),
            )
        except Exception as error:  # noqa: BLE001 - a driver may raise anything, and it must become a fault
            if self._stopping.is_set():
                return None
            is_cleared = operation.name == "create" and self._clear(uuid)
            self._abandon(operation, work)
            failure = replace(_failure(error), is_cleared=is_cleared)
            return replace(self._phase(work, Phase.ERROR), power=self._power(uuid), failure=failure)
        return replace(self._phase(work, Phase.END), result=result or {})

    def _report_step(self, work: Work, step: TaskState) -> None:
        self._report(self._phase(work, Phase.STEP, step))

    def _report_progress(self, work: Work, progress: Mapping[str, int]) -> None:
        self._report(replace(self._phase(work, Phase.STEP), result=progress))

    def _clear(self, uuid: str) -> bool:
        """Remove what a failed build left; False if something may still be there."""
        try:
            self.driver.destroy(uuid)
        except KilonovaError:
            _log.exception("Could not clear away the failed build of %s", uuid)
            return False
        return True

    def _abandon(self, operation: Operation, work: Work) -> None:
        try:
            self._calls.abandon(operation, work)
        except KilonovaError:
            _log.exception("Could not take away what a failed %s of %s left", operation.name, work.instance.uuid)

    def _power(self, uuid: str) -> PowerState | None:
        try:
            return self.driver.power_state(uuid)
        except KilonovaError:
            _log.exception("Could not tell the power state of %s", uuid)
            return None


def _observations(
    powers: Mapping[str, PowerState], detail: str, generations: Mapping[str, int] | None = None
) -> list[Observation]:
    return [
        Observation(instance_uuid=uuid, power=power, detail=detail, generation=(generations or {}).get(uuid))
        for uuid, power in powers.items()
    ]


def _failure(error: Exception) -> Failure:
    """What became of an operation: nobody's defect has a traceback, a defect has it whole."""
    cause, message = FaultCause.INTERNAL, type(error).__name__
    if isinstance(error, GuestFailure):
        cause, message = error.cause, error.message
    elif isinstance(error, HypervisorUnavailable):
        cause, message = FaultCause.HYPERVISOR_GONE, error.message
    elif isinstance(error, NotSupported):
        cause, message = FaultCause.NOT_SUPPORTED, error.message
    elif isinstance(error, KilonovaError):
        cause, message = FaultCause.DRIVER_ERROR, error.message
    detail = error.detail if isinstance(error, KilonovaError) and error.detail else str(error)
    return Failure(
        cause=cause,
        message=message,
        detail=detail,
        traceback="".join(traceback.format_exception(error)),
        raised=_raised(error),
    )


def _raised(error: Exception) -> Raised:
    """What was raised, and where; outside of any function where the error has no traceback."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not frames:
        return Raised(exception=type(error).__name__, module="", function="")
    code = frames[-1].f_code
    return Raised(
        exception=type(error).__name__, module=frames[-1].f_globals.get("__name__", ""), function=code.co_name
    )
