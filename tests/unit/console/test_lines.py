"""Evidence is said in Chinese too: every line of every rule, on evidence that has all that a line can tell of."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kilonova.console.board.recorded import Record, explain_records
from kilonova.console.differences import differences
from kilonova.console.explain import (
    HOST_RULES,
    REQUEST_RULES,
    RULES,
    Evidence,
    HostEvidence,
    Line,
    RequestEvidence,
    lines,
)
from kilonova.console.timeline import RETRIED, Entry, Step
from kilonova.console.words import retold, translated

_NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
_NAMES = {"vm-1", "vm-2", "req-1", "disk_full", "Capacity", "nova-compute", "UTC", "compute__do_x", "vCPU", "s1"}
"""What is called the same in every language, here."""


def _step(result: str | None, details: str | None = None, host: str = "vm-1") -> Step:
    return Step(
        name="compute__do_x",
        host=host,
        started_at=_NOW,
        seconds=1.0,
        result=result,
        details=details,
        offset=0.0,
        width=1.0,
    )


_FULL = "the host's disk is full"
_ENTRY = Entry(
    title="Resize failed",
    action="resize",
    request_id="req-1",
    user_id=None,
    started_at=_NOW,
    seconds=1.0,
    outcome="failed",
    message=None,
    steps=(_step("Error", f"{_FULL}\nand a traceback"), _step(RETRIED, host="vm-2"), _step("Success"), _step(None)),
)
_CONDITIONS = (
    {"type": "HypervisorAnswers", "status": "False", "reason": "NoAnswer", "message": ""},
    {"type": "HostReachable", "status": "False", "reason": "Silent", "message": "silent for 31 s; down after 30 s"},
    {"type": "Suspect", "status": "True", "reason": "Silent", "message": "silent for 12 s"},
    {"type": "ClockInStep", "status": "Unknown", "reason": "NotHeardYet", "message": ""},
)
_SERVICE = {"host": "vm-1", "state": "down", "last_seen_at": "2026-11-22T09:00:00.0Z", "conditions": _CONDITIONS}
_COUNTS = [{"filter": "Capacity", "count": 3, "reason": "short of vcpus"}]
_SERVER = Evidence(
    server={"name": "s1", "status": "ACTIVE"},
    timeline=(_ENTRY,),
    now=_NOW,
    service=_SERVICE,
    decisions=({"summary": "3 candidates, short of vcpus", "document": {"counts": _COUNTS}},),
    cause="disk_full",
)
_FAULT: dict[str, Any] = {"name": "s1", "status": "ERROR", "fault": {"code": 500, "message": _FULL}}
_SERVERS = (
    _SERVER,
    replace(_SERVER, server=_FAULT, service={**_SERVICE, "state": "up", "last_seen_at": None}),
    replace(_SERVER, timeline=(replace(_ENTRY, steps=()),)),
)
_HOST = HostEvidence(
    service=_SERVICE, failed=[{"created_at": "2026-11-22T09:00:00.0Z", "server": "s1", "message": _FULL}]
)
_REQUEST = RequestEvidence(request_id="req-1", entries=[_ENTRY], names=["s1"], now=_NOW)


def _shown() -> Iterator[tuple[str, Line]]:
    """Every line, by its rule."""
    yield from ((rule.name, line) for rule in RULES for known in _SERVERS for line in rule.shows(known))
    yield from ((rule.name, line) for rule in HOST_RULES for line in rule.shows(_HOST))
    yield from ((rule.name, line) for rule in REQUEST_RULES for line in rule.shows(_REQUEST))


def _chinese(line: Line) -> str:
    return line.told(lambda text: translated(text, "zh"), lambda text: retold(text, "zh"))


def _english_in(told: str) -> set[str]:
    return set(re.findall(r"[A-Za-z][\w-]+", told)) - _NAMES


def test_every_line_of_evidence_of_every_rule_is_said_in_chinese() -> None:
    assert {f"{rule}: {_chinese(line)}" for rule, line in _shown() if _english_in(_chinese(line))} == set()


def test_every_form_of_a_line_is_shown_by_some_rule() -> None:
    forms = (re.sub(r"\\{\w+\\}", "(.+)", re.escape(form)) for form in lines.FORMS.values())
    said = [str(line) for _, line in _shown()]
    assert [form for form in forms if not any(re.fullmatch(form, line) for line in said)] == []


@pytest.mark.parametrize(
    "line, english, chinese",
    [
        (
            lines.service(_SERVICE),
            "nova-compute on vm-1 is down, last heard of: 2026-11-22 09:00:00 UTC",
            "vm-1 上的 nova-compute 状态：中断，最近心跳：2026-11-22 09:00:00 UTC",
        ),
        (lines.conditions(_CONDITIONS)[0], "HypervisorAnswers=False: NoAnswer", "虚拟机监控程序应答：否，没有应答"),
        (lines.lack(_COUNTS[0]), "Capacity: 3 × short of vcpus", "Capacity：3 × vCPU 不足"),
        (
            lines.failed("resize", "req-1", "vm-1"),
            "resize of req-1 failed on vm-1",
            "req-1 的调整规格操作在 vm-1 上失败",
        ),
        (lines.quoted("somebody's own words\nand more"), "somebody's own words", "somebody's own words"),
        (lines.step(_step(None)), "compute__do_x on vm-1: open", "vm-1 上的 compute__do_x：进行中"),
    ],
)
def test_our_words_are_translated_and_names_numbers_and_quotations_stay(line: Line, english: str, chinese: str) -> None:
    assert (str(line), _chinese(line)) == (english, chinese)


def test_what_the_journal_tells_of_a_request_is_said_in_chinese() -> None:
    record = Record(
        at=_NOW,
        topic="instance.update",
        operation="update",
        what="server",
        key="s1",
        name="shop",
        who="mia",
        server_id="s1",
        turns=differences({"display_name": "web1", "tags": []}, {"display_name": "shop", "tags": ["blue"]}),
    )
    (line,) = explain_records([record, record]).evidence
    assert str(line) == "instance.update shop: renamed web1 → shop; tag blue added"
    assert _chinese(line) == "instance.update shop: 改名 web1 → shop; 新增标签 blue"
