"""The story of a server, from instance actions as Nova shows them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kilonova.console.timeline import Entry, entries, from_journal, merged
from kilonova.console.words import translated

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


@pytest.mark.parametrize(
    "message, result, title",
    [
        (None, "Success", "Migrated"),
        (None, None, "Migrating"),
        ("Error", "Error", "Migration failed"),
        (None, "Error", "Migration failed"),
    ],
)
def test_a_request_is_called_by_how_far_it_came(message: str | None, result: str | None, title: str) -> None:
    step = _event("compute_prep_resize", "10:00:01", "10:00:02" if result else None, result)
    (entry,) = entries([_action("migrate", "10:00:00", step, message=message)], now=_NOW)
    assert entry.title == title
    assert translated(entry.title, "zh") != entry.title
    assert entry.message is None, "that it is an error is said already"


def test_what_failed_for_a_reason_that_is_told_says_it() -> None:
    (entry,) = entries([_action("migrate", "10:00:00", message="No room")], now=_NOW)
    assert (entry.title, entry.message) == ("Migration failed", "No room")


def test_an_action_of_an_older_nova_has_fewer_keys() -> None:
    (entry,) = entries(
        [{"action": "os-odd", "request_id": "req-1", "start_time": "2026-11-22T10:00:00.000000"}], now=_NOW
    )
    assert (entry.title, entry.steps) == ("os-odd", ())


_BUILD = "compute__do_build_and_run_instance"


def _tried(*hosts: str) -> dict[str, Any]:
    """A build that was tried on these hosts, the newest event first, as Nova shows it."""
    events = [_event(_BUILD, "10:00:00", "10:00:00", host=host) for host in hosts]
    return _action("create", "10:00:00", *events[::-1])


def test_what_began_anew_on_another_host_failed_on_the_one_before() -> None:
    (entry,) = entries([_tried("h1", "h2", "h3")], now=_NOW)
    assert entry.failed_on == ["h1", "h2"]
    assert entry.outcome == "ok"


def test_a_step_that_was_tried_elsewhere_shows_why() -> None:
    facts = {"event": _BUILD, "host": "h1", "fault": {"message": "the host's disk is full"}}
    row = {
        "kind": "instance",
        "topic": "instance.create.retry",
        "phase": "retry",
        "request_id": "req-create",
        "occurred_at": "2026-11-22T10:00:00Z",
        "snapshot": {},
        "previous": {},
        "facts": facts,
    }
    (entry,) = merged(entries([_tried("h1", "h2")], now=_NOW), from_journal([row]))
    assert [(step.result, step.details) for step in entry.steps] == [
        ("Retried", "the host's disk is full"),
        ("Success", None),
    ]
    assert [moment.text for moment in entry.moments] == ["instance.create.retry"]
    (of_its_owner,) = merged(entries([_tried("h1", "h2")], now=_NOW), from_journal([{**row, "facts": None}]))
    assert [step.result for step in of_its_owner.steps] == ["Success", "Success"]


def _changed(at: str, request: str | None, previous: dict[str, Any], **snapshot: Any) -> dict[str, Any]:
    """A row of the journal that no operation wrote."""
    row = {"kind": "instance", "topic": "instance", "request_id": request, "occurred_at": f"2026-11-22T{at}Z"}
    return {**row, "user_id": "mia", "cause": "requested", "snapshot": snapshot, "previous": previous}


def _words(entry: Entry) -> list[str]:
    return [str(turn) for turn in entry.turns]


def test_a_new_name_stands_in_the_story_with_what_it_was_before() -> None:
    rows = [
        _changed("10:00:05", "req-name", {"generation": 4, "display_name": "web1"}, display_name="shop"),
        _changed("10:00:06", "req-meta", {"metadata_json": "{}"}, metadata_json='{"role":"web"}'),
        _changed("10:00:06", "req-tag", {"tags_json": "[]"}, tags_json='["blue"]'),
        _changed("10:00:08", "req-text", {"display_description": None}, display_description="of the shop"),
        _changed("10:00:09", "req-none", {"generation": 8, "updated_at": 1}, generation=9, updated_at=2),
    ]
    story = merged(entries([_action("create", "10:00:00")], now=_NOW), from_journal(rows))
    assert [(entry.title, entry.request_id, _words(entry)) for entry in story] == [
        ("Changed", "req-text", ["description: of the shop"]),
        ("Changed", "req-tag", ["tag blue added"]),
        ("Changed", "req-meta", ["metadata role = web"]),
        ("Changed", "req-name", ["renamed web1 → shop"]),
        ("Created", "req-create", []),
    ]
    assert [entry.is_action for entry in story] == [False] * 4 + [True]
    assert {(entry.user_id, entry.action) for entry in story[:4]} == {("mia", "update")}


def test_what_an_action_changes_is_told_at_the_action() -> None:
    previous = {"flavor_name": "small", "task_state": "resize_migrated", "host": "h1"}
    row = _changed("10:00:05", "req-resize", previous, flavor_name="large", task_state="resize_finish", host="h2")
    (entry,) = merged(entries([_action("resize", "10:00:00")], now=_NOW), from_journal([row]))
    assert _words(entry) == ["flavor small → large"]
    assert [moment.text for moment in entry.others] == ["task_state resize_migrated → resize_finish, host h1 → h2"]


def test_several_changes_of_one_request_are_one_entry_and_those_of_none_are_not() -> None:
    rows = [
        _changed("10:00:05", "req-two", {"display_name": "a"}, display_name="b"),
        _changed("10:00:06", "req-two", {"display_name": "b"}, display_name="c"),
        _changed("10:00:07", None, {"display_name": "c"}, display_name="d"),
        _changed("10:00:08", None, {"display_name": "d"}, display_name="e"),
    ]
    story = merged([], from_journal(rows))
    assert [(entry.request_id, _words(entry)) for entry in story] == [
        ("", ["renamed d → e"]),
        ("", ["renamed c → d"]),
        ("req-two", ["renamed a → b", "renamed b → c"]),
    ]
