import pytest

from kilonova.domain.changes import Cause, Phase
from kilonova.domain.errors import NotFound
from kilonova.store import journal
from kilonova.store.database import Database
from kilonova.store.ledger import (
    assign_action,
    close_actions,
    find_action,
    get_action,
    get_open_action,
    has_open_event,
    lease_action,
    list_actions,
    list_events,
    list_host_actions,
    list_overdue_actions,
    list_unplaced_actions,
    renew_leases,
)
from tests.backends.store.worlds import Story, at, draft, kept, running


def lease(database: Database, action_id: int | None, owner: str, *, until: float, now: float) -> bool:
    assert action_id is not None
    with database.transaction() as tx:
        return lease_action(tx.connection, action_id, owner=owner, until=at(until), now=at(now))


def test_an_unknown_action_is_not_found(database: Database) -> None:
    with database.read() as connection:
        with pytest.raises(NotFound, match=r"^Action req-1 not found$"):
            get_action(connection, "nowhere", "req-1")
        assert get_open_action(connection, 1) is None
        assert find_action(connection, 1) is None
        assert list_events(connection, []) == {}


def test_open_actions_are_found_by_who_has_to_do_them(database: Database) -> None:
    unplaced = [Story(database, draft(), "create", host=None).accept() for _ in range(3)]
    placed = [Story(database, kept(database, running()), "stop").accept() for _ in range(2)]
    Story(database, kept(database, running()), "stop").accept().start().end()
    with database.read() as connection:
        waiting = list_unplaced_actions(connection, 2)
        assert [action.id for action in waiting] == [story.action_id for story in unplaced[:2]]
        working = list_host_actions(connection, "h1", 10)
        assert [action.id for action in working] == [story.action_id for story in placed]
        assert list_host_actions(connection, "h2", 10) == []
        (first, *_) = working
        assert get_open_action(connection, first.id) == first == find_action(connection, first.id)


def test_an_unplaced_action_has_one_owner_until_its_lease_lapses(database: Database) -> None:
    story = Story(database, draft(), "create", host=None).accept()
    assert lease(database, story.action_id, "a", until=10, now=0)
    assert not lease(database, story.action_id, "b", until=15, now=5)
    assert lease(database, story.action_id, "a", until=12, now=5)
    assert lease(database, story.action_id, "b", until=30, now=13)
    action = story.action
    assert (action.owner, action.lease_until, action.attempts) == ("b", at(30), 3)


def test_a_hosts_later_run_takes_over_at_once(database: Database) -> None:
    story = Story(database, kept(database, running()), "stop").accept()
    assert lease(database, story.action_id, "run-1", until=60, now=0)
    assert lease(database, story.action_id, "run-2", until=60, now=1)
    assert story.action.owner == "run-2"


def test_a_closed_action_cannot_be_leased(database: Database) -> None:
    story = Story(database, kept(database, running()), "stop").accept().start().end()
    assert not lease(database, story.action_id, "a", until=10, now=0)
    with database.read() as connection:
        assert get_open_action(connection, story.action.id) is None
        assert find_action(connection, story.action.id) == story.action


def test_only_owners_renew(database: Database) -> None:
    stories = [Story(database, kept(database, running()), "stop").accept() for _ in range(3)]
    ids = [story.action.id for story in stories]
    for id_, owner in zip(ids, "aab", strict=True):
        lease(database, id_, owner, until=10, now=0)
    with database.transaction() as tx:
        assert renew_leases(tx.connection, "a", ids, at(99)) == 2
        assert renew_leases(tx.connection, "a", [], at(99)) == 0
    assert [story.action.lease_until for story in stories] == [at(99), at(99), at(10)]


def test_an_assigned_action_is_nobodys_yet(database: Database) -> None:
    story = Story(database, draft(), "create", host=None).accept()
    lease(database, story.action_id, "conductor", until=10, now=0)
    with database.transaction() as tx:
        assign_action(tx.connection, story.action.id, host="h9")
    action = story.action
    assert (action.host, action.owner, action.lease_until, action.attempts) == ("h9", None, None, 0)
    with database.transaction() as tx:
        assign_action(tx.connection, story.action.id, host=None)
    assert story.action.host is None


def test_overdue_actions_are_the_open_ones_past_their_deadline(database: Database) -> None:
    late = Story(database, kept(database, running()), "stop").accept(at(0))
    Story(database, kept(database, running()), "stop").accept(at(1000))
    Story(database, kept(database, running()), "stop").accept(at(0)).start().end()
    deadline = late.action.deadline_at
    with database.read() as connection:
        assert list_overdue_actions(connection, deadline, 10) == []
        overdue = list_overdue_actions(connection, at(600.000001), 10)
    assert [action.id for action in overdue] == [late.action_id]


def test_closing_what_nobody_will_carry_out_spares_one(database: Database) -> None:
    create = Story(database, draft(), "create").accept().start(at(1))
    delete = Story(database, create.instance, "delete").accept(at(2)).start(at(2))
    lease(database, create.action_id, "a", until=10, now=0)
    with database.transaction() as tx:
        close_actions(tx, create.instance.uuid, now=at(3), but=delete.action_id)
        close_actions(tx, "nowhere", now=at(3))
    action = create.action
    assert (action.finished_at, action.result, action.owner) == (at(3), "Error", None)
    assert delete.action.is_open
    with database.read() as connection:
        events = list_events(connection, [create.action.id, delete.action.id])
        assert events[create.action.id][0].result == "Error"
        assert events[delete.action.id][0].result is None
        assert has_open_event(connection, delete.action.id, host="h1")
        assert not has_open_event(connection, delete.action.id, host="h2")
        assert not has_open_event(connection, create.action.id, host="h1")
        assert len(list_actions(connection, create.instance.uuid)) == 2


def test_what_is_closed_for_another_is_told_with_whom_it_gave_way_to(database: Database) -> None:
    create = Story(database, draft(user_data="secret"), "create").accept().start(at(1))
    delete = Story(database, create.instance, "delete").accept(at(2))
    with database.transaction() as tx:
        close_actions(tx, create.instance.uuid, now=at(3), but=delete.action_id)
    journal.sequence(database)
    with database.read() as connection:
        *_, told = journal.list_entries(connection, after_seq=0, limit=9, kind="instance", key=create.instance.uuid)
    assert (told.operation, told.phase, told.cause) == ("create", Phase.ERROR, Cause.RECONCILED)
    assert (told.request_id, told.occurred_at) == (create.request.request_id, at(3))
    assert told.facts["closed_by"] == delete.request.request_id
    assert told.facts["action_id"] == create.action_id
    assert told.snapshot["task_state"] == "deleting"
    assert "user_data" not in told.snapshot
