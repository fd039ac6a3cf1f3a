"""The conductor: the control plane's side of the agents' door.

It hands out work under leases, turns what agents report into changes, and decides what a failure leads to. It keeps
nothing in memory but heartbeats that are about to be written: whatever it knows, it reads from the store.
"""

import logging
from collections.abc import Sequence

from kilonova.bus import CONDUCTOR, Bus
from kilonova.domain.changes import Change, Phase
from kilonova.domain.errors import StaleRecord
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Clock, Fault, Instance, InstanceAction, Instant, after
from kilonova.domain.operations import Operation, get_operation
from kilonova.domain.states import TaskState
from kilonova.domain.transitions import failed, finished
from kilonova.services.door import Failure, HostReport, Observation, PhaseReport, Work
from kilonova.services.heartbeat import Beats
from kilonova.services.nics import shown
from kilonova.services.observing import Observer
from kilonova.services.placing import Placer, request_of
from kilonova.services.settings import SchedulerSettings, ServiceSettings
from kilonova.store import changes, fleet, instances, ledger
from kilonova.store.database import Connection, Database, Transaction
from kilonova.store.failures import Contention

_log = logging.getLogger(__name__)

_ATTEMPTS = 5
_WINDOW = 500
"""Open actions of a host that are looked at together."""
_HOPELESS = frozenset({FaultCause.IMAGE_CORRUPT, FaultCause.IMAGE_REFUSED, FaultCause.IMAGE_TOO_LARGE})
"""Causes that no other host would mend."""


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
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._scheduler = scheduler
        self.placer = Placer(database, bus, clock, settings=settings)
        self.beats = Beats(database, clock, settings=settings)
        self._observer = Observer(database, bus, clock)

    def report_state(self, report: HostReport) -> None:
        """Note that the agent lives, keep what its host has, and renew the leases of what it has in hand."""
        self.beats.heard(report)
        if report.working:
            until = after(self._clock(), self._settings.instance_lease)
            with self._database.transaction() as tx:
                ledger.renew_leases(tx.connection, report.run_id, report.working, until)

    def next_work(self, host: str, run_id: str, *, limit: int) -> Sequence[Work]:
        """Lease the oldest open operation of each instance of the host, unless this run already has it.

        One agent stands for a host, so an operation leased by another run belongs to an agent that is gone: it
        is given to this one at once, and drivers can be called twice.
        """
        now = self._clock()
        with self._database.read() as connection:
            waiting = _fresh(connection, host, run_id, now)[:limit]
        if not waiting:
            return []
        until = after(now, self._settings.instance_lease)
        with self._database.transaction() as tx:
            return [
                Work(
                    action_id=action.id,
                    operation=action.operation,
                    instance=instances.get_instance(tx.connection, action.instance_uuid),
                    parameters=action.parameters,
                    deadline_at=action.deadline_at,
                )
                for action in waiting
                if ledger.lease_action(tx.connection, action.id, owner=run_id, until=until, now=now)
            ]

    def report(self, report: PhaseReport) -> None:
        """Turn the phase into a change; one that comes after the action's end is noted and dropped."""
        for _ in range(_ATTEMPTS):
            try:
                self._take(report)
            except (StaleRecord, Contention):
                continue
            return
        raise StaleRecord(f"The instance of action {report.action_id} changes too fast to be written.")

    def observe(self, host: str, observations: Sequence[Observation]) -> frozenset[str]:
        """Take over power states that changed on their own; returns guests that were deleted long since."""
        return self._observer.observe(host, observations)

    def _take(self, report: PhaseReport) -> None:
        with self._database.read() as connection:
            action = ledger.get_open_action(connection, report.action_id)
            instance = instances.find_instance(connection, action.instance_uuid) if action else None
        if action is None or instance is None or action.host != report.host:
            _log.warning("Late report of action %d from %s: %s", report.action_id, report.host, report.phase)
            return
        operation = get_operation(action.operation)
        match report.phase:
            case Phase.START:
                self._started(report, action, instance, operation)
            case Phase.END:
                self._ended(report, action, instance, operation)
            case _:
                self._failed(report, action, instance, operation)

    def _started(self, report: PhaseReport, action: InstanceAction, instance: Instance, operation: Operation) -> None:
        with self._database.transaction() as tx:
            if ledger.has_open_event(tx.connection, action.id, host=report.host):
                return
            changes.save(tx, _change(report, action, instance, operation, now=self._clock()))

    def _ended(self, report: PhaseReport, action: InstanceAction, instance: Instance, operation: Operation) -> None:
        now = self._clock()
        done = finished(operation, instance, now=now)
        if operation.name == "create":
            done = done._replace(addresses_json=shown(instance))
        with self._database.transaction() as tx:
            done = done._replace(task_state=_awaited(tx, action, instance))
            if done.is_deleted:
                done = done._replace(task_state=None)
                ledger.close_actions(tx.connection, instance.uuid, now=now, but=action.id)
            changes.save(tx, _change(report, action, instance, operation, now=now, after=done))

    def _failed(self, report: PhaseReport, action: InstanceAction, instance: Instance, operation: Operation) -> None:
        failure = report.failure
        if failure is None:
            raise ValueError(f"action {action.id} reports an error without a failure")
        if operation.name == "create" and self._may_retry(action, instance, failure, report.host):
            self._send_elsewhere(report, action, instance, operation)
            return
        now = self._clock()
        lost = failed(operation, instance, now=now, power=report.power)
        if operation.name == "create":
            lost = lost._replace(host=None, node=None)
        with self._database.transaction() as tx:
            lost = lost._replace(task_state=_awaited(tx, action, instance))
            if lost.host is None:
                fleet.release_claim(tx, instance.uuid)
            changes.save(tx, _change(report, action, instance, operation, now=now, after=lost))
        _log.warning("%s of instance %s failed on %s: %s", operation.name, instance.uuid, report.host, failure.message)

    def _may_retry(self, action: InstanceAction, instance: Instance, failure: Failure, host: str) -> bool:
        if failure.cause in _HOPELESS or instance.task_state is TaskState.DELETING:
            return False
        with self._database.read() as connection:
            attempts = len(ledger.list_events(connection, [action.id]).get(action.id, []))
        return attempts < self._scheduler.max_attempts and self.placer.another_host(instance, action, failed_host=host)

    def _send_elsewhere(
        self, report: PhaseReport, action: InstanceAction, instance: Instance, operation: Operation
    ) -> None:
        """Back to the placer. The event counts as a success, as in Nova (contract §6.6.4, §7.4)."""
        now = self._clock()
        back = instance._replace(host=None, node=None, task_state=TaskState.SCHEDULING, updated_at=now)
        change = Change(
            before=instance,
            after=back,
            request=request_of(action),
            occurred_at=now,
            operation=operation,
            phase=Phase.END,
            action_id=action.id,
            host=report.host,
            closes_action=False,
        )
        with self._database.transaction() as tx:
            fleet.release_claim(tx, instance.uuid)
            changes.save(tx, change)
            ledger.assign_action(tx.connection, action.id, host=None)
            tx.after_commit(lambda: self._bus.prod(CONDUCTOR))


