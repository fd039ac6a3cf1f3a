"""What each phase writes, by the table in domain/changes.py."""

import json

import pytest
import sqlalchemy as sa

from kilonova.domain.changes import Change, Phase
from kilonova.domain.errors import NotFound, StaleRecord
from kilonova.domain.model import Fault, after
from kilonova.domain.operations import OPERATIONS, get_operation
from kilonova.domain.states import PowerState, TaskState, VmState
from kilonova.store import journal
from kilonova.store.changes import save
from kilonova.store.database import Database, Transaction
from kilonova.store.fleet import claim, claims_of
from kilonova.store.instances import find_instance, get_instance
from kilonova.store.ledger import find_open_action, latest_faults, list_actions, list_events
from kilonova.store.schema import instances, metadata
from tests.backends.store.worlds import NOW, Story, asked, at, changed, draft, kept, noded, running

FAULT = Fault(code=500, cause="driver_error", message="x" * 300, details="Trace", host="h1", created_at=at(9))


def counts(database: Database) -> dict[str, int]:
    with database.read() as connection:
        tables = {name: sa.select(sa.func.count()).select_from(table) for name, table in metadata.tables.items()}
        return {name: connection.scalar(count) or 0 for name, count in tables.items()}


def test_a_new_instance_comes_back_as_it_was_saved(database: Database) -> None:
    saved = kept(database, draft(user_data="🜂", display_name="näme 🜂", vm_state=VmState.ERROR))
    assert saved.id > 0
    assert saved.generation == 1
    with database.read() as connection:
        read = get_instance(connection, saved.uuid)
    assert read == saved
    assert isinstance(read.vm_state, VmState)
    assert isinstance(read.power_state, PowerState)


def test_task_states_are_states_when_read(database: Database) -> None:
    saved = kept(database, draft(task_state=TaskState.SCHEDULING))
    with database.read() as connection:
        assert get_instance(connection, saved.uuid).task_state is TaskState.SCHEDULING


def test_an_unknown_instance_is_not_found(database: Database) -> None:
    with database.read() as connection:
        assert find_instance(connection, "nowhere") is None
        with pytest.raises(NotFound, match=r"^Instance nowhere could not be found\.$"):
            get_instance(connection, "nowhere")


def test_a_deleted_instance_is_found_only_when_asked_for(database: Database) -> None:
    gone = Story(database, kept(database, running()), "delete").accept().start().end().instance
    with database.read() as connection:
        assert find_instance(connection, gone.uuid) is None
        assert find_instance(connection, gone.uuid, include_deleted=True) == gone


def test_accepting_opens_an_action(database: Database) -> None:
    story = Story(database, kept(database, running()), "stop").accept(at(5))
    action = story.action
    assert (action.action, action.operation, action.host) == ("stop", "stop", "h1")
    assert (action.user_id, action.project_id, action.started_at) == ("u1", "p1", NOW)
    assert action.deadline_at == after(at(5), get_operation("stop").deadline_seconds)
    assert action.is_open
    assert (action.result, action.message, action.owner, action.attempts) == (None, None, None, 0)
    with database.read() as connection:
        assert list_events(connection, [action.id]) == {action.id: []}


def test_starting_opens_an_event(database: Database) -> None:
    story = Story(database, kept(database, running()), "stop").accept().start(at(6))
    with database.read() as connection:
        (event,) = list_events(connection, [story.action.id])[story.action.id]
    assert (event.event, event.host, event.started_at) == ("compute_stop_instance", "h1", at(6))
    assert (event.finished_at, event.result) == (None, None)
    assert story.action.updated_at == at(6)


def test_a_step_changes_the_record_and_nothing_in_the_ledger(database: Database) -> None:
    story = Story(database, draft(), "create").accept().start()
    before = story.action
    story.step(at(7), task_state=TaskState.SPAWNING)
    assert story.action == before
    assert story.instance.task_state is TaskState.SPAWNING


