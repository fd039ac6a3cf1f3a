"""Why a server is as it is: its evidence, and the rules in their order.

Evidence is what any Nova tells; where the cloud is a Kilonova there are causes, conditions and decisions too, and the
rules that look at them say more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kilonova.console.explain import lines
from kilonova.console.explain.causes import CAUSES, Cause
from kilonova.console.explain.lacks import GENERAL, advise, count_lacks, find_reasons
from kilonova.console.explain.rules import Explanation, Facts, Line, Rule, find_condition, first, spoken, spoken_text
from kilonova.console.timeline import Entry, instant

_LATE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known. ``service`` is the compute service of the server's host; None where the reader may not know.

    ``cause`` is the code of the latest fault where the cloud keeps one, and ``cause_host`` where it happened;
    ``conditions`` are those of the server.
    """

    server: Mapping[str, Any]
    timeline: Sequence[Entry]
    now: datetime
    service: Mapping[str, Any] | None = None
    decisions: Sequence[Mapping[str, Any]] = ()
    conditions: Sequence[Mapping[str, Any]] = ()
    cause: str | None = None
    cause_host: str | None = None

    @property
    def fault(self) -> Mapping[str, Any]:
        """The server's fault, empty where it has none."""
        found: Mapping[str, Any] = self.server.get("fault") or {}
        return found

    @property
    def is_error(self) -> bool:
        """Whether the server itself is in error."""
        return self.server.get("status") == "ERROR" or bool(self.fault)

    @property
    def latest(self) -> Entry | None:
        """What was last asked of the server."""
        return self.timeline[0] if self.timeline else None

    @property
    def failed(self) -> Entry | None:
        """The latest request that failed."""
        return next((entry for entry in self.timeline if entry.outcome == "failed"), None)

    @property
    def blamed(self) -> Entry | None:
        """The request that failed and is still of interest: that of a server in error, else only the very latest."""
        if self.is_error:
            return self.failed
        return self.latest if self.latest is not None and self.latest.outcome == "failed" else None

    @property
    def trouble(self) -> str:
        """All that was said of what failed, empty where nothing did."""
        said = [str(self.fault.get("message") or ""), str(self.fault.get("details") or "")]
        if self.blamed is not None:
            said += [step.details for step in self.blamed.steps if step.details]
        return "\n".join(filter(None, said))

    @property
    def message(self) -> str | None:
        """What was said of it in one line."""
        if self.fault.get("message"):
            return str(self.fault["message"])
        entry = self.blamed
        told = next((step.details for step in reversed(entry.steps) if step.details), None) if entry else None
        return told.splitlines()[0] if told else entry.message if entry else None

    @property
    def failed_on(self) -> str | None:
        """The host on which it failed, as far as that is told: of the step on a host that was the last to begin.

        A move has steps on two hosts, and a fault of it may be kept for the server's own.
        """
        steps = self.blamed.steps if self.blamed is not None else ()
        failed = [step for step in reversed(steps) if step.host and step.result not in (None, "Success")]
        on_hosts = (step.host for step in failed if step.name.startswith("compute"))
        return next(on_hosts, None) or self.cause_host or next((step.host for step in failed), None)

    @property
    def host(self) -> str:
        """The server's host, or what to call it."""
        return str(self.server.get("OS-EXT-SRV-ATTR:host") or self.failed_on or "its host")


def explain(evidence: Evidence) -> Explanation:
    """Why the server is as it is; there is always an answer, if only that nothing is wrong."""
    entry = evidence.blamed
    known = {
        "name": evidence.server.get("name", ""),
        "host": evidence.host,
        "what": entry.action if entry else "operation",
        "tried": ", ".join(entry.failed_on if entry else ()),
    }
    return first(RULES, evidence, known, tried=_tried, unharmed=_unharmed)


def _tried(evidence: Evidence) -> str | None:
    many = evidence.blamed is not None and len(evidence.blamed.failed_on) > 1
    return "The {what} of {name} was tried on {tried}, and failed on each." if many else None


def _unharmed(evidence: Evidence) -> str | None:
    return None if evidence.is_error else "The {what} of {name} failed; the server itself is as it was before."


