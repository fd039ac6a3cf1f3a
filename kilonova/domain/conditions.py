"""Conditions: what is the case with a thing, why, and since when. Pure; derived at read time from kept facts.

A condition is a finding about one service, host, server or project: a type that never changes its meaning, a truth
about it, a reason for programs (CamelCase, from a short list), a message for people, and the instant of its last
turn. Conditions are never Nova's states: a host that is ``Suspect`` is still ``up``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from kilonova.domain.model import SECOND, Instant, Service, after


class Status(StrEnum):
    """The truth about a condition. ``UNKNOWN`` is for what nobody can tell now, never for what is merely bad."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One finding. ``since`` is when ``status`` last turned, None where nobody saw it turn."""

    type: str
    status: Status
    reason: str
    message: str = ""
    since: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """That a condition is no longer what it was; ``before`` is None for one that is seen for the first time."""

    before: Condition | None
    after: Condition


def turns(before: Iterable[Condition], found: Iterable[Condition], *, now: Instant) -> list[Turn]:
    """What turned between two looks at one thing: other statuses, or other reasons for the same one.

    Where only the reason changed, or where the new look does not know since when it is so, ``since`` is carried over
    from the look before, or else it is ``now``.
    """
    known = {each.type: each for each in before}
    found_turns = []
    for each in found:
        old = known.get(each.type)
        if old is None or (old.status, old.reason) != (each.status, each.reason):
            found_turns.append(Turn(before=old, after=_dated(old, each, now)))
    return found_turns


def _dated(old: Condition | None, new: Condition, now: Instant) -> Condition:
    if old is not None and old.status is new.status and old.since is not None:
        return replace(new, since=old.since)
    return new if new.since is not None else replace(new, since=now)


def of_type(conditions: Iterable[Condition], type: str) -> Condition | None:
    """The condition of this type, or None."""
    return next((each for each in conditions if each.type == type), None)


HOST_REACHABLE: Final = "HostReachable"
"""The agent beats: the same rule as Nova's ``up``."""
SUSPECT: Final = "Suspect"
"""The agent is late, and still up."""
ENABLED: Final = "Enabled"
"""An administrator lets it take new work."""
HYPERVISOR_ANSWERS: Final = "HypervisorAnswers"
"""What runs the guests answered the agent's last look."""
CLOCK_IN_STEP: Final = "ClockInStep"
"""The agent's clock agrees with the control plane's; liveness does not depend on it."""
SOLE_AGENT: Final = "SoleAgent"
"""One agent speaks for the host."""
REPORTS_MAKE_SENSE: Final = "ReportsMakeSense"
"""What the agent reports can be true."""
ACCEPTING_WORK: Final = "AcceptingWork"
"""New servers may be sent there."""
HAS_SERVICE: Final = "HasService"
"""The compute node belongs to a service that is registered."""

