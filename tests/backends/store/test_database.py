"""Transactions on every database: whole or not at all, and what is told when the database cannot."""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from kilonova.domain.errors import Invalid, NotFound, StaleRecord, StoreUnusable, Unavailable
from kilonova.domain.model import Instance
from kilonova.store import journal
from kilonova.store.database import Database, Transaction
from kilonova.store.failures import Contention
from kilonova.store.instances import InstanceQuery, get_instance, list_instances
from kilonova.store.schema import journal_head, services
from tests.backends.store.worlds import NOW, changed, draft, kept, running
from tests.waiting import wait_until


def test_a_read_cannot_write(database: Database) -> None:
    with database.read() as connection, pytest.raises(sa.exc.DBAPIError):
        connection.execute(journal_head.update().values(seq=7))
    with database.read() as connection:
        assert journal.head(connection) == 0


def test_a_read_sees_what_was_committed_in_the_meantime(database: Database) -> None:
    with database.read() as connection:
        instance = kept(database)
        assert get_instance(connection, instance.uuid) == instance
        later = changed(database, instance, display_name="later")
        assert get_instance(connection, instance.uuid) == later


def test_a_transaction_sees_itself_and_nobody_else_does(database: Database) -> None:
    with database.transaction() as tx, database.read() as other:
        journal.append(tx, kind="note", key="a", occurred_at=NOW, snapshot={})
        assert journal.pending(tx.connection) == 1
        assert journal.pending(other) == 0