def _caused(cause: Cause) -> Callable[[Evidence], Facts | None]:
    """Finds what failed for this cause: by its code where the cloud keeps codes, else by what the fault says."""

    def finds(evidence: Evidence) -> Facts | None:
        if not evidence.is_error and evidence.blamed is None:
            return None
        if evidence.cause is not None and evidence.cause in _CODES:
            return _named(evidence) if evidence.cause == cause.code else None
        return _named(evidence) if cause.pattern.search(evidence.trouble) else None

    return finds


def _named(evidence: Evidence) -> Facts:
    message = (evidence.message or "").strip().rstrip(".")
    return {"message": message or "no reason was kept", "host": evidence.failed_on or evidence.host}


def _no_host(evidence: Evidence) -> Facts | None:
    is_so = "No valid host was found" in evidence.trouble or evidence.cause == "no_valid_host"
    if not is_so or not (evidence.is_error or evidence.blamed):
        return None
    return {
        "why": _decision(evidence).get("summary") or _said(evidence) or "the cloud does not say what the hosts lack"
    }


def _decision(evidence: Evidence) -> Mapping[str, Any]:
    return evidence.decisions[-1] if evidence.decisions else {}


def _said(evidence: Evidence) -> str:
    return str(evidence.message or "").partition("No valid host was found.")[2].strip()


def _reasons(evidence: Evidence) -> list[str]:
    return find_reasons(_decision(evidence), _said(evidence))


def _no_other_host(evidence: Evidence) -> Facts | None:
    return _no_host(evidence) if set(_reasons(evidence)) == {"the server's own host"} else None


def _decision_lines(evidence: Evidence) -> list[Line]:
    return [lines.lack(row) for row in count_lacks(_decision(evidence))]


def _host_down(evidence: Evidence) -> Facts | None:
    service = evidence.service or {}
    found = find_condition(evidence.conditions, "HostReachable", "False")
    if service.get("state") != "down" and evidence.server.get("host_status") != "DOWN" and found is None:
        return None
    seen = service.get("last_seen_at") or service.get("updated_at") or (found or {}).get("since")
    return {"since": spoken_text(seen) or "some time ago"}


def _waiting(evidence: Evidence) -> Facts | None:
    facts = _host_down(evidence)
    entry = evidence.latest
    task = evidence.server.get("OS-EXT-STS:task_state")
    if facts is None or entry is None or not task:
        return None
    return {**facts, "what": entry.action}


def _hypervisor_silent(evidence: Evidence) -> Facts | None:
    found = find_condition((evidence.service or {}).get("conditions") or (), "HypervisorAnswers", "False")
    if found is None or not evidence.server.get("OS-EXT-SRV-ATTR:host"):
        return None
    return {"since": spoken_text(found.get("since")) or "some time ago", "why": found.get("message") or "no answer"}


def _late(evidence: Evidence) -> Facts | None:
    entry, task = evidence.latest, evidence.server.get("OS-EXT-STS:task_state")
    if entry is None or entry.outcome != "open" or not task:
        return None
    age = (evidence.now - entry.started_at).total_seconds()
    is_late = age > _LATE_SECONDS or find_condition(evidence.conditions, "Late", "True") is not None
    return {"task": task, "minutes": round(age / 60)} if is_late else None


def _busy(evidence: Evidence) -> Facts | None:
    task = evidence.server.get("OS-EXT-STS:task_state")
    return {"task": task} if task else None


def _power_lost(evidence: Evidence) -> Facts | None:
    power, vm = evidence.server.get("OS-EXT-STS:power_state"), evidence.server.get("OS-EXT-STS:vm_state")
    latest = evidence.latest
    if vm == "stopped" and latest is not None and latest.user_id is None and latest.action == "stop":
        return {"at": spoken(latest.started_at)}
    return {"at": "unknown"} if vm == "active" and power in (4, 6) else None


def _crashed(evidence: Evidence) -> Facts | None:
    vm, power = evidence.server.get("OS-EXT-STS:vm_state"), evidence.server.get("OS-EXT-STS:power_state")
    return {} if power == 6 and vm in ("active", "stopped", "paused", "error") and not evidence.fault else None