def _fresh(connection: Connection, host: str, run_id: str, now: Instant) -> list[InstanceAction]:
    """The oldest open action of each instance of the host, unless this run has it in hand."""
    oldest: dict[str, InstanceAction] = {}
    for action in ledger.list_host_actions(connection, host, limit=_WINDOW):
        oldest.setdefault(action.instance_uuid, action)
    return [action for action in oldest.values() if not _in_hand(action, run_id, now)]


def _in_hand(action: InstanceAction, run_id: str, now: Instant) -> bool:
    return action.owner == run_id and action.lease_until is not None and action.lease_until >= now


def _awaited(tx: Transaction, action: InstanceAction, instance: Instance) -> TaskState | None:
    """The task state to keep: that of an operation accepted meanwhile (a delete during a build), else none."""
    newest = ledger.find_open_action(tx.connection, instance.uuid)
    return instance.task_state if newest is not None and newest.id > action.id else None


def _change(
    report: PhaseReport,
    action: InstanceAction,
    before: Instance,
    operation: Operation,
    *,
    now: Instant,
    after: Instance | None = None,
) -> Change:
    failure = report.failure
    return Change(
        before=before,
        after=after or before,
        request=request_of(action),
        occurred_at=now,
        operation=operation,
        phase=report.phase,
        action_id=action.id,
        host=report.host,
        fault=_fault(failure, report.host, now) if failure else None,
        traceback=failure.traceback if failure else None,
        details=failure.message[:255] if failure else None,
    )


def _fault(failure: Failure, host: str, now: Instant) -> Fault:
    details = "\n".join(text for text in (failure.detail, failure.traceback) if text)
    return Fault(
        code=500, cause=failure.cause.code, message=failure.message[:255], details=details, host=host, created_at=now
    )
