import functools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.domain.changes import Cause
from kilonova.domain.journal import JournalRow
from kilonova.domain.states import VmState
from kilonova.store import journal
from kilonova.store.database import Database, Transaction
from kilonova.store.forgetting import forget
from kilonova.store.schema import journal as table
from tests.backends.store.worlds import NOW, asked, at, changed, kept, running


def note(database: Database, key: str, number: int) -> None:
    with database.transaction() as tx:
        journal.append(tx, kind="note", key=key, occurred_at=NOW, snapshot={"number": number}, cause=Cause.OBSERVED)


def write_and_fail(tx: Transaction) -> None:
    journal.append(tx, kind="note", key="a", occurred_at=NOW, snapshot={})
    raise ZeroDivisionError


def entries(database: Database, after_seq: int = 0) -> list[JournalRow]:
    with database.read() as connection:
        return journal.list_entries(connection, after_seq=after_seq, limit=100_000)


def test_rows_have_no_number_until_they_are_sequenced(database: Database) -> None:
    note(database, "a", 1)
    with database.read() as connection:
        assert (journal.head(connection), journal.pending(connection)) == (0, 1)
        assert journal.list_entries(connection, after_seq=0, limit=10) == []
    assert journal.sequence(database) == 1
    with database.read() as connection:
        assert (journal.head(connection), journal.pending(connection)) == (1, 0)
    assert journal.sequence(database) == 0


