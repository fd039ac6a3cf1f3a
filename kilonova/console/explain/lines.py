"""Lines of evidence: what an explanation was known from, one thing a line."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from kilonova.console.explain.rules import Line, Said, spoken_text
from kilonova.console.timeline import Step

FORMS: Final = {
    "lack": "{filter}: {count} × {reason}",
    "fault": "fault {code}: {message}",
    "cause": "cause: {cause}",
    "failed": "{what} of {request} failed",
    "failed on": "{what} of {request} failed on {host}",
    "quoted": "{message}",
    "service": "nova-compute on {host} is {state}, last heard of: {seen}",
    "condition": "{condition}={state}: {reason}",
    "condition with message": "{condition}={state}: {reason} ({message})",
    "failure": "{at} {server}: {message}",
    "step": "{step} on {host}: {result}",
}
"""How they sound. Names and numbers stand beside what our own words, or the cloud's, say of them."""


def lack(row: Mapping[str, Any]) -> Line:
    """How many candidates a filter turned down, and why, as a decision counts them."""
    return _line("lack", filter=row.get("filter", "?"), count=row.get("count", 0), reason=row.get("reason", "?"))


def fault(found: Mapping[str, Any]) -> Line:
    """A server's fault."""
    return _line("fault", code=found.get("code"), message=found.get("message") or "no reason was kept")


def cause(code: str) -> Line:
    """What the cloud itself counts a failure as."""
    return _line("cause", cause=code)


def failed(action: str, request_id: str, host: str | None) -> Line:
    """That a request failed, and on which host as far as that is told."""
    return _line("failed on" if host else "failed", what=action, request=request_id, host=host)


def quoted(text: str) -> Line:
    """The first line of what was said, in the words in which it was said."""
    return _line("quoted", message=text.splitlines()[0])


def service(found: Mapping[str, Any]) -> Line:
    """How a host's compute service is."""
    seen = spoken_text(found.get("last_seen_at") or found.get("updated_at")) or "never"
    return _line("service", host=found.get("host"), state=found.get("state"), seen=seen)


def conditions(found: Iterable[Mapping[str, Any]]) -> list[Line]:
    """What is the case, and why, a line each."""
    return [_condition(each) for each in found]


def failure(row: Mapping[str, Any]) -> Line:
    """One of the failures of a host."""
    at = spoken_text(row.get("created_at")) or "some time ago"
    return _line("failure", at=at, server=row.get("server"), message=row.get("message") or "no reason was kept")


def step(found: Step) -> Line:
    """How a step of a request ended, if it did."""
    return _line("step", step=found.name, host=found.host or "?", result=found.result or "open")


def _condition(found: Mapping[str, Any]) -> Line:
    facts = {"condition": found["type"], "state": found["status"], "reason": found["reason"]}
    if found.get("message"):
        return _line("condition with message", **facts, message=found["message"])
    return _line("condition", **facts)


def _line(form: str, **facts: Any) -> Line:
    return Said(text=FORMS[form], facts=facts)
