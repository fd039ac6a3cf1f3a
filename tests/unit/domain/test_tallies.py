"""Tallies: what each row of the journal adds to the counters."""

import json
from typing import Any

import pytest

from kilonova.domain.changes import Cause, Phase
from kilonova.domain.journal import JournalRow
from kilonova.domain.model import SECOND, Instant
from kilonova.domain.tallies import BUCKETS, Histogram, Tallies

_ACTIVE = {"vm_state": "active", "task_state": None, "deleted_at": None}


def _row(snapshot: dict[str, Any], previous: dict[str, Any] | None = None, **different: Any) -> JournalRow:
    facts = different.pop("facts", {})
    values: dict[str, Any] = {
        "id": 1,
        "seq": 1,
        "kind": "instance",
        "key": "u",
        "project_id": "p",
        "operation": None,
        "phase": None,
        "cause": Cause.REQUESTED,
        "request_id": None,
        "user_id": None,
        "caller_project_id": None,
        "received_at": Instant(10 * SECOND),
        "occurred_at": Instant(13 * SECOND),
        "snapshot_json": json.dumps(snapshot),
        "previous_json": None if previous is None else json.dumps(previous),
        "facts_json": json.dumps(facts),
    }
    return JournalRow(**{**values, **different})


def test_a_server_is_counted_where_it_is_and_no_more_where_it_was() -> None:
    tallies = Tallies()
    tallies.add(_row({**_ACTIVE, "vm_state": "building"}))
    tallies.add(_row(_ACTIVE, {"vm_state": "building"}))
    assert {status: number for status, number in tallies.servers.items() if number} == {"ACTIVE": 1}
    tallies.add(_row({**_ACTIVE, "deleted_at": 5, "vm_state": "deleted"}, {"deleted_at": None, "vm_state": "active"}))
    assert not any(tallies.servers.values())


@pytest.mark.parametrize(
    "phase, cause, fault, result",
    [
        (Phase.END, Cause.REQUESTED, None, "success"),
        (Phase.ERROR, Cause.REQUESTED, None, "error"),
        (Phase.ERROR, Cause.EXPIRED, None, "interrupted"),
        (Phase.ERROR, Cause.REQUESTED, {"cause": "interrupted"}, "interrupted"),
    ],
)
def test_an_end_is_counted_with_its_result_and_duration(
    phase: Phase, cause: Cause, fault: dict[str, str] | None, result: str
) -> None:
    tallies = Tallies()
    facts = {"closes_action": True, **({"fault": fault} if fault else {})}
    tallies.add(_row(_ACTIVE, {}, operation="stop", phase=phase, cause=cause, facts=facts))
    (key,) = tallies.operations
    assert key == ("stop", result)
    assert (sum(tallies.operations[key].counts), tallies.operations[key].total_seconds) == (1, 3.0)


def test_an_end_of_a_step_is_no_end_of_the_operation() -> None:
    tallies = Tallies()
    tallies.add(_row(_ACTIVE, {}, operation="create", phase=Phase.END, facts={"closes_action": False}))
    tallies.add(_row(_ACTIVE, {}, operation="create", phase=Phase.START))
    assert tallies.operations == {}


def test_a_duration_falls_into_the_bucket_that_it_does_not_pass() -> None:
    histogram = Histogram()
    for seconds in (0.0, 0.1, 0.11, 3600.0, 3601.0):
        histogram.add(seconds)
    assert histogram.counts[0] == 2
    assert histogram.counts[1] == 1
    assert histogram.counts[len(BUCKETS) - 1 :] == [1, 1]


def test_decisions_and_turns_are_counted_by_what_came_of_them() -> None:
    tallies = Tallies()
    tallies.add(_row({"chosen_host": "h"}, kind="decision"))
    tallies.add(_row({"chosen_host": None}, kind="decision"))
    tallies.add(_row({"binary": "nova-compute"}, kind="service", operation="down"))
    tallies.add(_row({"binary": "nova-compute"}, kind="service", operation="update"))
    assert tallies.decisions == {"placed": 1, "no_valid_host": 1}
    assert tallies.turns == {("nova-compute", "down"): 1}
    assert tallies.events == {"decision": 2, "service": 2}
