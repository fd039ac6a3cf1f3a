"""A change: what is saved in one transaction, and what the world is then told.

Nothing updates an instance except ``store.save(change)``: the record, its history and its journal row are written
together or not at all, so nobody can forget to announce, nor announce what did not happen (design §1, §3).
"""

from dataclasses import dataclass
from enum import StrEnum

from kilonova.domain.model import Fault, Instance, Instant, Request
from kilonova.domain.operations import Operation


class Phase(StrEnum):
    """Where in its operation a change stands; the only moments at which an operation changes an instance.

    ``STEP`` is a visible move between two task states of one operation (such as scheduling → spawning): it
    changes the record and is announced, but opens and closes nothing in the ledger. ``RETRY`` is the end of an attempt
    that failed, after which the operation is tried on another host.
    """

    ACCEPTED = "accepted"
    START = "start"
    STEP = "step"
    RETRY = "retry"
    END = "end"
    ERROR = "error"


class Cause(StrEnum):
    """Who wanted the change."""

    REQUESTED = "requested"
    """Somebody asked for it through the API."""
    OBSERVED = "observed"
    """The hypervisor was seen to differ: the guest did it itself, or somebody at the host."""
    RECONCILED = "reconciled"
    """A loop repaired what had drifted."""
    EXPIRED = "expired"
    """A deadline passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """The exception behind a failure: its class, the module and function that raised it, and what it said.

    ``message`` is empty where the fault says the same.
    """

    exception: str
    module: str
    function: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One before and after of an instance, with all that has to be kept and told of it.

    ``before`` is None for an instance that is new. ``operation`` and ``phase`` are both None for a change that
    belongs to no operation, such as a new name; then nothing is written into the ledger.

    What each phase writes into the ledger:

    ========  ==========================================================================================
    ACCEPTED  opens an action (``parameters_json`` is what the caller asked for, ``host`` who must do it)
    START     opens an event of ``action_id`` on ``host``
    STEP      –
    RETRY     finishes the open event with Success, as Nova does (contract §6.6.4); keeps ``fault`` as an attempt's
    END       finishes the open event with Success and, if ``closes_action``, the action
    ERROR     finishes the open event with Error, ``traceback`` and ``details``; keeps ``fault``; closes likewise
    ========  ==========================================================================================

    ``event`` replaces the operation's own event name where a step has another one; ``without_event`` is for an end that
    has none, such as that of a server deleted without its host (contract §7.6). ``also`` are further events that began
    and ended with this one, ``opens`` is one that begins as this one ends. ``step`` is the step of the operation's
    workflow that it is the start or end of, with ``is_undoing`` of its undoing; None for the operation as a whole.

    ``parameters_json`` in a later phase is the action's: some notifications tell of it (``new_flavor``, an image's id).

    How a change is told outside follows from its operation, phase and event (``notifications/occasions.py``). Where it
    does not, ``notices`` says it, in order: ``("live_migration_post.start@host-1",)`` is the versioned name, the phase,
    and whose host speaks if not ``host``; ``("update",)`` tells nothing but the update. ``raised`` is the exception
    behind a fault. Without ``keeps_fault`` a fault is told, and not kept as the instance's own. With ``spares_event``
    the operation failed, and its step's event counts as a success all the same.
    """

    before: Instance | None
    after: Instance
    request: Request
    occurred_at: Instant
    operation: Operation | None = None
    phase: Phase | None = None
    cause: Cause = Cause.REQUESTED
    action_id: int | None = None
    host: str | None = None
    event: str | None = None
    parameters_json: str = "{}"
    fault: Fault | None = None
    traceback: str | None = None
    details: str | None = None
    closes_action: bool = True
    without_event: bool = False
    notices: tuple[str, ...] | None = None
    raised: Raised | None = None
    keeps_fault: bool = True
    also: tuple[str, ...] = ()
    opens: str | None = None
    step: str | None = None
    is_undoing: bool = False
    spares_event: bool = False
