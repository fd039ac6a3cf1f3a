"""The conductor: the control plane's side of the agents' door.

It hands out work under leases, turns what agents report into changes, and decides what a failure leads to. It keeps
nothing in memory but heartbeats that are about to be written: whatever it knows, it reads from the store.
"""

import logging
from collections.abc import Callable, Sequence

from kilonova.bus import Bus
from kilonova.domain.changes import Change, Phase
from kilonova.domain.errors import StaleRecord, Unavailable
from kilonova.domain.faults import HOPELESS
from kilonova.domain.model import Clock, Instance, InstanceAction, Instant, after
from kilonova.domain.operations import get_operation
from kilonova.domain.placement import Rules
from kilonova.domain.states import TaskState, VmState
from kilonova.domain.transitions import begun, finished, stepped
from kilonova.domain.workflow import Course
from kilonova.domain.workflows import WORKFLOWS
from kilonova.services.books import leg_of, verb_of
from kilonova.services.closing import awaited, close_with_failure, fault_of
from kilonova.services.door import Failure, HostReport, Observation, PhaseReport, Verdict, Work
from kilonova.services.heartbeat import Beats
from kilonova.services.live_moves import LiveMoves
from kilonova.services.moves import Moves
from kilonova.services.nics import settled
from kilonova.services.observing import Observer
from kilonova.services.placing import Placer, request_of
from kilonova.services.settings import SchedulerSettings, ServiceSettings
from kilonova.services.shelving import Shelving
from kilonova.services.workflow import Workflows
from kilonova.store import changes, instances, ledger
from kilonova.store.database import Connection, Database
from kilonova.store.failures import Contention

_log = logging.getLogger(__name__)

_ATTEMPTS = 5
_WINDOW = 500
"""Open actions of a host that are looked at together."""


class Conductor:
    """Implements ``services.door.Door`` over the store."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        clock: Clock,
        *,
        settings: ServiceSettings,
        scheduler: SchedulerSettings,
        rules: Rules | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._scheduler = scheduler
        self.placer = Placer(database, bus, clock, settings=settings, rules=rules)
        chooser = self.placer.chooser
        self.live_moves = LiveMoves(chooser)
        books = {
            **Moves(chooser, settings=settings).books(),
            **self.live_moves.books(),
            **Shelving(chooser, settings=settings).books(),
        }
        self.workflows = Workflows(database, bus, clock, books, settings=settings, scheduler=scheduler)
        self.beats = Beats(database, clock, settings=settings)
        self._observer = Observer(database, bus, clock)
        self.on_samples: Callable[[HostReport], None] = lambda _: None
        """Given each heartbeat that carries counts of guests."""

    def welcome(self, reports: Sequence[HostReport]) -> None:
        """Get ready for agents that are about to beat, all together: see ``Beats.welcome``."""
        self.beats.welcome(reports)

    def step(self) -> bool:
        """Do what waits for the conductor: place new servers, and carry out its steps of workflows; True if any."""
        placed, stepped_on = self.placer.step(), self.workflows.step()
        return placed or stepped_on

    def report_state(self, report: HostReport) -> None:
        """Note that the agent lives, keep what its host has, and renew the leases of what it has in hand."""
        self.beats.heard(report)
        if report.samples:
            self.on_samples(report)
        if report.working:
            until = after(self._clock(), self._settings.instance_lease)
            with self._database.transaction() as tx:
                ledger.renew_leases(tx.connection, report.run_id, report.working, until)

    def next_work(self, host: str, run_id: str, *, limit: int) -> Sequence[Work]:
        """Lease the oldest open operation of each instance of the host, unless this run already has it.

        One agent stands for a host, so an operation leased by another run belongs to an agent that is gone: it
        is given to this one at once, and drivers can be called twice. A run that does not speak for the host gets none.
        """
        if not self.beats.speakers.may_work(host, run_id):
            return []
        now = self._clock()
        with self._database.read() as connection:
            waiting = _fresh(connection, host, run_id, now)[:limit]
        if not waiting:
            return []
        until = after(now, self._settings.instance_lease)
        with self._database.transaction() as tx:
            return [
                _work(tx.connection, action)
                for action in waiting
                if ledger.lease_action(tx.connection, action.id, owner=run_id, until=until, now=now)
            ]

    def let_go(self, run_ids: Sequence[str]) -> None:
        """Hand back what these runs of agents have in hand and will not end: whoever comes next goes on with it."""
        with self._database.transaction() as tx:
            ledger.release_leases(tx.connection, run_ids)

    def report(self, report: PhaseReport) -> bool:
        """Turn the phase into a change; False for one that comes after the end, or from a run that was replaced."""
        for _ in range(_ATTEMPTS):
            try:
                return self._take(report)
            except (StaleRecord, Contention):
                continue
        raise Unavailable(f"The instance of action {report.action_id} changes too fast to be written.")

    def observe(self, host: str, observations: Sequence[Observation], *, is_complete: bool = False) -> Verdict:
        """Judge what happened on a host without anybody having asked."""
        return self._observer.observe(host, observations, is_complete=is_complete)

    def _take(self, report: PhaseReport) -> bool:
        with self._database.read() as connection:
            action = ledger.get_open_action(connection, report.action_id)
            instance = instances.find_instance(connection, action.instance_uuid) if action else None
        if action is None or instance is None or (action.host, action.owner) != (report.host, report.run_id):
            _log.warning("Late report of action %d from %s: %s", report.action_id, report.host, report.phase)
            return False
        if action.operation in WORKFLOWS:
            return self.workflows.take(report, action)
        match report.phase:
            case Phase.START:
                self._started(report, action, instance)
            case Phase.STEP:
                self._stepped(report, action, instance)
            case Phase.END:
                self._ended(report, action, instance)
            case _:
                self._failed(report, action, instance)
        return True

    def _started(self, report: PhaseReport, action: InstanceAction, instance: Instance) -> None:
        now = self._clock()
        further = begun(get_operation(action.operation), instance, now=now)
        with self._database.transaction() as tx:
            if not ledger.has_open_event(tx.connection, action.id, host=report.host):
                changes.save(tx, _change(report, action, instance, further, now=now))

    def _stepped(self, report: PhaseReport, action: InstanceAction, instance: Instance) -> None:
        """Show how far it is; where another operation was accepted meanwhile, that one's task state stays."""
        if report.step is None:
            raise ValueError(f"action {action.id} reports a step without its task state")
        now = self._clock()
        further = stepped(get_operation(action.operation), instance, report.step, now=now)
        if further is not None:
            with self._database.transaction() as tx:
                changes.save(tx, _change(report, action, instance, further, now=now))

    def _ended(self, report: PhaseReport, action: InstanceAction, instance: Instance) -> None:
        now, operation = self._clock(), get_operation(action.operation)
        done = settled(operation.name, finished(operation, instance, now=now), action.parameters, Phase.END)
        with self._database.transaction() as tx:
            done = done._replace(task_state=None if done.is_deleted else awaited(tx, action, instance))
            changes.save(tx, _change(report, action, instance, done, now=now))
            if done.is_deleted:
                ledger.close_actions(tx, instance.uuid, now=now, but=action.id)
            elif operation.overtakes:  # what it did not wait for is of no more interest
                ledger.close_actions(tx, instance.uuid, now=now, but=action.id, earlier_only=True)

    def _failed(self, report: PhaseReport, action: InstanceAction, instance: Instance) -> None:
        failure = report.failure
        if failure is None:
            raise ValueError(f"action {action.id} reports an error without a failure")
        _log.warning("%s of instance %s failed on %s: %s", action.action, instance.uuid, report.host, failure.message)
        if action.operation == "create" and self._may_retry(action, instance, failure, report.host):
            fault = fault_of(failure, action, self._clock())
            self.placer.send_elsewhere(action, instance, fault, failure.raised)
            return
        with self._database.transaction() as tx:
            close_with_failure(tx, action, instance, failure, now=self._clock(), power=report.power)

    def _may_retry(self, action: InstanceAction, instance: Instance, failure: Failure, host: str) -> bool:
        if failure.cause in HOPELESS or not failure.is_cleared or instance.task_state is TaskState.DELETING:
            return False
        with self._database.read() as connection:
            attempts = len(ledger.list_events(connection, [action.id]).get(action.id, []))
        return attempts < self._scheduler.max_attempts and self.placer.another_host(instance, action, failed_host=host)


