"""Every rule of explaining, on evidence as a Nova gives it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kilonova.console.explain import RULES, Evidence, explain
from kilonova.console.timeline import Entry, Step
from kilonova.console.words import translated

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
_SILENT = {
    "host": "h1",
    "state": "up",
    "conditions": [{"type": "HypervisorAnswers", "status": "False", "reason": "NoAnswer", "message": "gone"}],
}
_ALONE = {
    "summary": "1 candidate, the server's own host",
    "document": {"counts": [{"reason": "the server's own host"}]},
}
_CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("no_valid_host", _failed("No valid host was found. 3 candidates, short of 7 vcpus"), {}),
    ("no_valid_host", _failed("No valid host was found. There are not enough hosts available."), {}),
    (
        "no_other_host",
        _ACTIVE,
        {"timeline": [_entry("live-migration", "failed")], "cause": "no_valid_host", "decisions": [_ALONE]},
    ),
    ("host_down", _ACTIVE, {"service": {"host": "h1", "state": "down", "updated_at": "2026-11-22T09:00:00"}}),
    ("host_down", {**_ACTIVE, "host_status": "DOWN"}, {}),
    ("image_corrupt", _failed("The image's checksum differs"), {}),
    ("image_corrupt", _failed("x is not what it claims to be"), {}),
    ("image_refused", _failed("The image has a backing file"), {}),
    ("kernel_unfit", _failed("image 1234 is not the kernel it claims to be: Linux for x86 is what boots here"), {}),
    ("kernel_unfit", _failed("image 1234 is larger than a kernel may be: 256 MiB"), {}),
    ("image_too_large", _failed("Flavor's disk is too small for requested image."), {}),
    (
        "image_unverified",
        _failed("the signature of image 1234 cannot be verified, as its trusted certificates ask"),
        {},
    ),
    ("image_unverified", _failed("Image signature certificate validation failed for certificate: 1234."), {}),
    ("image_unavailable", _failed("image 1234 cannot be read: gone"), {}),
    ("disk_full", _failed("Build failed", "OSError: [Errno 28] No space left on device"), {}),
    ("memory_short", _failed("qemu: cannot allocate memory"), {}),
    ("guest_unresponsive", _failed("x"), {"cause": "guest_unresponsive"}),
    ("image_not_kept", _ACTIVE, {"cause": "image_not_kept", "timeline": [_entry("createImage", "failed")]}),
    ("aborted", _ACTIVE, {"timeline": [_entry("live-migration", "failed", details="It was called off.")]}),
    ("not_supported", _failed("The host's driver cannot do this"), {}),
    ("driver_error", _failed("libvirtError: internal error"), {}),
    ("internal", _failed("x"), {"cause": "internal"}),
    ("host_down", _failed("The server's host is down"), {}),
    ("reset", {"status": "ERROR", "OS-EXT-STS:vm_state": "error"}, {"timeline": [_entry("create")]}),
    ("hypervisor_silent", {**_ACTIVE, "OS-EXT-SRV-ATTR:host": "h1"}, {"service": _SILENT}),
    (
        "waits_for_host",
        {**_ACTIVE, "host_status": "DOWN", "OS-EXT-STS:task_state": "rebooting"},
        {"timeline": [_entry("reboot", "open")]},
    ),
    ("guest_crashed_alone", {**_ACTIVE, "OS-EXT-STS:power_state": 6}, {}),
    ("guest_paused", {**_ACTIVE, "OS-EXT-STS:power_state": 3}, {}),
    ("soft_deleted", {"status": "SOFT_DELETED"}, {"timeline": [_entry("delete")]}),
    ("deleted", {"status": "DELETED"}, {"timeline": [_entry("delete")]}),
    ("hypervisor_gone", _failed("The hypervisor does not answer"), {}),
    ("guest_missing", _failed("The guest is no longer on its host"), {}),
    ("guest_missing", _failed("Domain not found: no domain with matching uuid"), {}),
    ("guest_crashed", _failed("The guest's process ended unexpectedly"), {}),
    ("interrupted", _failed("The operation 'reboot' was given up. It did not end in time."), {}),
    ("name_taken", _failed("x"), {"cause": "name_taken"}),
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
    assert "web1" in found.sentence
    assert found.advice


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in _CASES}


def test_a_cause_with_a_code_is_believed_before_its_words() -> None:
    server = {"name": "web1", **_failed("no space left on device")}
    found = explain(Evidence(server=server, timeline=[], now=_NOW, cause="memory_short"))
    assert found.rule == "memory_short"


def test_a_server_that_a_failure_did_not_harm_is_said_to_be_well() -> None:
    timeline = [_entry("reboot", "failed", details="No space left on device")]
    found = explain(Evidence(server={"name": "web1", **_ACTIVE}, timeline=timeline, now=_NOW))
    assert (found.rule, found.tone) == ("disk_full", "wait")
    assert found.sentence.endswith("The reboot of web1 failed; the server itself is as it was before.")


def test_the_host_that_failed_is_named_and_not_the_one_where_the_server_is() -> None:
    entry = _entry("live-migration", "failed", details="not enough memory")
    (step,) = entry.steps
    steps = (replace(step, name="compute_check"), replace(step, name="compute_pre_live_migration", host="h2"))
    server = {"name": "web1", **_ACTIVE, "OS-EXT-SRV-ATTR:host": "h1"}
    found = explain(Evidence(server=server, timeline=[replace(entry, steps=steps)], now=_NOW, cause_host="h1"))
    assert found.sentence.startswith("h2 had not enough free memory for web1.")


def test_sentences_can_be_told_in_chinese() -> None:
    server = {"name": "its host", **_ACTIVE, "host_status": "DOWN"}
    (said,) = explain(Evidence(server=server, timeline=[], now=_NOW)).why
    told = said.told(lambda text: translated(text, "zh"))
    assert told.startswith("its host 所在的主机 其主机 已中断")
    assert "一段时间以前" in told


def test_a_decision_says_what_the_fault_does_not() -> None:
    decision = {
        "summary": "3 candidates, short of 7 vcpus",
        "document": {"counts": [{"filter": "Capacity", "reason": "short of vcpus", "count": 3}]},
    }
    server = {"name": "web1", **_failed("No valid host was found. ")}
    found = explain(Evidence(server=server, timeline=[], now=_NOW, decisions=[decision]))
    assert "short of 7 vcpus" in found.sentence
    assert str(found.evidence[0]) == "Capacity: 3 × short of vcpus"


def test_a_name_with_braces_is_only_a_name() -> None:
    found = explain(Evidence(server={"name": "{host} {0}", **_ACTIVE}, timeline=[], now=_NOW))
    assert "{host} {0}" in found.sentence


def test_what_two_steps_say_alike_is_shown_once() -> None:
    failed = _entry("resize", "failed", details="No valid host was found. 2 candidates")
    timeline = [replace(failed, steps=failed.steps * 2)]
    found = explain(Evidence(server={"name": "web1", **_ACTIVE}, timeline=timeline, now=_NOW))
    assert [str(line) for line in found.evidence].count("No valid host was found. 2 candidates") == 1
