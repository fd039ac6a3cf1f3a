"""What becomes of a workflow when one of its steps fails: another host, the next step all the same, or the way back.

On the way back the steps from the failed one are undone one by one, down to the first or to the last that was final;
the action then closes with the first failure.
"""

import logging
from dataclasses import replace
from typing import Final

from kilonova.domain.changes import Change, Phase
from kilonova.domain.faults import HOPELESS, FaultCause
from kilonova.domain.workflow import Leg
from kilonova.services.advancing import Advance
from kilonova.services.books import Outcome, Turn, cause_of, read_failure, write_failure
from kilonova.services.closing import HARMLESS, awaited, fault_of
from kilonova.services.door import Failure
from kilonova.services.placing import request_of
from kilonova.store import changes

_log = logging.getLogger(__name__)

_HOPELESS: Final = HOPELESS | {FaultCause.NOT_SUPPORTED, FaultCause.ABORTED}
"""Failures that another host would not mend."""
_ABORTED: Final = Failure(cause=FaultCause.ABORTED, message="The operation was called off.", detail="", traceback="")


class Unwinding:
    """Leads failed turns to their end. ``max_attempts`` is on how many hosts a step that may is tried."""

    def __init__(self, advance: Advance, *, max_attempts: int) -> None:
        self._advance = advance
        self._max_attempts = max_attempts

    def called_off(self, turn: Turn) -> None:
        """Somebody wants the operation no more, and its step is done."""
        self._turn_back(turn, _ABORTED)

    def abandoned(self, turn: Turn) -> Outcome:
        """What the records of the steps up to the turn's own are once nobody will undo anything; saves nothing."""
        outcome = turn.outcome
        for step in reversed(turn.workflow.steps[: turn.workflow.index(turn.step.name) + 1]):
            if step.is_final and step is not turn.step:
                break
            at_it = replace(turn, step=step, instance=outcome.instance, course=outcome.course)
            outcome = self._advance.page(at_it).undone(at_it)
        return outcome

    def failed(self, turn: Turn, failure: Failure) -> None:
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
        ended = self._advance.save(
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
        turn = self._advance.noted(turn, self._advance.page(turn).done(turn))
        course = replace(turn.course, failure=write_failure(failure), failed_at=turn.step.name)
        self._advance.go(replace(turn, course=course), Leg(following.name))

    def _may_retry(self, turn: Turn, failure: Failure) -> bool:
        tried = len(turn.course.tried) + 1
        is_free = not turn.action.parameters.get("host") and not turn.course.is_aborted
        return is_free and failure.cause not in _HOPELESS and tried < self._max_attempts

    def _again(self, turn: Turn, failure: Failure) -> None:
        """Begin anew without the host that failed; its event counts as a success, its fault is kept (§6.6.4)."""
        host = turn.action.host
        fault = fault_of(failure, turn.action, turn.now)
        ended = self._advance.save(
            turn,
            turn.instance,
            Phase.RETRY,
            event=turn.step.event,
            fault=fault,
            notices=("update", "resize.error"),
        )
        for step in reversed(turn.workflow.steps[: turn.workflow.index(turn.step.name) + 1]):
            outcome = self._advance.page(replace(ended, step=step)).undone(replace(ended, step=step))
            ended = replace(ended, course=outcome.course)
        course = replace(
            turn.course,
            destination=None,
            destination_node=None,
            migration_id=None,
            tried=(*turn.course.tried, *([host] if host else [])),
        )
        self._advance.go(replace(ended, course=course), Leg(turn.workflow.first.name))

    def _turn_back(self, turn: Turn, failure: Failure) -> None:
        course = turn.course
        if course.failure is None:
            course = replace(course, failure=write_failure(failure), failed_at=turn.step.name)
        self._unwind(replace(turn, course=course), turn.workflow.index(turn.step.name))

    def undone(self, turn: Turn, failure: Failure | None) -> None:
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
            turn = self._advance.save(turn, turn.instance, phase, event=turn.step.undo_event, failure=failure)
        outcome = self._advance.page(turn).undone(turn)
        self._unwind(self._advance.noted(turn, outcome), turn.workflow.index(turn.step.name) - 1)

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
                self._advance.go(turn, Leg(step.name, is_undo=True))
                return
            turn = self._advance.noted(turn, self._advance.page(turn).undone(turn))
        self.close(turn)

    def close(self, turn: Turn) -> None:
        """End the operation with its first failure, in the state that this leads to."""
        failure, failed_at = read_failure(turn.course), turn.workflow.step(turn.course.failed_at)
        fails_to = None if failure.cause in HARMLESS else failed_at.fails_to
        lost = turn.instance._replace(vm_state=fails_to or turn.instance.vm_state, updated_at=turn.now)
        lost = lost._replace(task_state=awaited(turn.tx, turn.action, turn.instance))
        turn = replace(turn, step=failed_at)
        outcome = self._advance.books_of(turn).failed(replace(turn, instance=lost))
        change = Change(
            before=turn.instance,
            after=outcome.instance,
            request=request_of(turn.action),
            occurred_at=turn.now,
            operation=turn.operation,
            phase=Phase.ERROR,
            cause=cause_of(failure),
            action_id=turn.action.id,
            host=turn.course.host_of(failed_at.where) or self._advance.host,
            without_event=True,
            notices=("update",),
            raised=failure.raised,
            fault=None if failure.cause is FaultCause.ABORTED else fault_of(failure, turn.action, turn.now),
            details=failure.message[:255],
        )
        changes.save(turn.tx, change)