def _work(connection: Connection, action: InstanceAction) -> Work:
    is_workflow = action.operation in WORKFLOWS
    return Work(
        action_id=action.id,
        operation=action.operation,
        instance=instances.get_instance(connection, action.instance_uuid),
        parameters={**action.parameters, **Course.read(action.course_json).handed},
        deadline_at=action.deadline_at,
        verb=verb_of(action) if is_workflow else get_operation(action.operation).driver,
        leg=leg_of(action) if is_workflow else None,
    )


def _fresh(connection: Connection, host: str, run_id: str, now: Instant) -> list[InstanceAction]:
    """The oldest open action of each instance of the host, unless this run has it in hand.

    Then it is one that does not wait for that: a delete, or a hard reboot of a guest that does not react. An operation
    of several steps is waited for, as its next one may be on another host.
    """
    oldest: dict[tuple[str, bool], InstanceAction] = {}
    for action in ledger.list_host_actions(connection, host, limit=_WINDOW):
        operation = get_operation(action.operation)
        # What meddles in another operation does not wait for it.
        key = (action.instance_uuid, operation.needs_task)
        first = oldest.setdefault(key, action)
        if operation.overtakes and first.operation not in WORKFLOWS and _in_hand(first, run_id, now):
            oldest[key] = action
    fresh = (action for action in oldest.values() if not _in_hand(action, run_id, now))
    return [action for action in fresh if not _is_held(connection, action)]


def _is_held(connection: Connection, action: InstanceAction) -> bool:
    """Whether it is a delete that waits for the resize before it to be confirmed, on another host (§6.6.3)."""
    if get_operation(action.operation).becomes not in (VmState.DELETED, VmState.SOFT_DELETED):
        return False
    earlier = (other for other in ledger.list_open_actions(connection, action.instance_uuid) if other.id < action.id)
    return any(other.operation == "confirm_resize" for other in earlier)


def _in_hand(action: InstanceAction, run_id: str, now: Instant) -> bool:
    return action.owner == run_id and action.lease_until is not None and action.lease_until >= now


def _change(report: PhaseReport, action: InstanceAction, before: Instance, after: Instance, *, now: Instant) -> Change:
    return Change(
        before=before,
        after=after,
        request=request_of(action),
        occurred_at=now,
        operation=get_operation(action.operation),
        phase=report.phase,
        action_id=action.id,
        host=report.host,
        parameters_json=action.parameters_json,
        # What was seen on the host is why an operation that nobody asked for was begun.
        details=action.parameters.get("observed"),
    )
