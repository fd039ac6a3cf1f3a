"""One row of the table of operations: what can be known of an operation on a server (contract §6.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from kilonova.domain.states import PowerState, TaskState, VmState


class Runs(Enum):
    """Who carries an operation out."""

    AGENT = "agent"
    """One driver call on the server's host."""
    CONDUCTOR = "conductor"
    """A workflow of several steps, maybe on several hosts."""
    API = "api"
    """At once, within the request."""


ANY_STATE: Final = frozenset(VmState) - {VmState.DELETED}
ANY_TASK: Final = frozenset(TaskState)
IDLE: Final[frozenset[TaskState]] = frozenset()

MINUTE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row.

    ``request`` is the key in ``POST /servers/{id}/action`` (None where another route leads here) and ``variant`` the
    ``type`` that picks between two rows of one key. ``word`` is what 409 texts quote. ``accepts`` are the settled
    states from which it may start, ``accepts_tasks`` the task states that do not stop it (none by default); with
    ``needs_task`` one of them must be there. ``during``/``becomes``/``power`` are the states while it runs and after
    it, None for unchanged. ``fails_to`` is the settled state after a failure, None for the one before; with
    ``forgives_running`` it is ``becomes`` for a guest that runs all the same. ``events`` are the ledger's, ``event``
    the one that the driver call has. ``begins`` is the task state once its host has begun, None for ``during``, and
    ``steps`` are those that follow while it runs. With
    ``launches`` it begins the server's life anew (``launched_at``, contract §5), and with ``keeps_stopped`` a server
    that was stopped is stopped again at its end. ``keeps`` are the parameters that the ledger keeps; whatever else a
    client sends, such as a password, is dropped before it is written anywhere. With ``minds_lock`` a locked server is
    refused; without ``tells_lock`` that reads as an invalid state. ``is_ready`` is False for an operation that Kilonova
    knows but does not do yet: the API answers 501.
    """

    name: str
    action: str
    policy: str
    accepts: frozenset[VmState]
    runs: Runs = Runs.AGENT
    request: str | None = None
    variant: str | None = None
    word: str = ""
    events: tuple[str, ...] = ()
    notifies: str = ""
    legacy: str = ""
    accepts_tasks: frozenset[TaskState] = IDLE
    needs_task: bool = False
    during: TaskState | None = None
    begins: TaskState | None = None
    steps: tuple[TaskState, ...] = ()
    becomes: VmState | None = None
    power: PowerState | None = None
    fails_to: VmState | None = None
    forgives_running: bool = False
    launches: bool = False
    keeps_stopped: bool = False
    driver: str = ""
    keeps: tuple[str, ...] = ()
    deadline_seconds: int = 10 * MINUTE
    status: int = 202
    since: str = "2.1"
    until: str | None = None
    needs_launch: bool = True
    needs_host: bool = False
    minds_lock: bool = True
    tells_lock: bool = True
    is_ready: bool = False

    @property
    def overtakes(self) -> bool:
        """Whether its host does it beside another operation of the server that is under way, and ends that with it."""
        return self.runs is Runs.AGENT and bool(self.accepts_tasks) and not self.needs_task

    @property
    def event(self) -> str | None:
        """The event of the driver call: the last one, as conductors' events come before agents'."""
        return self.events[-1] if self.events else None

    def kept(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the parameters that may be written down."""
        return {name: parameters[name] for name in self.keeps if name in parameters}

    @property
    def course(self) -> tuple[TaskState, ...]:
        """The task states that it goes through, in their order."""
        return tuple(state for state in (self.during, self.begins, *self.steps) if state is not None)

    @property
    def quoted(self) -> str:
        """The word that 409 texts quote: the action's name unless the row has another."""
        return self.word or self.action