def test_ending_finishes_the_event_and_closes_the_action(database: Database) -> None:
    story = Story(database, kept(database, running()), "stop").accept().start().end(at(8))
    with database.read() as connection:
        (event,) = list_events(connection, [story.action.id])[story.action.id]
    assert (event.finished_at, event.result) == (at(8), "Success")
    action = story.action
    assert (action.finished_at, action.result, action.message) == (at(8), "Success", None)
    assert (action.updated_at, action.owner, action.lease_until) == (at(8), None, None)
    assert story.instance.vm_state is VmState.STOPPED


def test_an_end_that_closes_nothing_leaves_the_action_open(database: Database) -> None:
    story = Story(database, draft(), "create").accept().start().end(at(8), closes_action=False)
    assert story.action.is_open
    with database.read() as connection:
        (event,) = list_events(connection, [story.action.id])[story.action.id]
    assert event.result == "Success"


def test_an_error_keeps_its_fault_and_traceback(database: Database) -> None:
    story = Story(database, draft(), "create").accept().start().fail(at(9), fault=FAULT)
    with database.read() as connection:
        (event,) = list_events(connection, [story.action.id])[story.action.id]
        faults = latest_faults(connection, [story.instance.uuid, "other"])
    assert (event.result, event.traceback, event.details) == ("Error", "Traceback: boom", "boom")
    assert (story.action.result, story.action.message, story.action.finished_at) == ("Error", "Error", at(9))
    assert faults.keys() == {story.instance.uuid}
    fault = faults[story.instance.uuid]
    assert (fault.message, fault.cause, fault.details, fault.host) == ("x" * 255, "driver_error", "Trace", "h1")


def test_the_newest_fault_is_the_one_that_counts(database: Database) -> None:
    story = Story(database, kept(database, running()), "stop").accept().fail(at(9), fault=FAULT)
    second = Fault(code=400, cause="internal", message="second", details="", host=None, created_at=at(10))
    Story(database, story.instance, "reboot_hard").accept().fail(at(10), fault=second)
    with database.read() as connection:
        assert latest_faults(connection, [story.instance.uuid])[story.instance.uuid] == second


def test_an_error_without_a_start_leaves_a_finished_event(database: Database) -> None:
    story = Story(database, draft(), "create", host=None).accept()
    story.fail(at(9), fault=FAULT, event="conductor_schedule_and_build_instances")
    with database.read() as connection:
        (event,) = list_events(connection, [story.action.id])[story.action.id]
    assert event.event == "conductor_schedule_and_build_instances"
    assert (event.started_at, event.finished_at, event.result, event.host) == (at(9), at(9), "Error", None)


def test_an_operation_without_events_leaves_none(database: Database) -> None:
    story = Story(database, kept(database, running()), "reset_state").accept().end(at(9))
    with database.read() as connection:
        assert list_events(connection, [story.action.id])[story.action.id] == []


def test_several_starts_are_several_events_newest_first(database: Database) -> None:
    story = Story(database, draft(), "create").accept().start(at(1)).end(at(2), closes_action=False)
    story.start(at(3)).end(at(4))
    with database.read() as connection:
        events = list_events(connection, [story.action.id])[story.action.id]
    assert [event.started_at for event in events] == [at(3), at(1)]


def test_a_closed_action_takes_no_more(database: Database) -> None:
    story = Story(database, kept(database, running()), "stop").accept().start().end(at(8))
    before = counts(database)
    with pytest.raises(StaleRecord, match="is over already"):
        story.end(at(9))
    assert counts(database) == before


def test_a_phase_needs_an_action(database: Database) -> None:
    instance = kept(database, running())
    with pytest.raises(ValueError, match="belongs to no action"):
        Story(database, instance, "stop").start()


