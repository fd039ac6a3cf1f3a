"""What a workflow is: an operation of several steps, each with what takes it back (design §3, §6).

A step is one driver call on one host, or one piece of the conductor's bookkeeping. How far an operation is, in which
direction it goes and what its steps handed on is kept with its action in the ledger, so that anybody can go on with
it. The workflows themselves are rows in ``workflows.py``.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Any, Self

from kilonova.domain.states import TaskState, VmState


class Where(Enum):
    """Who carries a step out."""

    CONDUCTOR = "conductor"
    SOURCE = "source"
    """The agent of the host that the server was on when the operation began."""
    DESTINATION = "destination"
    """The agent of the host that the conductor chose in an earlier step."""


class IfLost(Enum):
    """What becomes of a step whose host is down, and that no agent has in hand."""

    WAIT = "wait"
    """The host's agent finds it when it is back; the operation's deadline ends the wait."""
    FAIL = "fail"
    """The step failed, and the operation turns back at once."""
    SKIP = "skip"
    """The step counts as done: what it would have removed goes when the host's agent is back and compares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row of a workflow.

    ``verb`` is what the driver is asked for, ``undo`` what takes it back at the same place when this step or a later
    one fails; both may be asked for twice. ``event`` is the step's event in the ledger, ``also`` are those that begin
    and end with it, ``opens`` is that of a later step on its host which begins as this one ends, and ``undo_event``
    that of its undoing; None for none. What is told of a step follows from its events
    (``notifications/occasions.py``); ``tells`` says what is told of its end where that follows from none. ``task`` is
    the task state from the moment the step began, ``through`` are those that its host tells on the way, ``then`` is the
    one from its end on; None leaves it as it is.
    ``fails_to`` is the settled state that a failure of this step leads to, None for the one before. One that
    ``retries`` may fail on one host after another: the operation then begins anew without that host. Once a step
    ``is_final`` is done, there is no way back beyond it. One that ``goes_on`` is followed by the next also when it
    failed, as only that brings the server to where it can be used; the operation then fails at its end.
    """

    name: str
    where: Where
    verb: str = ""
    undo: str = ""
    event: str | None = None
    also: tuple[str, ...] = ()
    opens: str | None = None
    undo_event: str | None = None
    task: TaskState | None = None
    through: tuple[TaskState, ...] = ()
    then: TaskState | None = None
    fails_to: VmState | None = None
    retries: bool = False
    is_final: bool = False
    goes_on: bool = False
    if_lost: IfLost = IfLost.WAIT
    undo_if_lost: IfLost = IfLost.WAIT
    tells: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """One step in one direction: what an agent has in hand, and what it reports of."""

    step: str
    is_undo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What an operation's steps know of each other; kept with the action as JSON.

    ``handed`` is what driver calls returned for those that follow, ``failure`` the first one (fields of
    ``services.door.Failure``) and ``failed_at`` the step that had it. ``tried`` are hosts that failed, ``is_aborted``
    says that somebody wants the operation called off.
    """

    source: str | None = None
    source_node: str | None = None
    destination: str | None = None
    destination_node: str | None = None
    migration_id: int | None = None
    handed: Mapping[str, Any] = field(default_factory=dict)
    failure: Mapping[str, Any] | None = None
    failed_at: str | None = None
    tried: tuple[str, ...] = ()
    is_aborted: bool = False

    @classmethod
    def read(cls, text: str) -> Self:
        """The course in the JSON of an action; an empty one where it has not begun."""
        kept = json.loads(text)
        return cls(**{**kept, "tried": tuple(kept.get("tried", ()))})

    def write(self) -> str:
        """The course as JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def host_of(self, where: Where) -> str | None:
        """The host of a step; None for the conductor's own."""
        return {Where.CONDUCTOR: None, Where.SOURCE: self.source, Where.DESTINATION: self.destination}[where]

    def handing(self, result: Mapping[str, Any]) -> Self:
        """The course with what a step returned."""
        return replace(self, handed={**self.handed, **result})


@dataclass(frozen=True, slots=True)
class Workflow:
    """The steps of one operation, in order."""

    steps: tuple[Step, ...]

    @property
    def first(self) -> Step:
        """Where it begins."""
        return self.steps[0]

    def index(self, name: str | None) -> int:
        """The place of a step, that of the first for an operation that has not begun. KeyError for an unknown one."""
        if name is None:
            return 0
        for place, step in enumerate(self.steps):
            if step.name == name:
                return place
        raise KeyError(name)

    def step(self, name: str | None) -> Step:
        """The step of this name, as in ``index``."""
        return self.steps[self.index(name)]

    def following(self, step: Step) -> Step | None:
        """The next step, None after the last."""
        place = self.index(step.name) + 1
        return self.steps[place] if place < len(self.steps) else None
