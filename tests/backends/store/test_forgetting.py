from kilonova.store import journal
from kilonova.store.database import Database
from kilonova.store.forgetting import forget
from kilonova.store.journal import Topic
from tests.backends.store.worlds import NOW, at


def note(database: Database, key: str, text: str = "", seconds: float = 0, **telling: str) -> None:
    with database.transaction() as tx:
        kind = telling.pop("kind", "note")
        journal.append(tx, kind=kind, key=key, occurred_at=at(seconds), snapshot={"t": text}, **telling)  # type: ignore[arg-type]


def extent(database: Database) -> journal.Extent:
    with database.read() as connection:
        return journal.extent(connection)


def test_what_is_there_is_counted_as_it_is_numbered_and_forgotten(database: Database) -> None:
    for key in "aab":
        note(database, key, "x" * 10)
    assert extent(database).rows == 0
    journal.sequence(database, limit=2)
    journal.sequence(database)
    each = len('{"t":"xxxxxxxxxx"}') + len("{}")
    assert extent(database) == journal.Extent(head=3, rows=3, bytes=3 * each, forgotten_seq=0, forgotten_at=None)
    assert forget(database, before=at(1)) == 1
    assert extent(database) == journal.Extent(head=3, rows=2, bytes=2 * each, forgotten_seq=1, forgotten_at=NOW)


def test_what_is_too_much_goes_oldest_first_whenever_it_was(database: Database) -> None:
    for number in range(6):
        note(database, "ab"[number % 2], seconds=-number)
    journal.sequence(database)
    assert forget(database, before=None, limit=3) == 3
    with database.read() as connection:
        left = journal.list_entries(connection, after_seq=0, limit=9)
        assert journal.oldest_at(connection) == at(-3)
    assert [row.seq for row in left] == [4, 5, 6]
    assert forget(database, before=None) == 1, "the newest rows of what lives stay"
    assert (extent(database).forgotten_seq, extent(database).forgotten_at) == (4, NOW)


def test_rows_that_a_sink_was_not_told_of_stay(database: Database) -> None:
    for _ in range(4):
        note(database, "a")
    journal.sequence(database)
    assert forget(database, before=at(1), up_to_seq=2) == 2
    assert forget(database, before=at(1), up_to_seq=2) == 0


def test_rows_are_picked_by_topics(database: Database) -> None:
    for operation, phase in (("stop", "start"), ("stop", "end"), ("start", "start")):
        note(database, "a", kind="instance", operation=operation, phase=phase)
    note(database, "f", kind="flavor", operation="create")
    journal.sequence(database)

    def found(*topics: Topic) -> list[int | None]:
        with database.read() as connection:
            return [row.seq for row in journal.list_entries(connection, after_seq=0, limit=9, topics=topics)]

    assert found(Topic("instance")) == [1, 2, 3]
    assert found(Topic("instance", "stop")) == [1, 2]
    assert found(Topic("instance", "stop", "end"), Topic("flavor")) == [2, 4]
    assert found() == [1, 2, 3, 4]
