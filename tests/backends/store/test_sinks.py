import pytest

from kilonova.domain.errors import Conflict, NotFound
from kilonova.store import deliveries, sinks
from kilonova.store.database import Database
from kilonova.store.deliveries import Attempt
from kilonova.store.sinks import Missed, NewSink, SinkRecord
from tests.backends.store.worlds import NOW, at


def made(database: Database, name: str = "amqp", cursor_seq: int = 0) -> SinkRecord:
    new = NewSink(name=name, kind="amqp", settings={"transport_url": "rabbit://"}, cursor_seq=cursor_seq)
    with database.transaction() as tx:
        return sinks.add_sink(tx, new, now=NOW)


def leased(database: Database, it: SinkRecord, owner: str, seconds: float = 0) -> SinkRecord | None:
    with database.transaction() as tx:
        return sinks.lease_sink(tx, it.id, owner=owner, now=at(seconds), until=at(seconds + 30))


def advanced(database: Database, it: SinkRecord, to_seq: int, seconds: float = 1) -> bool:
    with database.transaction() as tx:
        return sinks.advance_sink(tx, it, to_seq=to_seq, messages=2, now=at(seconds), until=at(seconds + 30))


def test_a_name_is_given_once(database: Database) -> None:
    made(database)
    with pytest.raises(Conflict, match="There is a sink amqp already"):
        made(database)


def test_only_one_owner_has_a_sink_until_the_lease_runs_out(database: Database) -> None:
    it = made(database)
    mine = leased(database, it, "a")
    assert mine is not None
    assert leased(database, it, "b", 29) is None
    assert leased(database, it, "a", 29) is not None, "its owner may renew it"
    taken = leased(database, it, "b", 60)
    assert taken is not None
    assert not advanced(database, mine, 5), "who lost the lease moves nothing"
    assert advanced(database, taken, 7)
    with database.transaction() as tx:
        sinks.release_sinks(tx, owner="b")
    after = leased(database, it, "a", 61)
    assert after is not None
    assert (after.cursor_seq, after.delivered, after.delivered_at) == (7, 2, at(1))


def test_a_rewind_is_not_overwritten_by_who_was_at_work(database: Database) -> None:
    it = leased(database, made(database, cursor_seq=10), "a")
    assert it is not None
    with database.transaction() as tx:
        sinks.move_sink(tx, "amqp", to_seq=3)
    assert not advanced(database, it, 12)
    again = leased(database, it, "a")
    assert again is not None
    assert again.cursor_seq == 3


def test_a_paused_sink_is_nobodys_and_goes_on_without_its_old_troubles(database: Database) -> None:
    it = leased(database, made(database), "a")
    assert it is not None
    with database.transaction() as tx:
        sinks.note_failure(tx, it, error="refused", now=NOW, retry_at=at(8))
        sinks.note_failure(tx, it, error="refused again", now=at(8), retry_at=at(24))
    with database.read() as connection:
        failed = sinks.get_sink(connection, "amqp")
    assert (failed.failures, failed.last_error, failed.retry_at) == (2, "refused again", at(24))
    with database.transaction() as tx:
        sinks.pause_sink(tx, "amqp", is_paused=True)
    assert leased(database, it, "a") is None
    with database.transaction() as tx:
        resumed = sinks.pause_sink(tx, "amqp", is_paused=False)
    assert (resumed.failures, resumed.last_error, resumed.retry_at) == (0, None, None)


def test_gaps_are_kept_with_their_reasons_and_go_with_the_sink(database: Database) -> None:
    it, other = made(database), made(database, "file", cursor_seq=4)
    with database.transaction() as tx:
        sinks.add_gap(tx, it.id, Missed(after_seq=2, to_seq=9, missing=6, reason="forgotten"), now=NOW)
        sinks.add_gap(tx, it.id, Missed(after_seq=11, to_seq=12, missing=1, reason="no words"), now=NOW)
    with database.read() as connection:
        assert [gap.missing for gap in sinks.list_gaps(connection, it.id)] == [1, 6]
        assert sinks.count_missing(connection) == {it.id: 7}
        assert sinks.lowest_cursor(connection) == 0
    with database.transaction() as tx:
        sinks.delete_sink(tx, "amqp")
    with database.read() as connection:
        assert [each.name for each in sinks.list_sinks(connection)] == ["file"]
        assert sinks.lowest_cursor(connection) == other.cursor_seq
        with pytest.raises(NotFound):
            sinks.get_sink(connection, "amqp")


def attempt(answer: str, *, is_delivered: bool = True) -> Attempt:
    return Attempt(is_delivered=is_delivered, answer=answer, messages=3, at=NOW, took_micros=5)


def test_attempts_at_the_same_rows_are_one_entry_of_the_log(database: Database) -> None:
    it = made(database)
    with database.transaction() as tx:
        for answer in ("500", "503"):
            deliveries.note_attempt(tx, it.id, attempt(answer, is_delivered=False), after_seq=0, to_seq=5)
        deliveries.note_attempt(tx, it.id, attempt("200"), after_seq=0, to_seq=7)
        deliveries.note_attempt(tx, it.id, attempt("204"), after_seq=7, to_seq=9)
    with database.read() as connection:
        log = deliveries.list_deliveries(connection, it.id)
    told = [(each.after_seq, each.to_seq, each.state, each.attempts, each.answer) for each in log]
    assert told == [(7, 9, "delivered", 1, "204"), (0, 7, "delivered", 3, "200")]


def test_what_is_wanted_again_waits_until_it_was_delivered(database: Database) -> None:
    it = made(database)
    with database.transaction() as tx:
        first = deliveries.want_again(tx, it.id, after_seq=0, to_seq=5, now=NOW)
    with database.read() as connection:
        wanted = deliveries.next_wanted(connection, it.id)
    assert wanted is not None
    assert wanted.id == first
    with database.transaction() as tx:
        deliveries.note_wanted(tx, wanted, attempt("refused", is_delivered=False))
    with database.read() as connection:
        wanted = deliveries.next_wanted(connection, it.id)
    assert wanted is not None
    with database.transaction() as tx:
        deliveries.note_wanted(tx, wanted, attempt("200"))
    with database.read() as connection:
        assert deliveries.next_wanted(connection, it.id) is None
        kept = deliveries.get_delivery(connection, it.id, first)
    assert (kept.state, kept.attempts, kept.is_again) == ("delivered", 2, True)
