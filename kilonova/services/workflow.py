"""Workflows: operations of several steps, resumed from the ledger by whoever comes next.

How to give an operation a workflow:

1. A row of steps in ``domain/workflows.py`` under the operation's name, whose ``runs`` is ``CONDUCTOR``. A step at
   ``SOURCE`` or ``DESTINATION`` names the driver's ``verb`` (found in ``driver_calls.py``), and in ``undo`` the one
   that takes it back. A step at ``CONDUCTOR`` has no verb; all it does is bookkeeping.
2. ``Books`` for it (``books.py``), in a module of its own (see ``moves.py``) that ``conductor.py`` gathers: for each
   step that changes more than the task state, what is written when it begins, is done, or is undone. Bookkeeping runs
   within the transaction that ends the step, with the instance locked; it returns the instance and the course as they
   then are, or a failure. What needs a long look at the fleet is looked up beforehand by ``plan``, outside of it.

What the engine does: an action's step, direction and ``Course`` are columns of its row. The END of a step saves the
instance, finishes the step's ledger event, does its bookkeeping and moves the action on to the next step's host, all
in one transaction. A failure turns the direction: the steps from the failed one back are undone one by one, and the
action closes with the first failure. A step that cannot be undone does not stop that; it is logged. Every step may be
run twice: a report of a step that the action is no longer at is refused.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from kilonova.bus import CONDUCTOR, Bus, host_topic
from kilonova.domain.changes import Change, Phase
from kilonova.domain.errors import StaleRecord
from kilonova.domain.faults import HOPELESS, FaultCause
from kilonova.domain.model import Clock, Instance, InstanceAction, after
from kilonova.domain.operation import MINUTE, Operation
from kilonova.domain.states import TaskState
from kilonova.domain.workflow import Course, IfLost, Leg, Where
from kilonova.domain.workflows import CALLED_OFF_BY, WORKFLOWS
from kilonova.services.books import (
    Books,
    Outcome,
    Page,
    Turn,
    cause_of,
    passed,
    read_failure,
    settled,
    with_task,
    write_failure,
)
from kilonova.services.closing import HARMLESS, awaited, cut, fault_of
from kilonova.services.door import Failure, PhaseReport
from kilonova.services.placing import request_of
from kilonova.services.settings import SchedulerSettings, ServiceSettings
from kilonova.store import changes, instances, ledger
from kilonova.store.database import Database, Transaction
from kilonova.store.failures import Contention

_log = logging.getLogger(__name__)

_BATCH: Final = 50
"""Operations that are looked at in one step."""
_UNDO_SECONDS: Final = 10 * MINUTE
"""How long an undoing may take until it is left as it is."""
_HOPELESS: Final = HOPELESS | {FaultCause.NOT_SUPPORTED, FaultCause.ABORTED}
"""Failures that another host would not mend."""


_EMPTY: Final = Page()


class Workflows:
    """The engine, over the store. ``books`` are by the operation's name."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        clock: Clock,
        books: Mapping[str, Books],
        *,
        settings: ServiceSettings,
        scheduler: SchedulerSettings,
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._books = books
        self._settings = settings
        self._scheduler = scheduler

    def open(self, tx: Transaction, operation: Operation, saved: changes.Saved) -> None:
        """Send an operation that was accepted in this transaction to where its first step is done.

        One that calls another off lets that turn back at the end of its step, if it still can.
        """
        if operation.name in CALLED_OFF_BY:
            self._call_off(tx, saved.instance, CALLED_OFF_BY[operation.name])
        if operation.name not in WORKFLOWS:
            return
        action = ledger.get_open_action(tx.connection, saved.action_id or 0)
        if action is None:
            raise RuntimeError("an accepted operation has no open action")
        instance, first = saved.instance, WORKFLOWS[action.operation].first
        course = Course(source=instance.host, source_node=instance.node)
        turn = Turn(tx=tx, action=action, instance=instance, course=course, now=self._clock(), step=first)
        outcome = self._books_of(turn).opened(turn)
        self._go(replace(turn, course=outcome.course), Leg(first.name))

    @staticmethod
    def _call_off(tx: Transaction, instance: Instance, operation: str) -> None:
        for action in ledger.list_open_actions(tx.connection, instance.uuid):
            if action.operation == operation:
                course = replace(Course.read(action.course_json), is_aborted=True)
                ledger.change_course(tx.connection, action.id, course)

    def step(self) -> bool:
        """Carry out the conductor's steps that wait; True if that got on. One that cannot be done keeps no other."""
        with self._database.read() as connection:
            waiting = ledger.list_unplaced_actions(connection, limit=_BATCH, among=WORKFLOWS.keys())
        return any([self._step_guarded(action) for action in waiting])  # noqa: C419 - every one is tried

    def _step_guarded(self, action: InstanceAction) -> bool:
        try:
            return self.step_here(action)
        except (StaleRecord, Contention):
            return False
        except Exception:  # noqa: BLE001 - whatever it is, it concerns this one alone; the deadline ends it
            _log.exception("Could not go on with %s of instance %s", action.action, action.instance_uuid)
            return False

    def step_here(self, action: InstanceAction) -> bool:
        """Carry out the conductor's step that the action is at; False where somebody did meanwhile."""
        step = WORKFLOWS[action.operation].step(action.step)
        page = self._books[action.operation].pages.get(step.name, _EMPTY)
        with self._database.read() as connection:
            instance = instances.find_instance(connection, action.instance_uuid)
            plan = page.plan(connection, instance, action) if page.plan and instance else None
        with self._database.transaction() as tx:
            turn = self._turn(tx, action)
            if turn is None:
                return False
            self._ended(replace(turn, plan=plan))
        return True

    def take(self, report: PhaseReport, action: InstanceAction) -> bool:
        """Turn what an agent reports of a step into changes; False if the action is no longer at it."""
        with self._database.transaction() as tx:
            turn = self._turn(tx, action)
            if turn is None or report.leg != turn.leg:
                return False
            turn = replace(turn, result=report.result)
            match report.phase:
                case Phase.START:
                    self._started(turn)
                case Phase.STEP:
                    self._passed(turn, report.step) if report.step else self._page(turn).told(turn)
                case Phase.END:
                    self._undone(turn, None) if turn.action.is_undoing else self._ended(turn)
                case _:
                    failure = report.failure
                    if failure is None:
                        raise ValueError(f"action {action.id} reports an error without a failure")
                    self._undone(turn, failure) if turn.action.is_undoing else self._failed(turn, failure)
        return True

    def give_up(self, action: InstanceAction, failure: Failure) -> None:
        """End the step that the action is at as failed, or its undoing as it is: nobody will do it any more."""
        with self._database.transaction() as tx:
            turn = self._turn(tx, action)
            if turn is None:
                return
            if turn.action.is_undoing:
                self._undone(turn, failure)
            else:
                self._failed(turn, failure)

    def lost(self, action: InstanceAction, failure: Failure) -> bool:
        """End the step as its row says for a host that is down; False where it has to wait for that host."""
        step = WORKFLOWS[action.operation].step(action.step)
        way = step.undo_if_lost if action.is_undoing else step.if_lost
        if way is IfLost.WAIT:
            return False
        if way is IfLost.FAIL or action.is_undoing:
            self.give_up(action, failure)
            return True
        with self._database.transaction() as tx:
            turn = self._turn(tx, action)
            if turn is not None:
                self._ended(turn)
        return turn is not None

    def _books_of(self, turn: Turn) -> Books:
        return self._books[turn.action.operation]

    def _page(self, turn: Turn) -> Page:
        return self._books_of(turn).pages.get(turn.step.name, _EMPTY)

    def _turn(self, tx: Transaction, action: InstanceAction) -> Turn | None:
        """The step that the action is at, with the instance locked; None if that is another one than was read."""
        instance = instances.lock_instance(tx, action.instance_uuid)
        current = ledger.get_open_action(tx.connection, action.id)
        if instance is None or current is None:
            return None
        if (current.step, current.is_undoing, current.host) != (action.step, action.is_undoing, action.host):
            return None
        return Turn(
            tx=tx,
            action=current,
            instance=instance,
            course=Course.read(current.course_json),
            now=self._clock(),
            step=WORKFLOWS[current.operation].step(current.step),
        )

    def _started(self, turn: Turn) -> None:
        """Open the step's event, unless it is being resumed."""
        step, action, host = turn.step, turn.action, turn.action.host or ""
        event = step.undo_event if action.is_undoing else step.event
        if event is None:
            return
        is_open = ledger.has_open_event(turn.tx.connection, action.id, host=host, event=event)
        if is_open and not any(event == other.opens for other in turn.workflow.steps):
            return
        begun = turn.instance._replace(updated_at=turn.now)
        if not action.is_undoing:
            # The turn keeps the instance as it was read: what differs from it is what is written.
            shown = replace(turn, instance=with_task(turn, begun, step.task))
            begun = self._page(turn).begun(shown).instance
        if is_open:
            self._save(turn, begun, Phase.STEP)
        else:
            self._save(turn, begun, Phase.START, event=event)

    def _passed(self, turn: Turn, task: TaskState) -> None:
        if (further := passed(turn, task)) is not None:
            self._save(turn, further, Phase.STEP)

    def _ended(self, turn: Turn) -> None:
        """The step is done: the next one, or the end of the operation."""
        following = turn.workflow.following(turn.step)
        course = turn.course.handing(turn.result)
        after_it = settled(turn) if following is None else with_task(turn, turn.instance, turn.step.then)
        outcome = self._page(turn).done(replace(turn, instance=after_it._replace(updated_at=turn.now), course=course))
        turn = replace(turn, course=outcome.course)
        if outcome.failure is not None:
            self._failed(turn, outcome.failure)
            return
        if outcome.is_over:  # what the steps handed on is kept for later operations
            ledger.change_course(turn.tx.connection, turn.action.id, turn.course)
        step, closes = turn.step, following is None or outcome.is_over
        notices = step.tells if outcome.notices is None else outcome.notices
        if following is None and turn.course.failure is not None:
            ended = self._save(turn, turn.instance, Phase.END, event=step.event)
            self._close(self._noted(ended, Outcome(outcome.instance, turn.course)))
            return
        done = self._save(
            turn, outcome.instance, Phase.END, event=step.event, closes=closes, opens=step.opens, notices=notices
        )
        if following is None or outcome.is_over:
            return
        if turn.course.is_aborted and not turn.step.is_final:
            self._turn_back(done, _ABORTED)
        else:
            self._go(done, Leg(following.name))

    def _failed(self, turn: Turn, failure: Failure) -> None:
        """The step failed: another host, or back."""
        _log.warning(
            "%s of %s failed at step %s: %s",
            turn.action.action,
            turn.instance.uuid,
            turn.step.name,
            failure.message,
        )
        if turn.step.retries and self._may_retry(turn, failure):
            self._again(turn, failure)
            return
        ended = self._save(
            turn,
            turn.instance._replace(updated_at=turn.now),
            Phase.ERROR,
            event=turn.step.event,
            failure=failure,
            fault=fault_of(failure, turn.action, turn.now),
            keeps_fault=False,
        )
        if turn.step.goes_on:
            self._go_on(ended, failure)
        else:
            self._turn_back(ended, failure)

    def _go_on(self, turn: Turn, failure: Failure) -> None:
        """Let the next step follow although this one failed, as if it had not."""
        following = turn.workflow.following(turn.step)
        if following is None:
            raise RuntimeError(f"step {turn.step.name} of {turn.action.operation} is the last: nothing can follow")
        turn = self._noted(turn, self._page(turn).done(turn))
        course = replace(turn.course, failure=write_failure(failure), failed_at=turn.step.name)
        self._go(replace(turn, course=course), Leg(following.name))

    def _may_retry(self, turn: Turn, failure: Failure) -> bool:
        tried = len(turn.course.tried) + 1
        is_free = not turn.action.parameters.get("host") and not turn.course.is_aborted
        return is_free and failure.cause not in _HOPELESS and tried < self._scheduler.max_attempts

    def _again(self, turn: Turn, failure: Failure) -> None:
        """Begin anew without the host that failed; its event counts as a success, its fault is kept (§6.6.4)."""
        host = turn.action.host
        fault = fault_of(failure, turn.action, turn.now)
        ended = self._save(
            turn,
            turn.instance,
            Phase.END,
            event=turn.step.event,
            fault=fault,
            notices=("update", "resize.error"),
        )
        for step in reversed(turn.workflow.steps[: turn.workflow.index(turn.step.name) + 1]):
            outcome = self._page(replace(ended, step=step)).undone(replace(ended, step=step))
            ended = replace(ended, course=outcome.course)
        course = replace(
            turn.course,
            destination=None,
            destination_node=None,
            migration_id=None,
            tried=(*turn.course.tried, *([host] if host else [])),
        )
        self._go(replace(ended, course=course), Leg(turn.workflow.first.name))

    def _turn_back(self, turn: Turn, failure: Failure) -> None:
        course = turn.course
        if course.failure is None:
            course = replace(course, failure=write_failure(failure), failed_at=turn.step.name)
        self._unwind(replace(turn, course=course), turn.workflow.index(turn.step.name))

    def _undone(self, turn: Turn, failure: Failure | None) -> None:
        """The undoing of a step ended, well or not: on to the one before."""
        if failure is not None:
            _log.error(
                "Could not undo step %s of %s of %s: %s %s",
                turn.step.name,
                turn.action.action,
                turn.instance.uuid,
                failure.message,
                failure.detail,
            )
        if turn.step.undo_event is not None:
            phase = Phase.END if failure is None else Phase.ERROR
            turn = self._save(turn, turn.instance, phase, event=turn.step.undo_event, failure=failure)
        outcome = self._page(turn).undone(turn)
        self._unwind(self._noted(turn, outcome), turn.workflow.index(turn.step.name) - 1)

    def _unwind(self, turn: Turn, place: int) -> None:
        """Undo the step at this place and those before it; the first that needs a host waits for its agent."""
        workflow = turn.workflow
        failed_at = workflow.index(turn.course.failed_at)
        for index in range(place, -1, -1):
            step = workflow.steps[index]
            if step.is_final and index < failed_at:
                break
            turn = replace(turn, step=step)
            if step.undo and turn.course.host_of(step.where):
                self._go(turn, Leg(step.name, is_undo=True))
                return
            turn = self._noted(turn, self._page(turn).undone(turn))
        self._close(turn)

    def _noted(self, turn: Turn, outcome: Outcome) -> Turn:
        """Save what an undoing changed of the instance, if it did."""
        turn = replace(turn, course=outcome.course)
        if outcome.instance == turn.instance:
            return turn
        return self._save(turn, outcome.instance._replace(updated_at=turn.now), Phase.STEP)

    def _close(self, turn: Turn) -> None:
        """End the operation with its first failure, in the state that this leads to."""
        failure, failed_at = read_failure(turn.course), turn.workflow.step(turn.course.failed_at)
        fails_to = None if failure.cause in HARMLESS else failed_at.fails_to
        lost = turn.instance._replace(vm_state=fails_to or turn.instance.vm_state, updated_at=turn.now)
        lost = lost._replace(task_state=awaited(turn.tx, turn.action, turn.instance))
        turn = replace(turn, step=failed_at)
        outcome = self._books_of(turn).failed(replace(turn, instance=lost))
        change = Change(
            before=turn.instance,
            after=outcome.instance,
            request=request_of(turn.action),
            occurred_at=turn.now,
            operation=turn.operation,
            phase=Phase.ERROR,
            cause=cause_of(failure),
            action_id=turn.action.id,
            host=turn.course.host_of(failed_at.where) or self._settings.host or None,
            without_event=True,
            notices=("update",),
            raised=failure.raised,
            fault=None if failure.cause is FaultCause.ABORTED else fault_of(failure, turn.action, turn.now),
            details=failure.message[:255],
        )
        changes.save(turn.tx, change)

    def _save(
        self,
        turn: Turn,
        after: Instance,
        phase: Phase,
        *,
        event: str | None = None,
        closes: bool = False,
        **told: Any,
    ) -> Turn:
        """Save one change of the step; returns the turn with the instance as it then stands."""
        failure: Failure | None = told.pop("failure", None)
        is_forward_end = phase in (Phase.END, Phase.ERROR) and not turn.action.is_undoing
        change = Change(
            before=turn.instance,
            after=after,
            request=request_of(turn.action),
            occurred_at=turn.now,
            operation=turn.operation,
            phase=phase,
            cause=cause_of(failure),
            action_id=turn.action.id,
            host=turn.action.host or self._settings.host or None,
            event=event,
            without_event=event is None,
            also=turn.step.also if is_forward_end else (),
            closes_action=closes,
            parameters_json=turn.action.parameters_json,
            step=turn.step.name,
            is_undoing=turn.action.is_undoing,
            traceback=cut(failure.traceback) or None if failure else None,
            details=failure.message[:255] if failure else None,
            raised=failure.raised if failure else None,
            **told,
        )
        return replace(turn, instance=changes.save(turn.tx, change).instance)

    def _go(self, turn: Turn, leg: Leg) -> None:
        """Let the action go on with a step, wherever that is done."""
        step = turn.workflow.step(leg.step)
        host = turn.course.host_of(step.where)
        if host is None and step.where is not Where.CONDUCTOR:
            raise RuntimeError(f"step {step.name} of {turn.action.operation} has no host to be done on")
        until = turn.action.deadline_at
        if leg.is_undo or turn.course.failure is not None:
            until = after(turn.now, _UNDO_SECONDS)
        ledger.move_action(
            turn.tx.connection, turn.action.id, host=host, leg=leg, course=turn.course, deadline_at=until
        )
        topic = host_topic(host) if host else CONDUCTOR
        turn.tx.after_commit(lambda: self._bus.prod(topic))


_ABORTED: Final = Failure(cause=FaultCause.ABORTED, message="The operation was called off.", detail="", traceback="")
