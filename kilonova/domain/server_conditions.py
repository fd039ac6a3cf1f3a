"""Conditions of servers and of projects: what is the case with them, why, and since when. Pure, as ``conditions``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kilonova.domain.conditions import HOST_REACHABLE, Condition, Status, of_type
from kilonova.domain.faults import find_cause
from kilonova.domain.model import SECOND, Fault, Instance, InstanceAction, Instant, after
from kilonova.domain.operations import get_operation
from kilonova.domain.quota import UNLIMITED
from kilonova.domain.refusals import Refusal
from kilonova.domain.states import TaskState, VmState

PLACED: Final = "Placed"
"""It has a host."""
LATE: Final = "Late"
"""An operation takes longer than it usually does."""
WAITING: Final = "Waiting"
"""An operation was accepted, and who has to carry it out is not there."""
FAILED: Final = "Failed"
"""It is in error, and the fault says why."""
DELETING: Final = "Deleting"
"""It is on its way out."""
QUOTA_LEFT: Final = "QuotaLeft"
"""The project can have another server, as far as its limits go."""
SERVERS_WELL: Final = "ServersWell"
"""No server of the project is in error."""

TURNING: Final = (PLACED, LATE, WAITING, FAILED)
"""Conditions whose turns are kept and told; the others are plain from other records."""
_USUAL_SHARE: Final = 5
"""What takes more than this part of the time until its deadline is late."""
_NEARLY: Final = 0.9
_GOING: Final = frozenset({TaskState.DELETING, TaskState.SOFT_DELETING})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What is known of a server: its host's conditions (None without a host), what is open, and what failed.

    ``refused`` is the newest decision where that found no host.
    """

    instance: Instance
    host: Sequence[Condition] | None = None
    actions: Sequence[InstanceAction] = ()
    fault: Fault | None = None
    refused: Refusal | None = None


def server_conditions(facts: ServerFacts, *, now: Instant) -> tuple[Condition, ...]:
    """All conditions of a server. None names a host: its owner may read them."""
    return (
        _placed(facts),
        _reachable(facts),
        _waiting(facts),
        _late(facts, now),
        _failed(facts),
        _deleting(facts),
    )


def _placed(facts: ServerFacts) -> Condition:
    instance = facts.instance
    if instance.host is not None:
        return Condition(type=PLACED, status=Status.TRUE, reason="OnHost")
    if instance.vm_state is VmState.SHELVED_OFFLOADED:
        return Condition(type=PLACED, status=Status.FALSE, reason="Offloaded", message="it was shelved")
    found = facts.refused
    if found is not None:
        message, since = found.summary, found.decided_at
        return Condition(type=PLACED, status=Status.FALSE, reason=found.reason, message=message, since=since)
    is_building = instance.vm_state is VmState.BUILDING
    return Condition(type=PLACED, status=Status.FALSE, reason="Scheduling" if is_building else "NoHost")


def _reachable(facts: ServerFacts) -> Condition:
    if facts.instance.host is None:
        return Condition(type=HOST_REACHABLE, status=Status.UNKNOWN, reason="NoHost")
    found = of_type(facts.host or (), HOST_REACHABLE)
    if found is None:
        return Condition(type=HOST_REACHABLE, status=Status.UNKNOWN, reason="HostUnknown")
    is_down = found.status is Status.FALSE
    return Condition(
        type=HOST_REACHABLE,
        status=found.status,
        reason="HostDown" if is_down else found.reason,
        message="its host is not heard of" if is_down else "",
        since=found.since,
    )


def _waiting(facts: ServerFacts) -> Condition:
    waiting = next((action for action in facts.actions if action.host is not None and action.attempts == 0), None)
    host = of_type(facts.host or (), HOST_REACHABLE)
    if waiting is None or host is None or host.status is Status.TRUE:
        return Condition(type=WAITING, status=Status.FALSE, reason="NothingWaits")
    text = f"'{get_operation(waiting.operation).quoted}' waits for the server's host, which is not heard of"
    return Condition(type=WAITING, status=Status.TRUE, reason="HostDown", message=text, since=waiting.started_at)


def _late(facts: ServerFacts, now: Instant) -> Condition:
    for action in facts.actions:
        usual = after(action.started_at, (action.deadline_at - action.started_at) / SECOND / _USUAL_SHARE)
        if now > usual:
            text = (
                f"'{get_operation(action.operation).quoted}' has taken {(now - action.started_at) // SECOND} s; "
                f"it is given up after {(action.deadline_at - action.started_at) // SECOND} s"
            )
            return Condition(type=LATE, status=Status.TRUE, reason="BeyondUsualTime", message=text, since=usual)
    return Condition(type=LATE, status=Status.FALSE, reason="InTime")


def _failed(facts: ServerFacts) -> Condition:
    if facts.instance.vm_state is not VmState.ERROR:
        return Condition(type=FAILED, status=Status.FALSE, reason="Well")
    if facts.fault is None:
        return Condition(type=FAILED, status=Status.TRUE, reason="Reset", message="its state was set to error")
    cause = find_cause(facts.fault.cause)
    reason = "".join(word.capitalize() for word in (cause.code if cause else "unknown").split("_"))
    return Condition(
        type=FAILED,
        status=Status.TRUE,
        reason=reason,
        message=facts.fault.message,
        since=facts.fault.created_at,
    )


def _deleting(facts: ServerFacts) -> Condition:
    is_going = facts.instance.task_state in _GOING
    return Condition(
        type=DELETING, status=Status.TRUE if is_going else Status.FALSE, reason="Asked" if is_going else "NotAsked"
    )


def project_conditions(used: Mapping[str, int], limits: Mapping[str, int], *, in_error: int) -> tuple[Condition, ...]:
    """All conditions of a project: what is used of each limited resource, and how many servers are in error."""
    shares = {name: count / limits[name] for name, count in used.items() if limits.get(name, UNLIMITED) > 0}
    full = sorted(name for name, share in shares.items() if share >= 1)
    nearly = sorted(name for name, share in shares.items() if _NEARLY <= share < 1)
    text = ", ".join(f"{used[name]} of {limits[name]} {name}" for name in full or nearly)
    reason = "Exhausted" if full else "NearlyExhausted" if nearly else "Ample"
    errors = f"{in_error} in error" if in_error else ""
    return (
        Condition(type=QUOTA_LEFT, status=Status.FALSE if full else Status.TRUE, reason=reason, message=text),
        Condition(
            type=SERVERS_WELL,
            status=Status.FALSE if in_error else Status.TRUE,
            reason="SomeInError" if in_error else "NoneInError",
            message=errors,
        ),
    )