def test_a_batch_has_a_limit(database: Database) -> None:
    for number in range(5):
        note(database, "a", number)
    assert [journal.sequence(database, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [entry.seq for entry in entries(database)] == [1, 2, 3, 4, 5]


def test_entries_are_picked_by_kind_key_and_position(database: Database) -> None:
    for key in "abab":
        note(database, key, 0)
    kept(database)
    journal.sequence(database)
    with database.read() as connection:
        found = journal.list_entries(connection, after_seq=1, limit=10, kind="note", key="a")
        assert [entry.seq for entry in found] == [3]
        assert [entry.seq for entry in journal.list_entries(connection, after_seq=0, limit=2)] == [1, 2]
        assert [entry.seq for entry in journal.list_entries(connection, after_seq=0, limit=9, kind="instance")] == [5]


def test_a_rolled_back_row_leaves_no_gap(database: Database) -> None:
    note(database, "a", 1)
    with pytest.raises(ZeroDivisionError):
        database.run(write_and_fail)
    note(database, "a", 2)
    journal.sequence(database)
    assert [(entry.seq, entry.snapshot["number"]) for entry in entries(database)] == [(1, 1), (2, 2)]


def test_the_sequencer_is_prodded_once_a_commit_and_never_for_a_rollback(database: Database) -> None:
    prods: list[str] = []
    database.on_journal = lambda: prods.append("journal")
    with database.transaction() as tx:
        for _ in range(2):
            journal.append(tx, kind="note", key="a", occurred_at=NOW, snapshot={})
        tx.after_commit(lambda: prods.append("work"))
        assert prods == []
    assert prods == ["work", "journal"]
    with pytest.raises(ZeroDivisionError):
        database.run(write_and_fail)
    with database.transaction():
        pass
    assert prods == ["work", "journal"]


def test_numbers_have_no_gap_and_keep_each_objects_order_with_many_writers(database: Database) -> None:
    """Writers of several objects, some of which roll back, and two sequencers, all at once."""
    objects = [kept(database, running()) for _ in range(3)]
    locks = [threading.Lock() for _ in objects]  # one writer an object, as a compare and swap would have it
    done = threading.Event()

    def write(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311  a test's own dice
        for _ in range(12):
            which = chance.randrange(len(objects))
            with locks[which]:
                objects[which] = changed(database, objects[which], progress=objects[which].progress + 1)

    def number() -> None:
        while not done.is_set():
            journal.sequence(database, limit=7)

    with ThreadPoolExecutor(6) as pool:
        sequencers = [pool.submit(number) for _ in range(2)]
        writers = [pool.submit(write, seed) for seed in range(4)]
        for writer in writers:
            writer.result()
        done.set()
        for sequencer in sequencers:
            sequencer.result()
    while journal.sequence(database):
        pass
    rows = entries(database)
    assert [row.seq for row in rows] == list(range(1, 3 + 4 * 12 + 1))
    for instance in objects:
        told = [row.snapshot["generation"] for row in rows if row.key == instance.uuid]
        assert told == list(range(1, instance.generation + 1))


def test_a_row_that_commits_late_is_numbered_late(database: Database) -> None:
    """Not with SQLite, where writers follow one another."""
    if database.is_embedded:
        with database.transaction() as tx:
            journal.append(tx, kind="note", key="late", occurred_at=NOW, snapshot={})
        note(database, "early", 1)
        journal.sequence(database)
        assert [entry.key for entry in entries(database)] == ["late", "early"]
        return
    with database.transaction() as tx:
        journal.append(tx, kind="note", key="late", occurred_at=NOW, snapshot={})
        note(database, "early", 1)
        journal.sequence(database)
        assert [entry.key for entry in entries(database)] == ["early"]
    journal.sequence(database)
    assert [(entry.seq, entry.key) for entry in entries(database)] == [(1, "early"), (2, "late")]
    with database.read() as connection:
        ids = connection.scalars(sa.select(table.c.id).order_by(table.c.seq)).all()
    assert ids[0] > ids[1]


def test_the_rows_of_a_project_are_found_among_any_number_of_others(database: Database) -> None:
    with database.transaction() as tx:
        for number in range(50):
            project_id = "p1" if number % 20 == 7 else "p2"
            journal.append(tx, kind="note", key="a", occurred_at=NOW, snapshot={}, project_id=project_id)
    journal.sequence(database)
    with database.read() as connection:
        found = journal.list_entries(connection, after_seq=10, limit=9, project_id="p1")
    assert [entry.seq for entry in found] == [28, 48]


def test_the_rows_of_a_request_are_found_without_looking_through_those_of_its_project(database: Database) -> None:
    with database.transaction() as tx:
        for number in range(50):
            request = asked("req-1" if number % 20 == 7 else f"req-x{number}")
            project_id = "p2" if number == 27 else "p1"
            journal.append(
                tx, kind="note", key="a", occurred_at=NOW, snapshot={}, project_id=project_id, request=request
            )
        journal.append(tx, kind="note", key="a", occurred_at=NOW, snapshot={}, request=asked("req-1"))
    journal.sequence(database)
    seen: list[tuple[str, Any]] = []
    with database.read() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *told: seen.append(told[2:4]))
        find = functools.partial(journal.list_entries, connection, limit=9, request_id="req-1")
        assert [entry.seq for entry in find(after_seq=8)] == [28, 48, 51]
        assert [entry.seq for entry in find(after_seq=0, project_id="p1", kinds=["note"], key="a")] == [8, 48]
        assert find(after_seq=0, project_id="") == []
        if database.dialect == "sqlite":
            statement, parameters = seen[1]
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            assert "ix_journal_request_id" in str(plan)


def test_what_is_old_goes_but_the_newest_row_of_everything_that_is_there(database: Database) -> None:
    living, dead = kept(database, running()), kept(database, running())
    changed(database, living, display_name="new")
    changed(database, dead, vm_state=VmState.DELETED, terminated_at=at(1), deleted_at=at(1))
    with database.transaction() as tx:
        for kind, operation in (("flavor", "create"), ("keypair", "delete"), ("decision", "select_destinations")):
            journal.append(tx, kind=kind, key="a", operation=operation, occurred_at=NOW, snapshot={})
    assert forget(database, before=at(1)) == 0, "rows without a number stay"
    journal.sequence(database)
    note(database, "b", 1)
    assert forget(database, before=NOW) == 0
    assert [forget(database, before=at(1), limit=3) for _ in range(3)] == [3, 2, 0]
    assert {(entry.kind, entry.key) for entry in entries(database)} == {("instance", living.uuid), ("flavor", "a")}
    assert entries(database)[0].snapshot["display_name"] == "new"
    assert journal.sequence(database) == 1
    assert entries(database)[-1].seq == 8, "numbers are never given again"
