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
from typing import Final

from kilonova.bus import Bus
from kilonova.domain.changes import Phase
from kilonova.domain.errors import StaleRecord
from kilonova.domain.model import Clock, Instance, InstanceAction
from kilonova.domain.operation import Operation
from kilonova.domain.states import TaskState
from kilonova.domain.workflow import Course, IfLost, Leg
from kilonova.domain.workflows import CALLED_OFF_BY, WORKFLOWS
from kilonova.services.advancing import Advance
from kilonova.services.books import Books, Outcome, Page, Turn, passed, settled, with_task
from kilonova.services.door import Failure, PhaseReport
from kilonova.services.settings import SchedulerSettings, ServiceSettings
from kilonova.services.unwinding import Unwinding
from kilonova.store import changes, instances, ledger
from kilonova.store.database import Database, Transaction
from kilonova.store.failures import Contention

_log = logging.getLogger(__name__)

_BATCH: Final = 50
"""Operations that are looked at in one step."""
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
        self._clock = clock
        self._books = books
        self._advance = Advance(bus, books, host=settings.host or None)
        self._unwinding = Unwinding(self._advance, max_attempts=scheduler.max_attempts)

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
        outcome = self._advance.books_of(turn).opened(turn)
        self._advance.go(replace(turn, course=outcome.course), Leg(first.name))

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
        """Carry out the conductor's step that the action is at; False where somebody did meanwhile.

        What was planned holds for the course as it was read, and for no other.
        """
        step = WORKFLOWS[action.operation].step(action.step)
        page = self._books[action.operation].pages.get(step.name, _EMPTY)
        with self._database.read() as connection:
            instance = instances.find_instance(connection, action.instance_uuid)
            plan = page.plan(connection, instance, action) if page.plan and instance else None
        with self._database.transaction() as tx:
            turn = self._turn(tx, action)
            if turn is None or turn.action.course_json != action.course_json:
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
                    self._passed(turn, report.step) if report.step else self._advance.page(turn).told(turn)
                case Phase.END:
                    self._unwinding.undone(turn, None) if turn.action.is_undoing else self._ended(turn)
                case _:
                    failure = report.failure
                    if failure is None:
                        raise ValueError(f"action {action.id} reports an error without a failure")
                    self._troubled(turn, failure)
        return True

    def give_up(self, action: InstanceAction, failure: Failure) -> None:
        """End the step that the action is at as failed, or its undoing as it is: nobody will do it any more."""
        with self._database.transaction() as tx:
            turn = self._turn(tx, action)
            if turn is not None:
                self._troubled(turn, failure)

    def _troubled(self, turn: Turn, failure: Failure) -> None:
        if turn.action.is_undoing:
            self._unwinding.undone(turn, failure)
        else:
            self._unwinding.failed(turn, failure)

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

    def abandon(self, tx: Transaction, instance: Instance) -> Instance:
        """Take back in the records what the instance's open workflows did; returns the instance as that leaves it.

        Nothing is saved of it, and nobody is asked to undo anything: hosts follow as soon as they compare. What lies
        behind a step that was final stays so.
        """
        for action in reversed(ledger.list_open_actions(tx.connection, instance.uuid)):
            if action.operation in WORKFLOWS:
                step, course = WORKFLOWS[action.operation].step(action.step), Course.read(action.course_json)
                turn = Turn(tx=tx, action=action, instance=instance, course=course, now=self._clock(), step=step)
                instance = self._unwinding.abandoned(turn).instance
        return instance

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
            begun = self._advance.page(turn).begun(shown).instance
        if is_open:
            self._advance.save(turn, begun, Phase.STEP)
        else:
            self._advance.save(turn, begun, Phase.START, event=event)

    def _passed(self, turn: Turn, task: TaskState) -> None:
        if (further := passed(turn, task)) is not None:
            self._advance.save(turn, further, Phase.STEP)

    def _ended(self, turn: Turn) -> None:
        """The step is done: the next one, or the end of the operation."""
        following = turn.workflow.following(turn.step)
        course = turn.course.handing(turn.result)
        after_it = settled(turn) if following is None else with_task(turn, turn.instance, turn.step.then)
        ending = replace(turn, instance=after_it._replace(updated_at=turn.now), course=course)
        outcome = self._advance.page(turn).done(ending)
        turn = replace(turn, course=outcome.course)
        if outcome.failure is not None:
            self._unwinding.failed(turn, outcome.failure)
            return
        if outcome.is_over:  # what the steps handed on is kept for later operations
            ledger.change_course(turn.tx.connection, turn.action.id, turn.course)
        step, closes = turn.step, following is None or outcome.is_over
        notices = step.tells if outcome.notices is None else outcome.notices
        if following is None and turn.course.failure is not None:
            ended = self._advance.save(turn, turn.instance, Phase.END, event=step.event)
            self._unwinding.close(self._advance.noted(ended, Outcome(outcome.instance, turn.course)))
            return
        done = self._advance.save(
            turn, outcome.instance, Phase.END, event=step.event, closes=closes, opens=step.opens, notices=notices
        )
        if following is None or outcome.is_over:
            return
        if turn.course.is_aborted and not turn.step.is_final:
            self._unwinding.called_off(done)
        else:
            self._advance.go(done, Leg(following.name))
