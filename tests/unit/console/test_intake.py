"""What is kept of what a message bus tells: enough, and never too much."""

import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kilonova.console.intake import Bus, Notices
from kilonova.console.intake.reading import MOST_BYTES
from kilonova.wire.envelope import enclose
from kilonova.wire.transport_url import TransportUrlMalformed

_EXAMPLES: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "data" / "notifications" / "examples.json").read_text("utf-8")
)
_NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def notices() -> Notices:
    return Notices("amqp://broker", clock=lambda: _NOW)


def body(name: str, **different: Any) -> bytes:
    """A real Nova's message in its envelope."""
    _, _, event_type = name.partition(" ")
    told = {**_EXAMPLES["message"], "event_type": event_type, "payload": _EXAMPLES[name]}
    told |= {"message_id": name, "timestamp": "2026-11-22 11:59:58.500000", **different}
    return enclose(json.dumps(told).encode())


def numbered(number: int, server: str, host: str = "cmp-1") -> bytes:
    """One of many."""
    payload = {"uuid": server, "tenant_id": "p"}
    more = {"message_id": f"m{number}", "publisher_id": f"nova-compute:{host}"}
    return body("versioned instance.create.end", payload={"nova_object.data": payload}, **more)


@pytest.mark.parametrize("name", ["unversioned compute.instance.power_off.end", "versioned instance.power_off.end"])
def test_either_format_is_kept_by_server_and_by_host(notices: Notices, name: str) -> None:
    publisher = "nova-compute:cmp-2" if name.startswith("versioned") else "compute.cmp-2"
    notices.take(body(name, publisher_id=publisher))
    (kept,) = notices.newest()
    assert notices.of_server(kept.server_id) == [kept] == notices.of_host("cmp-2")
    assert (kept.action, kept.phase, kept.lag_seconds) == ("power_off", "end", 1.5)
    assert kept.project_id
    assert kept.server_name
    assert notices.hearing.lag_seconds == 1.5


def test_a_service_tells_of_its_own_host(notices: Notices) -> None:
    notices.take(body("versioned service.update", publisher_id="nova-api:ctl"))
    assert [each.event_type for each in notices.of_host("cmp-3")] == ["service.update"]
    assert notices.of_host("ctl") == []


def test_what_was_raised_and_what_turned_is_kept(notices: Notices) -> None:
    payload = {"uuid": "s", "state": "active", "state_update": {"old_state": "building", "state": "active"}}
    payload |= {"fault": {"nova_object.data": {"exception_message": "no room"}}}
    notices.take(body("versioned instance.update", payload={"nova_object.data": payload}, priority="ERROR"))
    (kept,) = notices.newest()
    assert (kept.turned, kept.fault, kept.is_error) == ("vm_state building → active", "no room", True)


def test_a_message_that_comes_again_is_counted_and_not_kept_again(notices: Notices) -> None:
    for _ in range(3):
        notices.take(body("versioned instance.create.end"))
    assert (len(notices.newest()), notices.count, notices.hearing.repeated) == (1, 1, 2)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"oslo.version": "9.0", "oslo.message": "{}"}',
        b"x" * (MOST_BYTES + 1),
        body("versioned instance.create.end", timestamp="yesterday"),
        body("versioned instance.create.end", timestamp="0001-01-01T00:00:00+01:00"),
        body("versioned instance.create.end", payload=["odd"]),
    ],
    ids=["empty", "no text", "list", "nothing", "deep", "version", "large", "time", "before time", "payload"],
)
def test_what_is_no_notification_is_counted_and_said(notices: Notices, broken: bytes) -> None:
    notices.take(broken)
    assert (notices.count, notices.hearing.unreadable) == (0, 1)
    assert 0 < len(notices.hearing.last_unreadable) <= 255


def test_a_text_that_no_page_could_show_is_kept_as_one_that_can_be_shown(notices: Notices) -> None:
    halved = {"nova_object.data": {"uuid": "s", "tenant_id": "p", "display_name": "a\ud800b"}}
    notices.take(body("versioned instance.create.end", payload=halved))
    (kept,) = notices.newest()
    assert kept.server_name == "a?b"


def test_an_id_costs_the_same_whatever_its_length(notices: Notices) -> None:
    tracemalloc.start()
    try:
        for number in range(50):
            long = f"{number}" + "x" * (MOST_BYTES // 2)
            notices.take(body("versioned instance.create.end", message_id=long))
            notices.take(body("versioned instance.create.end", message_id=long))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (notices.count, notices.hearing.repeated) == (50, 50)
    assert kept < 4 * MOST_BYTES, "the ids themselves are remembered"


def test_only_a_projects_own_servers_are_told_to_it(notices: Notices) -> None:
    notices.take(numbered(1, "s1"))
    notices.take(body("versioned service.update"))
    assert [each.server_id for each in notices.newest(project_id="p")] == ["s1"]
    assert list(notices.newest(project_id="q")) == []
    assert list(notices.newest(project_id="")) == []
    assert len(notices.newest()) == 2


def test_memory_is_bounded_whatever_is_told(notices: Notices) -> None:
    for number in range(6000):
        notices.take(numbered(number, f"s{number}", f"cmp-{number}"))
    for number in range(6000, 6500):
        notices.take(numbered(number, "busy"))
    assert len(notices.newest()) == 1000
    assert len(notices.of_server("busy")) == 200
    assert notices.of_server("s0") == notices.of_host("cmp-0") == []
    assert notices.of_server("s5999")
    long = {"uuid": "s", "display_name": "x" * 10_000}
    notices.take(body("versioned instance.create.end", message_id="long", payload={"nova_object.data": long}))
    assert len(notices.newest()[0].server_name) == 255


def test_how_well_the_bus_is_heard_is_known(notices: Notices) -> None:
    notices.lost("no route")
    assert (notices.hearing.state, notices.hearing.breaks) == ("away", 0)
    notices.listening(waiting=10_000)
    flooded = notices.hearing
    notices.listening(waiting=3)
    assert (flooded.is_flooded, notices.hearing.is_flooded) == (True, False)
    notices.lost("gone")
    assert (notices.hearing.trouble, notices.hearing.breaks, notices.hearing.waiting) == ("gone", 1, 0)
    assert "broker" not in str(notices.hearing.for_tenants())


def test_a_bus_is_named_without_its_password() -> None:
    assert "secret" not in Bus(url="rabbit://nova:secret@one:5671,two/").place
    with pytest.raises(TransportUrlMalformed):
        Bus(url="http://one/")