def _guest_paused(evidence: Evidence) -> Facts | None:
    vm, power = evidence.server.get("OS-EXT-STS:vm_state"), evidence.server.get("OS-EXT-STS:power_state")
    latest = evidence.latest
    nobody = latest is not None and latest.action == "pause" and latest.user_id is None
    return {} if (vm == "active" and power == 3) or (vm == "paused" and nobody) else None


def _reset(evidence: Evidence) -> Facts | None:
    """In error because somebody set its state, without anything having failed."""
    entry = evidence.latest
    if evidence.server.get("status") != "ERROR" or evidence.fault or evidence.failed is not None:
        return None
    return {"at": spoken(entry.started_at) if entry else "some time ago"}


def _asked(status: str, action: str) -> Callable[[Evidence], Facts | None]:
    """Finds a server that is in a status because somebody asked for it."""

    def finds(evidence: Evidence) -> Facts | None:
        if evidence.server.get("status") != status:
            return None
        entry = next((entry for entry in evidence.timeline if entry.action == action and entry.outcome == "ok"), None)
        if entry is None:
            return {"who": "somebody", "at": "some time ago"}
        return {"who": entry.user_id or "the cloud itself", "at": spoken(entry.started_at)}

    return finds


def _errored(evidence: Evidence) -> Facts | None:
    return _named(evidence) if evidence.is_error else None


def _failed_lately(evidence: Evidence) -> Facts | None:
    return _named(evidence) if evidence.blamed is not None else None


def _fault_lines(evidence: Evidence) -> list[Line]:
    entry = evidence.blamed
    found = [lines.fault(evidence.fault)] if evidence.fault else []
    found += [lines.cause(evidence.cause)] if evidence.cause else []
    if entry is not None:
        found.append(lines.failed(entry.action, entry.request_id, evidence.failed_on))
        found += [lines.quoted(step.details) for step in entry.steps if step.details and not evidence.fault]
    return found


def _host_lines(evidence: Evidence) -> list[Line]:
    service = evidence.service
    if service is None:
        return []
    bad = [each for each in service.get("conditions") or () if each.get("status") == "False"]
    return [lines.service(service), *lines.conditions(bad)]


def _since(evidence: Evidence) -> str:
    launched = evidence.server.get("OS-SRV-USG:launched_at")
    return spoken(instant(launched)) if launched else "its start"


_CODES: Final = frozenset(cause.code for cause in CAUSES)
_OF_CAUSES: Final[tuple[Rule[Evidence], ...]] = tuple(
    Rule(
        name=cause.code,
        finds=_caused(cause),
        sentence=cause.sentence,
        advice=cause.advice,
        is_cause=True,
        shows=_fault_lines,
    )
    for cause in CAUSES
)
_AS_ASKED: Final = (
    ("stopped", "SHUTOFF", "stop", "{name} was stopped by {who} at {at}.", "Start it when it is wanted again."),
    ("paused", "PAUSED", "pause", "{name} was paused by {who} at {at}.", "Unpause it when it is wanted again."),
    (
        "suspended",
        "SUSPENDED",
        "suspend",
        "{name} was suspended by {who} at {at}.",
        "Resume it when it is wanted again.",
    ),
    (
        "rescued",
        "RESCUE",
        "rescue",
        "{name} runs from a rescue image since {at}, as {who} asked.",
        "Unrescue it when its own disk is mended.",
    ),
    (
        "shelved",
        "SHELVED_OFFLOADED",
        "shelve",
        "{name} was shelved by {who} at {at}: it is kept as an image and takes nothing on any host.",
        "Unshelve it when it is wanted again.",
    ),
    (
        "soft_deleted",
        "SOFT_DELETED",
        "delete",
        "{name} was deleted by {who} at {at} and can still be restored.",
        "Restore it, or let it go.",
    ),
    (
        "deleted",
        "DELETED",
        "delete",
        "{name} was deleted by {who} at {at}: it is gone, and what is told here is its history.",
        "Nothing to do.",
    ),
)
"""Rule, status, the action that leads there, sentence, advice."""

