"""The audit's records and the exact sums, on every database."""

import threading

import pytest

from kilonova.domain.audit import Period
from kilonova.domain.exact_usage import GROUPS
from kilonova.domain.model import Instance
from kilonova.domain.usage import Window
from kilonova.store import audit, discrepancies
from kilonova.store.database import Database
from kilonova.store.exact_usage import list_differences, list_exact_usage
from tests.backends.store.worlds import Story, at, draft

_HOUR = 3600
_PERIOD = Period(at(0), at(10 * _HOUR))


def _lived(database: Database, *, launched: float, stopped: float | None = None, **fields: object) -> Instance:
    """A server that was launched, and maybe stopped, so many hours into the test's time."""
    story = Story(database, draft(host="h1", **fields), "create").accept(at(launched * _HOUR - 2))
    story = story.start(at(launched * _HOUR - 1)).end(at(launched * _HOUR))
    if stopped is None:
        return story.instance
    stop = Story(database, story.instance, "stop").accept(at(stopped * _HOUR)).start(at(stopped * _HOUR))
    return stop.end(at(stopped * _HOUR)).instance


def _begun(database: Database, period: Period = _PERIOD) -> audit.AuditRun:
    with database.transaction() as tx:
        assert audit.begin_run(tx, period, now=at(0))
    with database.read() as connection:
        run = audit.find_unfinished_run(connection)
    assert run is not None
    return run


def _tell_all(database: Database, run: audit.AuditRun, *, limit: int = 2) -> int:
    told = 0
    while True:
        with database.transaction() as tx:
            batch = audit.tell_batch(tx, run, now=at(1), limit=limit)
        told += batch
        if batch == 0:
            return told


def test_a_period_is_begun_once(database: Database) -> None:
    _begun(database)
    with database.transaction() as tx:
        assert not audit.begin_run(tx, _PERIOD, now=at(0))


def test_everyone_who_lived_is_told_in_batches(database: Database) -> None:
    wanted = {_lived(database, launched=hour).uuid for hour in range(1, 6)}
    _lived(database, launched=11)
    run = _begun(database)
    assert _tell_all(database, run) == 5
    with database.read() as connection:
        (done,) = audit.list_runs(connection)
        result = audit.reconcile(connection, done)
        assert audit.count_told_by_host(connection, done) == {"h1": 5}
    assert done.finished_at is not None
    assert (result.is_complete, result.told, result.digest) == (True, len(wanted), done.digest)


def test_two_who_tell_at_once_tell_each_server_once(database: Database) -> None:
    for hour in range(1, 9):
        _lived(database, launched=hour)
    run = _begun(database)
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(_tell_all(database, run, limit=1))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 8
    with database.read() as connection:
        assert audit.reconcile(connection, run).told == 8


def test_sums_are_clipped_to_the_window(database: Database) -> None:
    _lived(database, launched=1, stopped=4, vcpus=2)
    with database.read() as connection:
        found = list_exact_usage(connection, Window(at(2 * _HOUR), at(6 * _HOUR)), by=("state",))
    told = {row.by["state"]: (row.amount.hours, row.amount.vcpu_hours) for row in found}
    assert told == {"active": (2.0, 4.0), "stopped": (2.0, 4.0)}


@pytest.mark.parametrize("group", GROUPS)
def test_however_it_is_grouped_the_sum_is_the_same(database: Database, group: str) -> None:
    for hour in range(1, 5):
        _lived(database, launched=hour * 7, stopped=hour * 7 + 3, project_id=f"p{hour % 2}")
    window = Window(at(0), at(100 * _HOUR))
    with database.read() as connection:
        (whole,) = list_exact_usage(connection, window, by=())
        parts = list_exact_usage(connection, window, by=(group,))
    assert sum(part.amount.hours for part in parts) == pytest.approx(whole.amount.hours)
    assert sum(part.amount.memory_mb_hours for part in parts) == pytest.approx(whole.amount.memory_mb_hours)


def test_nova_and_the_segments_agree_where_nothing_happened(database: Database) -> None:
    _lived(database, launched=1, stopped=4)
    with database.read() as connection:
        (found,) = list_differences(connection, Window(at(0), at(10 * _HOUR)))
    assert found.nova.hours == pytest.approx(found.exact.hours) == pytest.approx(9.0)
    assert found.unexplained.hours == pytest.approx(0.0)
    assert found.idle["stopped"].hours == pytest.approx(6.0)


def test_the_books_agree(database: Database) -> None:
    _lived(database, launched=1, stopped=4)
    with database.read() as connection:
        assert [each.count for each in discrepancies.list_discrepancies(connection)] == [0] * 6
