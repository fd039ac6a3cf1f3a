"""The agent on a compute host: pulls work through the door, has the driver do it, and reports.

It keeps no state that matters. Whatever it was doing when it died is given to its next run again, and drivers may
be asked for the same thing twice.
"""

import json
import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain, repeat
from typing import Final
from uuid import uuid4

from kilonova.domain.changes import Phase
from kilonova.domain.errors import GuestFailure, HypervisorUnavailable, KilonovaError, NotSupported, Unavailable
from kilonova.domain.faults import FaultCause
from kilonova.domain.operations import Operation, get_operation
from kilonova.domain.states import PowerState, TaskState
from kilonova.drivers.protocol import CanReadConsole, Driver, GuestEvent
from kilonova.services.door import Door, Failure, HostReport, NodeReport, Observation, PhaseReport, Work
from kilonova.services.driver_calls import DriverCalls, is_able
from kilonova.services.settings import ServiceSettings

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS: Final = 5.0
"""How long a stop waits for operations in hand."""
_PAUSES_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Between attempts to be heard by the control plane; the last one is repeated."""


class Agent:
    """One run of the agent of one host. ``prod`` is called when there may be more work to fetch.

    ``door`` is all that it knows of the control plane, ``driver`` all that it knows of the hypervisor.
    """

    def __init__(self, host: str, driver: Driver, door: Door, calls: DriverCalls, *, settings: ServiceSettings) -> None:
        self.host = host
        self.run_id = uuid4().hex
        self.prod: Callable[[], None] = lambda: None
        self.driver = driver
        self.door = door
        self._calls = calls
        self._settings = settings
        self._working: dict[int, Work] = {}
        self._missed: set[str] = set()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._stopping = threading.Event()
        self._is_concurrent = False
        self._has_trouble = False

    def start(self, *, concurrently: bool) -> None:
        """Adopt what runs on the host and say that it is there; then it is ready for ``step``.

        With ``concurrently`` operations run in threads of the agent's own, without it within ``step``.
        """
        self.driver.start(self._heard)
        self.beat()
        self.compare()
        self._is_concurrent = concurrently

    def stop(self) -> None:
        """Finish what ends soon and let go of the guests, which keep running; the rest is the next run's."""
        with self._idle:
            if not self._idle.wait_for(lambda: not self._working, _PATIENCE_SECONDS):
                _log.warning("%d operations on %s go on at the next start", len(self._working), self.host)
        self._stopping.set()
        self.driver.close()

    def step(self) -> bool:
        """Fetch work and begin it; True if there was any."""
        room = self._settings.max_concurrent_builds - len(self._working)
        if room <= 0 or self._stopping.is_set():
            return False
        fetched = self.door.next_work(self.host, self.run_id, limit=room)
        begun = [work for work in fetched if self._take_in_hand(work)]
        for work in begun:
            self._begin(work)
        return bool(begun)

    def beat(self) -> bool:
        """Send a heartbeat with what the host has. Always False: a beat leaves nothing to do.

        A hypervisor that does not answer is told of; the agent lives all the same, and so do the leases of its work.
        """
        with self._lock:
            working = tuple(self._working)
        nodes, trouble = self._look()
        if bool(trouble) is not self._has_trouble:
            _log.warning("The hypervisor of %s %s", self.host, f"does not answer: {trouble}" if trouble else "is back")
        self._has_trouble = bool(trouble)
        self.door.report_state(
            HostReport(host=self.host, run_id=self.run_id, nodes=nodes, working=working, trouble=trouble)
        )
        return False

    def compare(self) -> bool:
        """Tell the power state of every guest, and remove those that are one too many. Always False, as ``beat``.

        With a negative ``sync_power_state_interval`` only the second is done.
        """
        self._tell(self.driver.list_guests(), "found so by the comparison of power states")
        return False

    def is_able(self, operation: Operation) -> bool:
        """Whether the host's driver has what the operation needs."""
        return is_able(self.driver, operation)

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

    def _tell(self, powers: Mapping[str, PowerState], detail: str) -> None:
        """Tell power states; remove what is unwanted, and look again where the control plane doubts."""
        verdict = self.door.observe(self.host, _observations(powers, detail))
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
            running = sum(power is PowerState.RUNNING for power in self.driver.list_guests().values())
            return tuple(self._node(node, running) for node in self.driver.nodes()), None
        except HypervisorUnavailable as error:
            return (), error.message

    def _node(self, node: str, running: int) -> NodeReport:
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
            running_vms=running,
        )

    def _take_in_hand(self, work: Work) -> bool:
        """False for what this run has in hand already: its lease ran out, but it is being done."""
        with self._lock:
            return self._working.setdefault(work.action_id, work) is work

    def _begin(self, work: Work) -> None:
        if not self._is_concurrent:
            self._perform(work)
            return
        name = f"{work.operation} {work.instance.uuid}"
        try:
            threading.Thread(target=self._perform, args=(work,), name=name, daemon=True).start()
        except RuntimeError:
            self._let_go(work)
            raise

    def _let_go(self, work: Work) -> None:
        with self._idle:
            self._working.pop(work.action_id, None)
            self._idle.notify_all()

    def _perform(self, work: Work) -> None:
        operation = get_operation(work.operation)
        try:
            if not self._report(self._phase(work, Phase.START)):
                return
            outcome = self._outcome(operation, work)
            if outcome is not None and not self._report(outcome):
                # What was made may be wanted by nobody now: that is for the control plane to say.
                self._missed.add(work.instance.uuid)
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
        return PhaseReport(action_id=work.action_id, host=self.host, run_id=self.run_id, phase=phase, step=step)

    def _outcome(self, operation: Operation, work: Work) -> PhaseReport | None:
        """What to report of the operation; None if it was cut off by the stop of this run, and is the next one's."""
        uuid = work.instance.uuid
        try:
            self._calls.carry_out(operation, work, lambda step: self._report_step(work, step))
        except Exception as error:  # noqa: BLE001 - a driver may raise anything, and it must become a fault
            if self._stopping.is_set():
                return None
            is_cleared = operation.name == "create" and self._clear(uuid)
            failure = replace(_failure(error), is_cleared=is_cleared)
            return replace(self._phase(work, Phase.ERROR), power=self._power(uuid), failure=failure)
        return self._phase(work, Phase.END)

    def _report_step(self, work: Work, step: TaskState) -> None:
        self._report(self._phase(work, Phase.STEP, step))

    def _clear(self, uuid: str) -> bool:
        """Remove what a failed build left; False if something may still be there."""
        try:
            self.driver.destroy(uuid)
        except KilonovaError:
            _log.exception("Could not clear away the failed build of %s", uuid)
            return False
        return True

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
    return Failure(cause=cause, message=message, detail=detail, traceback="".join(traceback.format_exception(error)))