RULES: Final[tuple[Rule[Evidence], ...]] = (
    Rule(
        name="waits_for_host",
        finds=_waiting,
        sentence="The {what} of {name} waits for {host}, which is down; its agent was last heard of {since}.",
        advice="Bring the host back: the operation goes on then, or is closed with a reason at its deadline.",
        shows=_host_lines,
    ),
    Rule(
        name="host_down",
        finds=_host_down,
        sentence="{host}, on which {name} lives, is down; its agent was last heard of {since}.",
        advice="Bring the host back. If it will not come back, fence it and evacuate its servers.",
        shows=_host_lines,
    ),
    Rule(
        name="no_other_host",
        finds=_no_other_host,
        sentence="There is no other host for {name}: {why}.",
        advice="A server moves to another host only: add one, or bring one back that is down or disabled.",
        is_cause=True,
        shows=lambda evidence: [*_decision_lines(evidence), *_fault_lines(evidence)],
    ),
    Rule(
        name="no_valid_host",
        finds=_no_host,
        sentence="No host could take {name}: {why}.",
        advice=GENERAL,
        advises=lambda evidence: advise(_reasons(evidence)),
        is_cause=True,
        shows=lambda evidence: [*_decision_lines(evidence), *_fault_lines(evidence)],
    ),
    *_OF_CAUSES,
    Rule(
        name="reset",
        finds=_reset,
        sentence="{name} is in error because its state was set so by hand at {at}; nothing failed.",
        advice="Set it to active again if it is well, or rebuild it.",
    ),
    Rule(
        name="error",
        finds=_errored,
        sentence="{name} is in error: {what} failed with “{message}”.",
        advice="Read the failed step's details; when the cause is gone, rebuild the server or reset its state.",
        shows=_fault_lines,
    ),
    Rule(
        name="hypervisor_silent",
        finds=_hypervisor_silent,
        sentence="The hypervisor of {host} does not answer since {since} ({why}): {name} may run on, but nothing can "
        "be done with it.",
        advice="See that libvirt or QEMU runs on the host; operations asked for until then fail at once.",
        shows=_host_lines,
    ),
    Rule(
        name="late",
        finds=_late,
        sentence="{name} has been {task} for {minutes} minutes, longer than usual.",
        advice="Wait for its deadline, after which it is closed with a reason; look at its host meanwhile.",
        tone="wait",
    ),
    Rule(
        name="failed_lately",
        finds=_failed_lately,
        sentence="{name} is as it was before: {what} failed with “{message}”.",
        advice="Mend what the message names and ask again; the server itself was not harmed.",
        tone="wait",
        shows=_fault_lines,
    ),
    Rule(
        name="guest_crashed_alone",
        finds=_crashed,
        sentence="The guest of {name} crashed on {host}; nobody asked for it.",
        advice="Start it again, and read the end of its console log for the reason.",
    ),
    Rule(
        name="power_lost",
        finds=_power_lost,
        sentence="{name} is off although nobody asked for it: the guest switched itself off, or lost its power.",
        advice="Start it again, and read the end of its console log for the reason.",
    ),
    Rule(
        name="guest_paused",
        finds=_guest_paused,
        sentence="The guest of {name} stands still although nobody asked for it, as after an error of its disk.",
        advice="See whether the host's disk is full, then unpause it, or reboot it hard.",
    ),
    Rule(
        name="busy",
        finds=_busy,
        sentence="{name} is {task}.",
        advice="Nothing to do: it is under way.",
        tone="wait",
    ),
    Rule(
        name="verify_resize",
        finds=_asked("VERIFY_RESIZE", "resize"),
        sentence="{name} has its new size or place and waits to be confirmed.",
        advice="Confirm the resize, or revert it.",
        tone="wait",
    ),
    *(
        Rule(name=name, finds=_asked(status, action), sentence=sentence, advice=advice, tone="good")
        for name, status, action, sentence, advice in _AS_ASKED
    ),
    Rule(
        name="well",
        finds=lambda evidence: {"status": evidence.server.get("status", "?"), "since": _since(evidence)},
        sentence="Nothing is wrong with {name}: it is {status} since {since}.",
        advice="Nothing to do.",
        tone="good",
    ),
)