def test_actions_are_listed_newest_first(database: Database) -> None:
    first = Story(database, kept(database, running()), "stop").accept().start().end(at(1))
    second = Story(database, first.instance, "start").accept().start()
    with database.read() as connection:
        assert [action.operation for action in list_actions(connection, first.instance.uuid)] == ["start", "stop"]
        found = find_open_action(connection, first.instance.uuid)
        assert found is not None
        assert found.id == second.action_id
        assert find_open_action(connection, first.instance.uuid, operation="stop") is None


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_tells_its_whole_story(database: Database, name: str) -> None:
    is_create = name == "create"
    story = Story(database, draft() if is_create else kept(database, running()), name)
    story.accept().start().end(at(9))
    assert story.action.result == "Success"
    assert story.instance.task_state is None


def test_a_change_of_no_operation_writes_no_ledger(database: Database) -> None:
    before = kept(database, running())
    changed(database, before, display_name="other")
    with database.read() as connection:
        assert list_actions(connection, before.uuid) == []


def test_a_stale_change_is_refused_and_leaves_nothing_behind(database: Database) -> None:
    first = kept(database, running())
    changed(database, first, display_name="other")
    before = counts(database)
    with pytest.raises(StaleRecord):
        Story(database, first, "stop").accept()
    assert counts(database) == before


def test_an_exception_leaves_nothing_behind(database: Database) -> None:
    instance = kept(database, running())
    before = counts(database)
    change = Change(
        before=instance,
        after=instance._replace(task_state=TaskState.POWERING_OFF),
        request=asked(),
        occurred_at=NOW,
        operation=get_operation("stop"),
        phase=Phase.ACCEPTED,
    )

    def work(tx: Transaction) -> None:
        save(tx, change)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.run(work)
    assert counts(database) == before
    with database.read() as connection:
        assert get_instance(connection, instance.uuid) == instance


def test_a_deleted_instance_must_be_over(database: Database) -> None:
    instance = kept(database, running())
    with pytest.raises(sa.exc.DBAPIError):
        changed(database, instance, deleted_at=NOW, vm_state=VmState.DELETED)


def test_deleting_releases_the_claim(database: Database) -> None:
    node = noded(database)
    story = Story(database, kept(database, running()), "delete")
    with database.transaction() as tx:
        assert claim(tx, node_uuid=node, instance=story.instance)
    story.accept().start().end(at(9))
    with database.read() as connection:
        assert claims_of(connection, node).instances == 0


def test_every_change_has_one_journal_row_with_its_whole_snapshot(database: Database) -> None:
    story = Story(database, draft(user_data="secret"), "create").accept().start().fail(at(9), fault=FAULT)
    journal.sequence(database)
    with database.read() as connection:
        rows = journal.list_entries(connection, after_seq=0, limit=10, kind="instance", key=story.instance.uuid)
    assert [row.phase for row in rows] == [Phase.ACCEPTED, Phase.START, Phase.ERROR]
    assert [row.seq for row in rows] == [1, 2, 3]
    last = rows[-1]
    assert (last.project_id, last.operation, last.occurred_at) == ("p1", "create", at(9))
    assert (last.request_id, last.user_id, last.received_at) == (story.request.request_id, "u1", NOW)
    expected = {key: value for key, value in story.instance._asdict().items() if key != "user_data"}
    assert last.snapshot == json.loads(json.dumps(expected))
    assert rows[0].previous is None
    assert last.previous == {
        "generation": 2,
        "vm_state": "building",
        "task_state": "scheduling",
        "updated_at": NOW,
    }
    assert last.facts["fault"]["cause"] == "driver_error"
    assert last.facts["traceback"] == "Traceback: boom"
    assert (last.facts["host"], last.facts["event"]) == ("h1", "compute__do_build_and_run_instance")


def test_a_long_user_data_and_a_long_document_fit(database: Database) -> None:
    saved = kept(database, draft(user_data="u" * 65_535 * 2, metadata_json="m" * 60_000))
    with database.read() as connection:
        read = get_instance(connection, saved.uuid)
    assert read == saved
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.length(instances.c.user_data))) == 131_070