def test_work_after_the_commit_is_done_in_order_and_stands_alone(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError

    with database.transaction() as tx:
        for work in (lambda: done.append("first"), fail, lambda: done.append("second")):
            tx.after_commit(work)
    assert done == ["first", "second"]
    assert "the commit stands" in caplog.text


def test_nothing_is_done_after_a_rollback(database: Database) -> None:
    done: list[str] = []

    def work(tx: Transaction) -> None:
        tx.after_commit(lambda: done.append("never"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.run(work)
    assert done == []


def test_of_several_writers_of_one_instance_one_wins_each_generation(database: Database) -> None:
    instance = kept(database, running())
    barrier = threading.Barrier(4)

    def write(number: int) -> Instance | None:
        barrier.wait()
        try:
            return changed(database, instance, progress=number)
        except StaleRecord:
            return None

    with ThreadPoolExecutor(4) as pool:
        won = [saved for saved in pool.map(write, range(1, 5)) if saved]
    assert len(won) == 1
    with database.read() as connection:
        assert get_instance(connection, instance.uuid) == won[0]


def test_deadlocks_are_resolved_by_doing_one_again(database: Database) -> None:
    """Two transactions that take two rows in opposite order; with SQLite they follow one another anyway."""
    with database.transaction() as tx:
        for host in ("a", "b"):
            row = {"uuid": host, "binary": "x", "host": host, "report_count": 0, "created_at": NOW, "version": 1}
            tx.connection.execute(services.insert().values(**row))
    barrier = threading.Barrier(2)
    tries: list[str] = []

    def count(tx: Transaction, host: str) -> None:
        added = services.c.report_count + 1
        tx.connection.execute(services.update().where(services.c.host == host).values(report_count=added))

    def both(order: str) -> None:
        def work(tx: Transaction) -> None:
            is_first_try = order not in tries
            tries.append(order)
            count(tx, order[0])
            if is_first_try and not database.is_embedded:
                barrier.wait()
            count(tx, order[1])

        database.run(work)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(both, ["ab", "ba"]))
    with database.read() as connection:
        assert connection.scalars(sa.select(services.c.report_count)).all() == [2, 2]
    # The one that is done again may meet the other once more, before that has what it waits for.
    assert len(tries) == 2 if database.is_embedded else len(tries) >= 3


def test_contention_is_told_after_the_last_attempt(database: Database) -> None:
    tries: list[int] = []

    def work(_tx: Transaction) -> None:
        tries.append(1)
        raise Contention("busy")

    with pytest.raises(Unavailable):
        database.run(work, attempts=3)
    assert len(tries) == 3


@pytest.mark.parametrize("text", ["\x00", "a\x00b"])
def test_a_nul_is_refused_or_not_found_and_never_a_crash(database: Database, text: str) -> None:
    with pytest.raises((Invalid, NotFound)), database.read() as connection:
        get_instance(connection, text)


def test_half_a_surrogate_pair_is_invalid(database: Database) -> None:
    with pytest.raises(Invalid):
        kept(database, draft(display_name="\ud800"))
    with pytest.raises(Invalid), database.read() as connection:
        get_instance(connection, "\udfff")


def test_injections_are_texts(database: Database) -> None:
    nasty = "'; DROP TABLE instances; -- %s ? :x"
    instance = kept(database, draft(display_name=nasty))
    with database.read() as connection:
        (found,) = list_instances(connection, InstanceQuery(equals={"display_name": nasty}))
        assert found == instance
        with pytest.raises(NotFound):
            get_instance(connection, nasty)


def test_names_that_differ_in_case_or_blanks_are_different(database: Database) -> None:
    kept(database, draft(display_name="a"))
    with database.read() as connection:
        assert list_instances(connection, InstanceQuery(equals={"display_name": "A"})) == []


def test_a_server_that_does_not_answer_is_unusable(dialect: str) -> None:
    if dialect == "sqlite":
        return
    driver = {"postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}[dialect]
    database = Database(f"{driver}://me:s3cret@127.0.0.1:1/nowhere")
    with pytest.raises(StoreUnusable) as refusal:
        database.open()
    assert "s3cret" not in refusal.value.message
    assert "\n" not in refusal.value.message
    with pytest.raises(Unavailable, match="does not answer"), database.read():
        pass
    with pytest.raises(Unavailable, match="does not answer"), database.transaction():
        pass


def test_sessions_that_the_server_ended_are_replaced_before_anybody_notices(database: Database) -> None:
    """A server that was restarted: the very first read afterwards works, and so does every write."""
    if database.is_embedded:
        return
    instance = kept(database)
    own = {"postgresql": "SELECT pg_backend_pid()", "mariadb": "SELECT CONNECTION_ID()"}[database.dialect]
    victims = set()
    database.close()
    with database.read() as first, database.read() as second:
        victims |= {first.scalar(sa.text(own)), second.scalar(sa.text(own))}
    with database.transaction() as tx:
        victims.add(tx.connection.scalar(sa.text(own)))
    end_sessions(database, victims)
    with database.read() as connection:
        assert get_instance(connection, instance.uuid) == instance
        with database.read() as another:
            assert get_instance(another, instance.uuid) == instance
    changed(database, instance, display_name="still there")


def end_sessions(database: Database, victims: set[int]) -> None:
    """End them from outside, and wait until they are gone."""
    kill = {"postgresql": "SELECT pg_terminate_backend(:id)", "mariadb": "KILL :id"}[database.dialect]
    count = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE pid = :id",
        "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE id = :id",
    }[database.dialect]
    admin = sa.create_engine(database.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        for victim in victims:
            connection.execute(sa.text(kill), {"id": victim})
        for victim in victims:
            wait_until(
                lambda victim=victim: not connection.scalar(sa.text(count), {"id": victim}),  # type: ignore[misc]
                f"session {victim} to end",
            )


def test_what_an_unforeseen_error_tells_has_no_value_that_was_written(database: Database) -> None:
    """The log gets the whole traceback of what nobody foresaw; a user's data must not be in it."""
    secret = "hunter2-in-user-data"
    with pytest.raises(sa.exc.DBAPIError) as error:
        kept(database, draft(user_data=secret, display_name=secret, deleted_at=NOW))
    assert secret not in "".join(traceback.format_exception(error.value))
    assert "deleted_is_final" in str(error.value)


@pytest.mark.parametrize(
    "url, sentence",
    [
        ("nonsense", "is not a database URL"),
        ("oracle://x/y", "is not a database that Kilonova knows"),
        ("postgresql+nodriver://x/y", "is not a driver that SQLAlchemy knows"),
        ("mysql+mysqldb://x/y", "needs the Python module MySQLdb, which is not installed"),
    ],
)
def test_urls_that_make_no_sense_are_refused(url: str, sentence: str) -> None:
    with pytest.raises(StoreUnusable, match=sentence):
        Database(url)