NOTED: Final = (HYPERVISOR_ANSWERS, CLOCK_IN_STEP, SOLE_AGENT, REPORTS_MAKE_SENSE)
"""Conditions that only a heartbeat tells, and that are therefore kept; without a word of them, they are fine."""
_COMPUTE: Final = "nova-compute"
_FINE: Final = {
    HYPERVISOR_ANSWERS: "Answered",
    CLOCK_IN_STEP: "InStep",
    SOLE_AGENT: "Alone",
    REPORTS_MAKE_SENSE: "Sensible",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How long a service may be silent: past ``late_seconds`` it is suspect, past ``down_seconds`` it is down."""

    late_seconds: float
    down_seconds: float


def service_conditions(
    service: Service, watch: Watch, noted: Sequence[Condition] = (), *, now: Instant
) -> tuple[Condition, ...]:
    """All conditions of a service. ``noted`` are those of ``NOTED`` that its heartbeats told last."""
    reachable, enabled = _reachable(service, watch, now), _enabled(service)
    common = (reachable, _suspect(service, watch, reachable, now), enabled)
    if service.binary != _COMPUTE:
        return common
    told = tuple(_noted(type, noted, is_up=reachable.status is Status.TRUE) for type in NOTED)
    return (*common, *told, _accepting(reachable, enabled, told))


def node_conditions(service_found: Sequence[Condition] | None) -> tuple[Condition, ...]:
    """The conditions of a compute node, from those of its service; None where that is gone: an orphan."""
    if service_found is None:
        orphan = "the service that reported this node is not registered any more"
        return (
            Condition(type=HAS_SERVICE, status=Status.FALSE, reason="ServiceMissing", message=orphan),
            Condition(type=HOST_REACHABLE, status=Status.UNKNOWN, reason="ServiceMissing", message=orphan),
            Condition(type=ACCEPTING_WORK, status=Status.FALSE, reason="ServiceMissing", message=orphan),
        )
    passed_on = (of_type(service_found, type) for type in (HOST_REACHABLE, ACCEPTING_WORK))
    owned = Condition(type=HAS_SERVICE, status=Status.TRUE, reason="Registered")
    return (owned, *(each for each in passed_on if each is not None))


def _reachable(service: Service, watch: Watch, now: Instant) -> Condition:
    def found(status: Status, reason: str, message: str, since: Instant | None) -> Condition:
        return Condition(type=HOST_REACHABLE, status=status, reason=reason, message=message, since=since)

    if service.forced_down:
        return found(Status.FALSE, "ForcedDown", "an administrator declared it down", None)
    seen = service.last_seen_at
    if service.is_up(now, service_down_seconds=watch.down_seconds):
        return found(Status.TRUE, "Beating" if seen else "NotHeardYet", "", None)
    last = service.created_at if seen is None else seen
    if last > now:
        ahead = "its last heartbeat lies in the future: the control plane's clock was set back"
        return found(Status.FALSE, "BeatInTheFuture", ahead, None)
    text = f"silent for {_seconds(now - last)} s" if seen else "it never beat since it was registered"
    return found(Status.FALSE, "Silent" if seen else "NeverHeard", text, after(last, watch.down_seconds))


def _suspect(service: Service, watch: Watch, reachable: Condition, now: Instant) -> Condition:
    last = service.created_at if service.last_seen_at is None else service.last_seen_at
    overdue = after(last, watch.late_seconds)
    if reachable.status is Status.TRUE and now > overdue:
        late = f"silent for {_seconds(now - last)} s; down after {watch.down_seconds:g} s"
        return Condition(type=SUSPECT, status=Status.TRUE, reason="Late", message=late, since=overdue)
    return Condition(type=SUSPECT, status=Status.FALSE, reason="InTime" if reachable.status is Status.TRUE else "Down")


def _enabled(service: Service) -> Condition:
    if service.disabled:
        return Condition(
            type=ENABLED, status=Status.FALSE, reason="Disabled", message=service.disabled_reason or "no reason given"
        )
    return Condition(type=ENABLED, status=Status.TRUE, reason="Enabled")


def _noted(type: str, noted: Sequence[Condition], *, is_up: bool) -> Condition:
    """What was told last; of an agent that is silent, it says what was so, and nobody knows what is."""
    told = of_type(noted, type)
    if not is_up and (told is None or told.status is Status.TRUE):
        return Condition(type=type, status=Status.UNKNOWN, reason="HostUnreachable")
    return told or Condition(type=type, status=Status.TRUE, reason=_FINE[type])


def _accepting(reachable: Condition, enabled: Condition, told: Sequence[Condition]) -> Condition:
    answers = of_type(told, HYPERVISOR_ANSWERS)
    for each in (reachable, enabled, answers):
        if each is not None and each.status is not Status.TRUE:
            return Condition(
                type=ACCEPTING_WORK, status=Status.FALSE, reason=each.reason, message=each.message, since=each.since
            )
    return Condition(type=ACCEPTING_WORK, status=Status.TRUE, reason="Ready")


def shown(condition: Condition, *, moment: Callable[[Instant], Any]) -> dict[str, Any]:
    """A condition as data for a reply or the journal; ``moment`` spells an instant."""
    return {
        "type": condition.type,
        "status": str(condition.status),
        "reason": condition.reason,
        "message": condition.message,
        "since": None if condition.since is None else moment(condition.since),
    }


def _seconds(micros: int) -> int:
    return micros // SECOND
