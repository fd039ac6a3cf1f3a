from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonova.domain.errors import Invalid
from kilonova.domain.model import Instance, Instant
from kilonova.domain.states import PowerState, TaskState, VmState
from kilonova.domain.usage import ServerUsage, Window, billed, usage_by_project
from kilonova.store.database import Database
from kilonova.store.schema import journal_head, metadata, schema_version
from kilonova.store.usage import Segment, UsageQuery, list_project_usages, list_segments, list_server_usages
from tests.backends.store.worlds import Story, at, changed, draft, kept, running


def segments(database: Database, uuid: str) -> list[Segment]:
    with database.read() as connection:
        return list_segments(connection, uuid)


def test_a_server_that_never_ran_has_no_segment(database: Database) -> None:
    assert segments(database, kept(database).uuid) == []


def test_a_segment_runs_from_launch_to_the_first_change_of_what_is_billed(database: Database) -> None:
    story = Story(database, draft(host="h1"), "create").accept(at(0)).start(at(1)).end(at(2))
    stop = Story(database, story.instance, "stop").accept(at(5)).start(at(6)).end(at(7))
    Story(database, stop.instance, "delete").accept(at(8)).start(at(8)).end(at(9))
    first, second = segments(database, story.instance.uuid)
    assert (first.started_at, first.ended_at, first.billed.vm_state) == (at(2), at(7), VmState.ACTIVE)
    assert (second.started_at, second.ended_at, second.billed.vm_state) == (at(7), at(9), VmState.STOPPED)
    assert first.billed == billed(story.instance)


def test_what_is_not_billed_opens_no_segment(database: Database) -> None:
    instance = kept(database, running())
    changed(database, instance, display_name="other", power_state=PowerState.SHUTDOWN, task_state=TaskState.PAUSING)
    assert len(segments(database, instance.uuid)) == 1


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "vm_state": st.sampled_from([VmState.ACTIVE, VmState.STOPPED]),
        "host": st.sampled_from([None, "h1", "h2"]),
        "flavor_name": st.sampled_from(["a", "b"]),
        "vcpus": st.integers(1, 2),
        "launched_at": st.sampled_from([None, at(0)]),
        "display_name": st.sampled_from(["x", "y"]),
    },
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FIELDS, max_size=6))
def test_segments_tell_at_every_moment_what_was_billed(database: Database, steps: list[dict[str, object]]) -> None:
    instance = kept(database, running(), now=at(0))
    truth = [billed(instance)]
    for number, fields in enumerate(steps, start=1):
        instance = changed(database, instance, now=at(number), **fields)
        truth.append(billed(instance))
    found = segments(database, instance.uuid)
    for moment, expected in enumerate(truth):
        covering = [
            one.billed
            for one in found
            if one.started_at <= at(moment) and (one.ended_at is None or one.ended_at > at(moment))
        ]
        assert covering == ([] if expected is None else [expected])
    changes = sum(one is not None and one != before for before, one in zip([None, *truth], truth, strict=False))
    assert len(found) == changes


_LIVES = st.fixed_dictionaries(
    {
        "project_id": st.sampled_from(["p1", "p2", "p3"]),
        "vcpus": st.integers(1, 64),
        "memory_mb": st.integers(1, 2**20),
        "root_gb": st.integers(0, 2**12),
        "ephemeral_gb": st.integers(0, 2**12),
        "launched_at": st.none() | st.integers(0, 10**9).map(lambda micros: at(micros / 7)),
        "ended_after": st.none() | st.integers(0, 10**15),
    }
)
_MOMENTS = st.integers(-(10**9), 10**9).map(lambda micros: at(micros / 7))


def lived(database: Database, life: dict[str, Any]) -> Instance:
    """A server of such a life, whether it still lives or not."""
    ended_after = life.pop("ended_after")
    begun = life["launched_at"]
    ended = None if ended_after is None else Instant((begun or at(0)) + ended_after)
    gone = {"terminated_at": ended, "deleted_at": ended, "vm_state": VmState.DELETED} if ended else {}
    return kept(database, running(**life, **gone))


def reported(instance: Instance) -> ServerUsage:
    """What a report is to say of a server."""
    fields = {name: getattr(instance, name) for name in ServerUsage._fields}
    return ServerUsage(**{**fields, "vm_state": str(instance.vm_state)})


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_LIVES, max_size=12), _MOMENTS, _MOMENTS, st.integers(0, 12))
def test_the_database_adds_up_usage_as_the_formula_does(
    database: Database, lives: list[dict[str, Any]], start: Instant, stop: Instant, limit: int
) -> None:
    with database.transaction() as tx:
        for table in reversed(metadata.sorted_tables):
            if table not in (journal_head, schema_version):
                tx.connection.execute(table.delete())
    window = Window(start, stop)
    made = [lived(database, life) for life in lives]
    chosen = [reported(each) for each in made if window.selects(each.launched_at, each.terminated_at)]
    expected = sorted(chosen, key=lambda server: (server.project_id, server.uuid))[:limit]
    query = UsageQuery(window=window, limit=limit)
    with database.read() as connection:
        servers, projects = list_server_usages(connection, query), list_project_usages(connection, query)
    assert servers == expected
    told = usage_by_project(expected, window)
    assert [(each.project_id, each.count, each.last_uuid) for each in projects] == [
        (each.project_id, each.count, each.last_uuid) for each in told
    ]
    for ours, theirs in zip(told, projects, strict=True):
        for name in ("hours", "local_gb_hours", "memory_mb_hours", "vcpu_hours"):
            assert getattr(theirs, name) == pytest.approx(getattr(ours, name), rel=1e-12, abs=1e-9)


def test_pages_of_usage_follow_one_another_over_projects(database: Database) -> None:
    made = [kept(database, running(project_id=project_id)) for project_id in ("p2", "p1", "p2", "p1", "p3")]
    ordered = [each.uuid for each in sorted(made, key=lambda each: (each.project_id, each.uuid))]
    window = Window(at(0), at(3600))
    marker, found = None, []
    while True:
        with database.read() as connection:
            page = list_server_usages(connection, UsageQuery(window=window, limit=2, marker=marker))
        if not page:
            break
        found += [server.uuid for server in page]
        marker = found[-1]
    assert found == ordered


def test_one_projects_usage_has_no_other_projects_servers(database: Database) -> None:
    kept(database, running(project_id="p1"))
    mine = kept(database, running(project_id="p2", memory_mb=1024, root_gb=3, ephemeral_gb=4, vcpus=2))
    query = UsageQuery(window=Window(at(0), at(7200)), limit=10, project_id="p2")
    with database.read() as connection:
        (found,) = list_project_usages(connection, query)
    assert (found.last_uuid, found.count, found.hours) == (mine.uuid, 1, 2.0)
    assert (found.vcpu_hours, found.memory_mb_hours, found.local_gb_hours) == (4.0, 2048.0, 14.0)


def test_an_unknown_marker_of_a_usage_report_is_refused(database: Database) -> None:
    query = UsageQuery(window=Window(at(0), at(1)), limit=1, marker="nobody")
    with database.read() as connection, pytest.raises(Invalid, match=r"^Marker nobody could not be found\.$"):
        list_project_usages(connection, query)
