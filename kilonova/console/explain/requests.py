"""Why a request went as it went."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kilonova.console.explain import lines
from kilonova.console.explain.rules import Explanation, Facts, Line, Rule, first, spoken
from kilonova.console.timeline import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvidence:
    """What is known of a request: what it did to each server, and why those that failed did.

    ``causes`` are explanations of the servers on which it failed; ``deadline_at`` is the earliest of those that are
    open, None where the cloud has no deadlines.
    """

    request_id: str
    entries: Sequence[Entry]
    names: Sequence[str]
    now: datetime
    causes: Sequence[Explanation] = ()
    deadline_at: datetime | None = None

    @property
    def seconds(self) -> float:
        """From the first to the last that is known of it."""
        ends = [entry.seconds for entry in self.entries if entry.seconds is not None]
        return max(ends, default=0.0)


def explain_request(evidence: RequestEvidence) -> Explanation:
    """How the request went, and why."""
    first_entry = evidence.entries[0]
    known = {
        "what": first_entry.action,
        "names": ", ".join(evidence.names[:5]) + (" …" if len(evidence.names) > 5 else ""),
        "count": len(evidence.entries),
        "at": spoken(first_entry.started_at),
        "seconds": f"{evidence.seconds:.1f}",
    }
    found = first(REQUEST_RULES, evidence, known)
    if found.rule == "failed" and evidence.causes:
        cause = evidence.causes[0]
        return Explanation(
            rule=f"failed: {cause.rule}", why=cause.why, do=cause.do, evidence=cause.evidence, tone=cause.tone
        )
    return found


def _some(outcome: str, *, every: bool = False) -> Callable[[RequestEvidence], Facts | None]:
    def finds(evidence: RequestEvidence) -> Facts | None:
        found = [entry for entry in evidence.entries if entry.outcome == outcome]
        if not found or (every and len(found) < len(evidence.entries)):
            return None
        return {"some": len(found), "message": next(filter(None, (entry.message for entry in found)), "no reason")}

    return finds


def _late(evidence: RequestEvidence) -> Facts | None:
    for entry in evidence.entries:
        if entry.outcome != "open":
            continue
        age = (evidence.now - entry.started_at).total_seconds()
        if evidence.deadline_at is None:
            is_late, until = age > _LATE_SECONDS, "none that this cloud tells"
        else:
            is_late = age > (evidence.deadline_at - entry.started_at).total_seconds() * _USUAL_SHARE
            until = spoken(evidence.deadline_at)
        if is_late:
            return {"minutes": round(age / 60), "deadline": until}
    return None


def _lines(evidence: RequestEvidence) -> list[Line]:
    return [lines.step(step) for entry in evidence.entries[:5] for step in entry.steps]


_LATE_SECONDS: Final = 300.0
_USUAL_SHARE: Final = 0.2
"""What takes more than this part of the time until its deadline is late."""

REQUEST_RULES: Final[tuple[Rule[RequestEvidence], ...]] = (
    Rule(
        name="failed",
        finds=_some("failed"),
        sentence="The {what} of {names} failed after {seconds} s: {message}.",
        advice="Read the step that failed; when its cause is gone, ask again.",
        shows=_lines,
    ),
    Rule(
        name="late",
        finds=_late,
        sentence="The {what} of {names} goes on for {minutes} minutes, longer than usual; its deadline is {deadline}.",
        advice="Look at the host that works on it; at the deadline it is closed with a reason.",
        tone="wait",
        shows=_lines,
    ),
    Rule(
        name="open",
        finds=_some("open"),
        sentence="The {what} of {names}, asked for at {at}, is under way.",
        advice="Nothing to do: this page shows how it goes on.",
        tone="wait",
    ),
    Rule(
        name="done",
        finds=lambda _: {},
        sentence="The {what} of {names}, asked for at {at}, was done in {seconds} s.",
        advice="Nothing to do.",
        tone="good",
    ),
)
