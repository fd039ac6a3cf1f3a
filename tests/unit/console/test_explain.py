"""Every rule of explaining, on evidence as a Nova gives it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kilonova.console.explain import RULES, Evidence, explain
from kilonova.console.timeline import Entry, Step

_NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def _entry(
    action: str, outcome: str = "ok", *, minutes: float = 1, user: str | None = "mia", details: str = ""
) -> Entry:
    started = _NOW - timedelta(minutes=minutes)
    step = Step(
        name=action, host="h1", started_at=started, seconds=1, result="Error", details=details, offset=0, width=1
    )
    return Entry(
        title=action.title(),
        action=action,
        request_id=f"req-{action}",
        user_id=user,
        started_at=started,
        seconds=None if outcome == "open" else 1.0,
        outcome=outcome,
        message="Error" if outcome == "failed" else None,
        steps=(step,) if details else (),
    )


def _failed(message: str, details: str = "") -> dict[str, Any]:
    return {
        "status": "ERROR",
        "OS-EXT-STS:vm_state": "error",
        "fault": {"code": 500, "message": message, "details": details},
    }


_ACTIVE = {"status": "ACTIVE", "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:power_state": 1}
_CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("no_valid_host", _failed("No valid host was found. 3 candidates, short of 7 vcpus"), {}),
    ("no_valid_host", _failed("No valid host was found. There are not enough hosts available."), {}),
    ("host_down", _ACTIVE, {"service": {"host": "h1", "state": "down", "updated_at": "2026-11-22T09:00:00"}}),
    ("host_down", {**_ACTIVE, "host_status": "DOWN"}, {}),
    ("image_corrupt", _failed("The image's checksum differs"), {}),
    ("image_corrupt", _failed("x is not what it claims to be"), {}),
    ("image_refused", _failed("The image has a backing file"), {}),
    ("image_too_large", _failed("Flavor's disk is too small for requested image."), {}),
    ("image_unavailable", _failed("image 1234 cannot be read: gone"), {}),
    ("disk_full", _failed("Build failed", "OSError: [Errno 28] No space left on device"), {}),
    ("memory_short", _failed("qemu: cannot allocate memory"), {}),
    ("hypervisor_gone", _failed("The hypervisor does not answer"), {}),
    ("guest_missing", _failed("The guest is no longer on its host"), {}),
    ("guest_missing", _failed("Domain not found: no domain with matching uuid"), {}),
    ("guest_crashed", _failed("The guest's process ended unexpectedly"), {}),
    ("interrupted", _failed("The operation 'reboot' was given up. It did not end in time."), {}),
    ("quota", _failed("Quota exceeded for cores"), {}),
    ("error", _failed("Something else"), {"timeline": [_entry("reboot", "failed")]}),
    ("late", {**_ACTIVE, "OS-EXT-STS:task_state": "rebooting"}, {"timeline": [_entry("reboot", "open", minutes=20)]}),
    ("failed_lately", _ACTIVE, {"timeline": [_entry("resize", "failed", details="no room")]}),
    ("power_lost", {"status": "SHUTOFF", "OS-EXT-STS:vm_state": "stopped"}, {"timeline": [_entry("stop", user=None)]}),
    ("power_lost", {**_ACTIVE, "OS-EXT-STS:power_state": 4}, {}),
    ("busy", {**_ACTIVE, "OS-EXT-STS:task_state": "rebooting"}, {"timeline": [_entry("reboot", "open")]}),
    ("stopped", {"status": "SHUTOFF", "OS-EXT-STS:vm_state": "stopped"}, {"timeline": [_entry("stop")]}),
    ("paused", {"status": "PAUSED"}, {"timeline": [_entry("pause")]}),
    ("suspended", {"status": "SUSPENDED"}, {}),
    ("rescued", {"status": "RESCUE"}, {"timeline": [_entry("rescue")]}),
    ("verify_resize", {"status": "VERIFY_RESIZE"}, {"timeline": [_entry("resize")]}),
    ("shelved", {"status": "SHELVED_OFFLOADED"}, {"timeline": [_entry("shelve")]}),
    ("well", {**_ACTIVE, "OS-SRV-USG:launched_at": "2026-11-22T09:00:00.000000"}, {}),
]


@pytest.mark.parametrize("rule, server, more", _CASES)
def test_the_cause_is_named(rule: str, server: dict[str, Any], more: dict[str, Any]) -> None:
    found = explain(Evidence(**{"server": {"name": "web1", **server}, "timeline": [], "now": _NOW, **more}))
    assert found.rule == rule
    assert "web1" in found.sentence or "its host" in found.sentence
    assert found.advice


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in _CASES}


def test_a_decision_says_what_the_fault_does_not() -> None:
    decision = {
        "summary": "3 candidates, short of 7 vcpus",
        "document": {"filters": [{"name": "Capacity", "removed": 3}]},
    }
    server = {"name": "web1", **_failed("No valid host was found. ")}
    found = explain(Evidence(server=server, timeline=[], now=_NOW, decisions=[decision]))
    assert "short of 7 vcpus" in found.sentence
    assert found.evidence[0] == "Capacity: removed 3"


def test_a_name_with_braces_is_only_a_name() -> None:
    found = explain(Evidence(server={"name": "{host} {0}", **_ACTIVE}, timeline=[], now=_NOW))
    assert "{host} {0}" in found.sentence
