"""What bookkeeping of a workflow is: what its steps write beside the task state, and what they get to see for that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kilonova.domain.changes import Cause
from kilonova.domain.faults import FaultCause, find_cause
from kilonova.domain.model import Instance, InstanceAction, Instant
from kilonova.domain.operation import Operation
from kilonova.domain.operations import get_operation
from kilonova.domain.states import TaskState
from kilonova.domain.transitions import finished
from kilonova.domain.workflow import Course, Leg, Step, Workflow
from kilonova.domain.workflows import WORKFLOWS
from kilonova.services.closing import awaited, cut
from kilonova.services.door import Failure
from kilonova.store.database import Connection, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What bookkeeping gets to see: one step of one operation, within the transaction that begins or ends it.

    ``instance`` is as the engine would save it, ``result`` what the driver call returned, ``plan`` what was looked up
    beforehand.
    """

    tx: Transaction
    action: InstanceAction
    instance: Instance
    course: Course
    now: Instant
    step: Step
    result: Mapping[str, Any] = field(default_factory=dict)
    plan: Any = None

    @property
    def operation(self) -> Operation:
        """The operation's row."""
        return get_operation(self.action.operation)

    @property
    def workflow(self) -> Workflow:
        """The operation's steps."""
        return WORKFLOWS[self.action.operation]

    @property
    def leg(self) -> Leg:
        """Which step it is, and in which direction."""
        return Leg(self.step.name, is_undo=self.action.is_undoing)

    @property
    def outcome(self) -> "Outcome":
        """Nothing but what the engine does by itself."""
        return Outcome(self.instance, self.course)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The instance and the course as bookkeeping leaves them; with a failure the step failed.

    ``notices`` is what the end of the step is told as, where its event does not say it (``notifications/occasions``).
    With ``is_over`` the operation ends here, whatever steps would follow.
    """

    instance: Instance
    course: Course
    failure: Failure | None = None
    notices: tuple[str, ...] | None = None
    is_over: bool = False


Bookkeep = Callable[[Turn], Outcome]


def _nothing(turn: Turn) -> Outcome:
    return turn.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The bookkeeping of one step: when it begins on its host, when that tells how far it is, when it ends.

    ``undone`` is also called for the step that failed, so it must bear that ``done`` was not.
    """

    plan: Callable[[Connection, Instance, InstanceAction], Any] | None = None
    begun: Bookkeep = _nothing
    told: Bookkeep = _nothing
    done: Bookkeep = _nothing
    undone: Bookkeep = _nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The bookkeeping of one operation: at its acceptance, of its steps by their names, and at its end in failure.

    ``opened`` may refuse the operation by raising what the API is to answer; nothing is kept of it then.
    """

    opened: Bookkeep = _nothing
    pages: Mapping[str, Page] = field(default_factory=dict)
    failed: Bookkeep = _nothing


def verb_of(action: InstanceAction) -> str:
    """What the driver is asked for at the step that a workflow's action is at."""
    step = WORKFLOWS[action.operation].step(action.step)
    return step.undo if action.is_undoing else step.verb


def leg_of(action: InstanceAction) -> Leg | None:
    """The step that the action is at, None for an operation without steps."""
    if action.operation not in WORKFLOWS:
        return None
    return Leg(WORKFLOWS[action.operation].step(action.step).name, is_undo=action.is_undoing)


def read_failure(course: Course) -> Failure:
    """The first failure of an operation that turned back."""
    kept = course.failure or {}
    return Failure(
        cause=find_cause(kept.get("cause", "")) or FaultCause.INTERNAL,
        message=kept.get("message", ""),
        detail=kept.get("detail", ""),
        traceback=kept.get("traceback", ""),
    )


def write_failure(failure: Failure) -> dict[str, str]:
    """A failure as ``Course`` keeps it."""
    return {
        "cause": failure.cause.code,
        "message": failure.message,
        "detail": cut(failure.detail),
        "traceback": cut(failure.traceback),
    }


def settled(turn: Turn) -> Instance:
    """The instance after the last step; an operation accepted meanwhile keeps its task state."""
    done = finished(turn.operation, turn.instance, now=turn.now)
    return done if done.is_deleted else done._replace(task_state=awaited(turn.tx, turn.action, turn.instance))


def with_task(turn: Turn, instance: Instance, task: TaskState | None) -> Instance:
    """The instance with the step's task state, unless another operation was accepted meanwhile."""
    newer = awaited(turn.tx, turn.action, turn.instance)
    return instance if task is None or newer is not None else instance._replace(task_state=task)


def cause_of(failure: Failure | None) -> Cause:
    """Who wanted the change that a step's end is."""
    is_expired = failure is not None and failure.cause is FaultCause.INTERRUPTED
    return Cause.EXPIRED if is_expired else Cause.REQUESTED


def passed(turn: Turn, task: TaskState) -> Instance | None:
    """The instance as its host tells how far a step is; None where that was shown already, or lies behind.

    ValueError for a task state that the step does not go through.
    """
    course, shown = (turn.step.task, *turn.step.through), turn.instance.task_state
    if turn.action.is_undoing or task not in turn.step.through:
        raise ValueError(f"action {turn.action.id} reports {task} of step {turn.step.name}, which has none such")
    if shown in course and course.index(task) <= course.index(shown):
        return None
    further = with_task(turn, turn.instance, task)
    return None if further == turn.instance else further._replace(updated_at=turn.now)
