"""From what is known of a server to one sentence that says why it is as it is, and what to do. Pure.

Rules are rows, asked in their order; the first that finds something explains. Each looks at the evidence and gives
the facts that its sentence needs, or None. Evidence is what any Nova tells; where the cloud is a Kilonova there are
decisions and operations too, and the rules that need them say more.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from kilonova.console.timeline import Entry, instant

Facts = Mapping[str, Any]
_LATE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known. ``service`` is the compute service of the server's host; None where the reader may not know."""

    server: Mapping[str, Any]
    timeline: Sequence[Entry]
    now: datetime
    service: Mapping[str, Any] | None = None
    decisions: Sequence[Mapping[str, Any]] = ()

    @property
    def fault(self) -> Mapping[str, Any]:
        """The server's fault, empty where it has none."""
        found: Mapping[str, Any] = self.server.get("fault") or {}
        return found

    @property
    def fault_text(self) -> str:
        """All that the fault says."""
        return f"{self.fault.get('message', '')}\n{self.fault.get('details', '')}"

    @property
    def latest(self) -> Entry | None:
        """What was last asked of the server."""
        return self.timeline[0] if self.timeline else None

    @property
    def failed(self) -> Entry | None:
        """The latest request that failed."""
        return next((entry for entry in self.timeline if entry.outcome == "failed"), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """``sentence`` says why, ``advice`` what to do next; ``evidence`` are the lines that show it."""

    rule: str
    sentence: str
    advice: str
    evidence: tuple[str, ...] = ()
    tone: str = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row. The texts have the facts' names in braces; ``tone`` is bad, wait or good."""

    name: str
    finds: Callable[[Evidence], Facts | None]
    sentence: str
    advice: str
    tone: str = "bad"
    shows: Callable[[Evidence], Sequence[str]] = field(default=lambda _: ())


def explain(evidence: Evidence) -> Explanation:
    """Why the server is as it is; there is always an answer, if only that nothing is wrong."""
    for rule in RULES:
        facts = rule.finds(evidence)
        if facts is not None:
            known = {"name": evidence.server.get("name", ""), "host": _host(evidence) or "its host", **facts}
            return Explanation(
                rule=rule.name,
                sentence=rule.sentence.format_map(known),
                advice=rule.advice.format_map(known),
                evidence=tuple(rule.shows(evidence)),
                tone=rule.tone,
            )
    raise RuntimeError("the last rule finds something always")


def _host(evidence: Evidence) -> str | None:
    host: str | None = evidence.server.get("OS-EXT-SRV-ATTR:host")
    return host


def _is_error(evidence: Evidence) -> bool:
    return evidence.server.get("status") == "ERROR" or bool(evidence.fault)


def _said(pattern: str) -> Callable[[Evidence], Facts | None]:
    """Finds faults whose text has the pattern; its named groups are the facts."""
    compiled = re.compile(pattern, re.IGNORECASE | re.DOTALL)

    def finds(evidence: Evidence) -> Facts | None:
        match = compiled.search(evidence.fault_text) if _is_error(evidence) else None
        return None if match is None else match.groupdict()

    return finds


def _no_host(evidence: Evidence) -> Facts | None:
    if "No valid host was found" not in evidence.fault_text:
        return None
    decision = evidence.decisions[-1] if evidence.decisions else {}
    message = str(evidence.fault.get("message", ""))
    why = decision.get("summary") or message.partition("No valid host was found.")[2].strip()
    return {"why": why or "the cloud does not say what the hosts lack"}


def _decision_lines(evidence: Evidence) -> list[str]:
    if not evidence.decisions:
        return []
    document = evidence.decisions[-1].get("document") or {}
    filters = document.get("filters") or []
    return [f"{row.get('name', row.get('filter', '?'))}: removed {row.get('removed', 0)}" for row in filters]


def _host_down(evidence: Evidence) -> Facts | None:
    service = evidence.service or {}
    is_down = service.get("state") == "down" or evidence.server.get("host_status") == "DOWN"
    return {"since": service.get("updated_at") or "some time ago"} if is_down else None


def _late(evidence: Evidence) -> Facts | None:
    entry = evidence.latest
    task = evidence.server.get("OS-EXT-STS:task_state")
    if entry is None or entry.outcome != "open" or not task:
        return None
    age = (evidence.now - entry.started_at).total_seconds()
    return {"task": task, "minutes": round(age / 60)} if age > _LATE_SECONDS else None


def _busy(evidence: Evidence) -> Facts | None:
    task = evidence.server.get("OS-EXT-STS:task_state")
    return {"task": task} if task else None


def _power_lost(evidence: Evidence) -> Facts | None:
    power, vm = evidence.server.get("OS-EXT-STS:power_state"), evidence.server.get("OS-EXT-STS:vm_state")
    latest = evidence.latest
    if (
        vm == "stopped"
        and (latest is None or latest.user_id is None)
        and latest is not None
        and latest.action == "stop"
    ):
        return {"at": _moment(latest.started_at)}
    return {"at": "unknown"} if vm == "active" and power in (4, 6) else None


def _stopped(evidence: Evidence) -> Facts | None:
    return _asked(evidence, "SHUTOFF", "stop")


def _asked(evidence: Evidence, status: str, action: str) -> Facts | None:
    if evidence.server.get("status") != status:
        return None
    entry = next((entry for entry in evidence.timeline if entry.action == action and entry.outcome == "ok"), None)
    if entry is None:
        return {"who": "somebody", "at": "some time ago"}
    return {"who": entry.user_id or "the cloud itself", "at": _moment(entry.started_at)}


def _status(status: str, action: str) -> Callable[[Evidence], Facts | None]:
    return lambda evidence: _asked(evidence, status, action)


def _errored(evidence: Evidence) -> Facts | None:
    if not _is_error(evidence):
        return None
    entry = evidence.failed
    message = evidence.fault.get("message") or (entry.message if entry else None)
    return {"what": entry.title.lower() if entry else "an operation", "message": message or "no reason was kept"}


def _failed_lately(evidence: Evidence) -> Facts | None:
    entry = evidence.latest
    if entry is None or entry.outcome != "failed":
        return None
    told = next((step.details for step in reversed(entry.steps) if step.details), None)
    return {"what": entry.title.lower(), "message": told or entry.message or "no reason was kept"}


def _fault_lines(evidence: Evidence) -> list[str]:
    lines = [f"fault {evidence.fault.get('code')}: {evidence.fault.get('message')}"] if evidence.fault else []
    entry = evidence.failed
    return lines + ([f"{entry.action} of {entry.request_id} failed"] if entry else [])


def _host_lines(evidence: Evidence) -> list[str]:
    service = evidence.service or {}
    return [
        f"nova-compute on {service.get('host')} is {service.get('state')}, last heard of {service.get('updated_at')}"
    ]


def _since(evidence: Evidence) -> str:
    launched = evidence.server.get("OS-SRV-USG:launched_at")
    return _moment(instant(launched)) if launched else "its start"


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        name="no_valid_host",
        finds=_no_host,
        sentence="No host could take {name}: {why}",
        advice="Choose a smaller flavor or another zone, or free or add capacity on the hosts that were nearest.",
        shows=lambda evidence: [*_decision_lines(evidence), *_fault_lines(evidence)],
    ),
    Rule(
        name="host_down",
        finds=_host_down,
        sentence="{host}, on which {name} lives, is down; its agent was last heard of {since}.",
        advice="Bring the host back. If it will not come back, fence it and evacuate its servers.",
        shows=_host_lines,
    ),
    Rule(
        name="image_corrupt",
        finds=_said(r"checksum|is not what it claims|corrupt|invalid image|not a valid"),
        sentence="{name} could not be made because its image is damaged or not of the format it claims.",
        advice="Check the image's format and checksum, upload it again, and rebuild the server.",
        shows=_fault_lines,
    ),
    Rule(
        name="image_refused",
        finds=_said(r"backing file|data file|refers to files|outside itself"),
        sentence="{name} could not be made because its image refers to files outside itself.",
        advice="Flatten the image (qemu-img convert), upload it again, and rebuild the server.",
        shows=_fault_lines,
    ),
    Rule(
        name="image_too_large",
        finds=_said(r"image.{0,40}(too large|larger than)|Flavor's disk is too small"),
        sentence="The image is larger than the disk of {name}'s flavor.",
        advice="Choose a flavor with a larger root disk.",
        shows=_fault_lines,
    ),
    Rule(
        name="image_unavailable",
        finds=_said(r"image .{0,60}(cannot be read|could not be found|is not active|unavailable)"),
        sentence="The image that {name} boots from could not be read.",
        advice="See that the image exists and is active, and that the image service answers.",
        shows=_fault_lines,
    ),
    Rule(
        name="disk_full",
        finds=_said(r"no space left|disk (is )?full|ENOSPC"),
        sentence="The disk of {host} is full.",
        advice="Free space on the host, then reboot or rebuild {name}.",
        shows=_fault_lines,
    ),
    Rule(
        name="memory_short",
        finds=_said(r"cannot allocate memory|not enough (free )?memory|out of memory"),
        sentence="{host} had not enough free memory for {name}.",
        advice="Use a smaller flavor, or stop something on the host.",
        shows=_fault_lines,
    ),
    Rule(
        name="hypervisor_gone",
        finds=_said(r"hypervisor.{0,40}(not answer|gone|unavailable|disconnected)|failed to connect to (libvirt|qemu)"),
        sentence="The hypervisor of {host} did not answer.",
        advice="See that libvirt or QEMU runs on the host; then try again.",
        shows=_fault_lines,
    ),
    Rule(
        name="guest_missing",
        finds=_said(r"(guest|domain|instance).{0,60}(no longer on|not found on|missing)|no domain with matching"),
        sentence="{name} is no longer on {host}: somebody removed it behind the cloud's back.",
        advice="Rebuild it from its image, or delete it.",
        shows=_fault_lines,
    ),
    Rule(
        name="guest_crashed",
        finds=_said(r"crash|process ended unexpectedly|panicked"),
        sentence="{name}'s virtual machine crashed.",
        advice="Read the end of its console log, then start it again.",
        shows=_fault_lines,
    ),
    Rule(
        name="interrupted",
        finds=_said(r"given up|did not end in time|never ended|interrupted|was stopped (during|while)"),
        sentence="The last operation on {name} was cut off before it ended.",
        advice="Try it again; a host or a service stopped while it ran.",
        shows=_fault_lines,
    ),
    Rule(
        name="quota",
        finds=_said(r"quota exceeded"),
        sentence="{name} would have been more than its project's quota allows.",
        advice="Delete what is not needed, or ask for a larger quota.",
        shows=_fault_lines,
    ),
    Rule(
        name="error",
        finds=_errored,
        sentence="{name} is in error: {what} failed with “{message}”.",
        advice="Read the failed step's details; when the cause is gone, rebuild the server or reset its state.",
        shows=_fault_lines,
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
        shows=_fault_lines,
    ),
    Rule(
        name="power_lost",
        finds=_power_lost,
        sentence="{name} is off although nobody asked for it: the guest switched itself off, or lost its power.",
        advice="Start it again, and read the end of its console log for the reason.",
    ),
    Rule(
        name="busy",
        finds=_busy,
        sentence="{name} is {task}.",
        advice="Nothing to do: it is under way.",
        tone="wait",
    ),
    Rule(
        name="stopped",
        finds=_stopped,
        sentence="{name} was stopped by {who} at {at}.",
        advice="Start it when it is wanted again.",
        tone="good",
    ),
    Rule(
        name="paused",
        finds=_status("PAUSED", "pause"),
        sentence="{name} was paused by {who} at {at}.",
        advice="Unpause it when it is wanted again.",
        tone="good",
    ),
    Rule(
        name="suspended",
        finds=_status("SUSPENDED", "suspend"),
        sentence="{name} was suspended by {who} at {at}.",
        advice="Resume it when it is wanted again.",
        tone="good",
    ),
    Rule(
        name="rescued",
        finds=_status("RESCUE", "rescue"),
        sentence="{name} runs from a rescue image since {at}, as {who} asked.",
        advice="Unrescue it when its own disk is mended.",
        tone="good",
    ),
    Rule(
        name="verify_resize",
        finds=_status("VERIFY_RESIZE", "resize"),
        sentence="{name} has its new size and waits to be confirmed.",
        advice="Confirm the resize, or revert it.",
        tone="wait",
    ),
    Rule(
        name="shelved",
        finds=_status("SHELVED_OFFLOADED", "shelve"),
        sentence="{name} was shelved by {who} at {at}: it is kept as an image and takes nothing on any host.",
        advice="Unshelve it when it is wanted again.",
        tone="good",
    ),
    Rule(
        name="well",
        finds=lambda evidence: {"status": evidence.server.get("status", "?"), "since": _since(evidence)},
        sentence="Nothing is wrong with {name}: it is {status} since {since}.",
        advice="Nothing to do.",
        tone="good",
    ),
)
