"""What a heartbeat shows of its host beyond that the agent lives: four conditions, and whether its numbers can be true.

An agent's clock, its numbers and its claim to the host's name are looked at and told; none of them decides whether the
host is up.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from kilonova.domain.conditions import (
    CLOCK_IN_STEP,
    HYPERVISOR_ANSWERS,
    REPORTS_MAKE_SENSE,
    SOLE_AGENT,
    Condition,
    Status,
)
from kilonova.domain.errors import Invalid
from kilonova.domain.model import SECOND, Instant
from kilonova.services.door import HostReport, NodeReport

SKEW_SECONDS: Final = 5.0
"""A clock that is further off is told of; it is fine again below half of that."""
_NAME_LENGTH: Final = 255
_DOCUMENT_LENGTH: Final = 65536
_MOST_NODES: Final = 10_000
_MOST: Final = {"vcpus": 2**31 - 1, "memory_mb": 2**53, "local_gb": 2**53, "hypervisor_version": 2**53}
_HOST_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


def check_host(name: object) -> None:
    """Raises ``Invalid`` for what cannot be the name of a host (contract §0.7)."""
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_LENGTH or not _HOST_CHARACTERS.issuperset(name):
        raise Invalid("An agent's host name has 1 to 255 letters, digits, hyphens, underscores and dots.")


def find_complaint(nodes: Sequence[NodeReport]) -> str | None:
    """Why what was reported of nodes cannot be true, None where it can."""
    names = [node.hypervisor_hostname for node in nodes]
    if len(names) > _MOST_NODES:
        return f"more than {_MOST_NODES} nodes"
    if len(set(map(str, names))) != len(names):
        return "two nodes of one name"
    return next((complaint for node in nodes if (complaint := _complaint_of(node))), None)


def found(
    report: HostReport, known: Mapping[str, Condition], *, now: Instant, rival: str | None, complaint: str | None
) -> list[Condition]:
    """The conditions that the heartbeat tells (``domain.conditions.NOTED``); ``known`` are those before it."""
    was_in_step = CLOCK_IN_STEP not in known or known[CLOCK_IN_STEP].status is Status.TRUE
    rival_text = rival and f"agent {rival} claims the host's name too, and is refused"
    return [
        _condition(HYPERVISOR_ANSWERS, "Answered", "NoAnswer", report.trouble),
        _in_step(report.sent_at - now, was_in_step=was_in_step),
        _condition(SOLE_AGENT, "Alone", "TwoAgents", rival_text),
        _condition(REPORTS_MAKE_SENSE, "Sensible", "Senseless", complaint),
    ]


def is_plain(report: HostReport, *, now: Instant) -> bool:
    """Whether a heartbeat shows nothing that could be wrong: nearly all of them, so that they cost little."""
    return report.trouble is None and abs(report.sent_at - now) <= SKEW_SECONDS * SECOND / 2


def _condition(type: str, good: str, bad: str, trouble: str | None) -> Condition:
    if trouble is None:
        return Condition(type=type, status=Status.TRUE, reason=good)
    return Condition(type=type, status=Status.FALSE, reason=bad, message=trouble)


def _in_step(skew: int, *, was_in_step: bool) -> Condition:
    """Told from ``SKEW_SECONDS`` on, and taken back below half of it, so that it does not flap."""
    most = SKEW_SECONDS if was_in_step else SKEW_SECONDS / 2
    if abs(skew) <= most * SECOND:
        return Condition(type=CLOCK_IN_STEP, status=Status.TRUE, reason="InStep")
    word = "Ahead" if skew > 0 else "Behind"
    text = f"the agent's clock is {abs(skew) / SECOND:.1f} s {word.lower()}"
    return Condition(type=CLOCK_IN_STEP, status=Status.FALSE, reason=word, message=text)


def _complaint_of(node: NodeReport) -> str | None:
    # An agent is a stranger: its fields may have any type.
    name: object = node.hypervisor_hostname
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_LENGTH or not name.isprintable():
        return "a node without a sensible name"
    for field, most in _MOST.items():
        value = getattr(node, field)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            return f"{field} of node {name} is {str(value)[:40]!r}"
    for field in ("hypervisor_type", "host_ip"):
        text = getattr(node, field)
        if not isinstance(text, str) or len(text) > _NAME_LENGTH:
            return f"{field} of node {name} is no short text"
    least: object = node.disk_available_least
    if least is not None and (not isinstance(least, int) or abs(least) > _MOST["local_gb"]):
        return f"disk_available_least of node {name} is {str(least)[:40]!r}"
    return None if _is_object(node.cpu_info_json) else f"cpu_info of node {name} is no JSON object"


def _is_object(text: object) -> bool:
    if not isinstance(text, str) or len(text) > _DOCUMENT_LENGTH:
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
