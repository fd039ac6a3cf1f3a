from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonova.domain.states import PowerState, TaskState, VmState
from kilonova.domain.usage import billed
from kilonova.store.database import Database
from kilonova.store.usage import Segment, list_segments
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
