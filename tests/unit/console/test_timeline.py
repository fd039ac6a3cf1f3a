"""The story of a server, from instance actions as Nova shows them."""

from datetime import UTC, datetime
from typing import Any

from kilonova.console.timeline import entries

_NOW = datetime(2026, 11, 22, 10, 0, 30, tzinfo=UTC)


def _event(name: str, start: str, finish: str | None, result: str | None = "Success", **more: Any) -> dict[str, Any]:
    times = {"start_time": f"2026-11-22T{start}.000000", "finish_time": finish and f"2026-11-22T{finish}.000000"}
    return {"event": name, "result": result, **times, **more}


def _action(name: str, start: str, *events: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {"action": name, "request_id": f"req-{name}", "user_id": "u", "message": None, "updated_at": None}
    return {**told, "start_time": f"2026-11-22T{start}.000000", "events": list(events), **more}


def test_the_latest_request_comes_first() -> None:
    told = entries([_action("create", "10:00:00"), _action("stop", "10:00:10")], now=_NOW)
    assert [entry.action for entry in told] == ["stop", "create"]


def test_a_request_lasts_until_its_last_step_ended() -> None:
    (entry,) = entries([_action("stop", "10:00:00", _event("compute_stop_instance", "10:00:02", "10:00:04"))], now=_NOW)
    (step,) = entry.steps
    assert (entry.seconds, entry.outcome, step.seconds) == (4.0, "ok", 2.0)
    assert (step.offset, step.width) == (50.0, 50.0)


def test_what_goes_on_has_no_end() -> None:
    (entry,) = entries([_action("stop", "10:00:00", _event("compute_stop_instance", "10:00:10", None, None))], now=_NOW)
    assert (entry.seconds, entry.outcome) == (None, "open")
    assert entry.steps[0].offset + entry.steps[0].width <= 100


def test_a_failed_step_is_a_failed_request() -> None:
    failed = _event("compute_stop_instance", "10:00:01", "10:00:02", "Error", details="no power")
    (entry,) = entries([_action("stop", "10:00:00", failed, message="Error")], now=_NOW)
    assert (entry.outcome, entry.steps[0].details) == ("failed", "no power")


def test_an_action_of_an_older_nova_has_fewer_keys() -> None:
    (entry,) = entries(
        [{"action": "os-odd", "request_id": "req-1", "start_time": "2026-11-22T10:00:00.000000"}], now=_NOW
    )
    assert (entry.title, entry.steps) == ("os-odd", ())
