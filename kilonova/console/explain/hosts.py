"""Why a host is as it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kilonova.console.explain import lines
from kilonova.console.explain.rules import Explanation, Facts, Line, Rule, find_condition, first, spoken_text

_FULL_PERCENT: Final = 95.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEvidence:
    """What is known of a host: its compute service (with conditions, on a Kilonova), how full it is, and who fails.

    ``fullest`` is what it has least left of and how many percent of that are taken; ``failed`` is what
    failed there lately for a cause that lies with the host.
    """

    service: Mapping[str, Any]
    servers: int = 0
    fullest: tuple[str, float] | None = None
    failed: Sequence[Mapping[str, Any]] = ()

    @property
    def conditions(self) -> Sequence[Mapping[str, Any]]:
        """The service's conditions; none where the cloud has none."""
        found: Sequence[Mapping[str, Any]] = self.service.get("conditions") or ()
        return found


def explain_host(evidence: HostEvidence) -> Explanation:
    """Why the host is as it is."""
    seen = evidence.service.get("last_seen_at") or evidence.service.get("updated_at")
    known = {
        "host": evidence.service.get("host", "?"),
        "servers": evidence.servers,
        "seen": spoken_text(seen) or "never",
    }
    return first(HOST_RULES, evidence, known)


def _condition(type: str, status: str) -> Callable[[HostEvidence], Facts | None]:
    def finds(evidence: HostEvidence) -> Facts | None:
        found = find_condition(evidence.conditions, type, status)
        if found is None:
            return None
        since = spoken_text(found.get("since")) or "some time ago"
        return {"why": found.get("message") or found.get("reason"), "since": since}

    return finds


def _full(evidence: HostEvidence) -> Facts | None:
    if evidence.fullest is None or evidence.fullest[1] < _FULL_PERCENT:
        return None
    return {"what": evidence.fullest[0], "percent": round(evidence.fullest[1])}


def _failing(evidence: HostEvidence) -> Facts | None:
    if not evidence.failed:
        return None
    return {"count": len(evidence.failed), "why": evidence.failed[0].get("title") or evidence.failed[0].get("message")}


def _lines(evidence: HostEvidence) -> list[Line]:
    return lines.conditions(
        each
        for each in evidence.conditions
        if each.get("status") != ("False" if each.get("type") == "Suspect" else "True")
    )


def _failed_lines(evidence: HostEvidence) -> list[Line]:
    return [lines.failure(each) for each in evidence.failed[:5]]


HOST_RULES: Final[tuple[Rule[HostEvidence], ...]] = (
    Rule(
        name="forced_down",
        finds=lambda evidence: {} if evidence.service.get("forced_down") else None,
        sentence="{host} was marked as down by an administrator. Servers on it, which can be evacuated: {servers}.",
        advice="Evacuate its servers, or take the mark off once the host is well.",
        shows=_lines,
    ),
    Rule(
        name="down",
        finds=lambda evidence: {} if evidence.service.get("state") == "down" else None,
        sentence="{host} is down: its agent was last heard of {seen}. Servers on it: {servers}.",
        advice="See that the machine and its agent run. If it will not come back, fence it and evacuate its servers.",
        shows=_lines,
    ),
    Rule(
        name="hypervisor_silent",
        finds=_condition("HypervisorAnswers", "False"),
        sentence="The agent of {host} lives, but its hypervisor does not answer since {since}: {why}.",
        advice="See that libvirt or QEMU runs on the host; its servers may run on meanwhile.",
        shows=_lines,
    ),
    Rule(
        name="two_agents",
        finds=_condition("SoleAgent", "False"),
        sentence="Two agents speak for {host}: {why}.",
        advice="Stop one of them: both believe that the host's servers are theirs.",
        shows=_lines,
    ),
    Rule(
        name="suspect",
        finds=_condition("Suspect", "True"),
        sentence="{host} is late: its agent was last heard of {seen}.",
        advice="Wait a moment; if it stays silent it is counted as down.",
        tone="wait",
        shows=_lines,
    ),
    Rule(
        name="clock_off",
        finds=_condition("ClockInStep", "False"),
        sentence="The clock of {host} is wrong: {why}.",
        advice="Let its clock be set by NTP; whether the host is up is not judged by it.",
        tone="wait",
        shows=_lines,
    ),
    Rule(
        name="nonsense",
        finds=_condition("ReportsMakeSense", "False"),
        sentence="What {host} reports cannot be true: {why}.",
        advice="See what its hypervisor says of its own size.",
        tone="wait",
        shows=_lines,
    ),
    Rule(
        name="failing",
        finds=_failing,
        sentence="Operations failed on {host} within the last hour ({count}), the latest because of: {why}.",
        advice="Mend the cause, or disable the host until it is mended: new servers go elsewhere then.",
        shows=_failed_lines,
    ),
    Rule(
        name="disabled",
        finds=lambda evidence: (
            {"why": evidence.service.get("disabled_reason") or "no reason was given"}
            if evidence.service.get("status") == "disabled"
            else None
        ),
        sentence="{host} is disabled ({why}): it takes no new servers. Servers on it, which stay: {servers}.",
        advice="Enable it when what it was disabled for is done.",
        tone="wait",
        shows=_lines,
    ),
    Rule(
        name="full",
        finds=_full,
        sentence="{host} is full: {percent} % of its {what} are taken.",
        advice="Move servers away, or add hosts, before larger ones are asked for.",
        tone="wait",
    ),
    Rule(
        name="well",
        finds=lambda _: {},
        sentence="Nothing is wrong with {host}: it is up and takes new servers. Servers on it: {servers}.",
        advice="Nothing to do.",
        tone="good",
    ),
)
