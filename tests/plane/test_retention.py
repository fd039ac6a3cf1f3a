"""Retention: history goes, and what is there keeps its story's end."""

from kilonova.domain.model import after
from kilonova.services.retention import Keeping, Retention
from kilonova.store import journal, sinks
from kilonova.store.sinks import NewSink
from tests.plane.house import House

DAY = 86400


def _rows(house: House) -> list[tuple[str, str]]:
    shown = house.call("GET", "//state/v1/events?limit=1000").json()["events"]
    return [(event["kind"], event["key"]) for event in shown]


def test_after_its_time_a_server_has_its_newest_row_and_its_newest_decision(house: House) -> None:
    server, gone = house.boot()["id"], house.boot("gone")["id"]
    house.call("DELETE", f"/servers/{gone}")
    house.settle()
    before = _rows(house)
    retention = Retention(house.cloud.database, lambda: house.at, keeping=Keeping(days=30))
    assert not retention.step()
    assert _rows(house) == before
    later = Retention(house.cloud.database, lambda: after(house.at, 31 * DAY), keeping=Keeping(days=30))
    assert not later.step()
    left = _rows(house)
    assert left.count(("instance", server)) == 1
    assert ("instance", gone) not in left
    assert len(set(left)) == len(left)
    assert {kind for kind, _ in before} - {kind for kind, _ in left} == {"decision"}
    for uuid, number in ((server, 1), (gone, 0)):
        assert len(house.call("GET", f"//state/v1/decisions?server={uuid}").json()["decisions"]) == number
    assert house.show(server)["status"] == "ACTIVE"


def test_without_a_retention_everything_stays(house: House) -> None:
    house.boot()
    before = _rows(house)
    Retention(house.cloud.database, lambda: after(house.at, 10_000 * DAY), keeping=Keeping(days=0)).step()
    assert _rows(house) == before


def test_a_journal_that_is_too_large_loses_its_oldest_rows_whatever_their_age(house: House) -> None:
    servers = [house.boot(f"web{number}")["id"] for number in range(3)]
    with house.cloud.database.read() as connection:
        size = journal.extent(connection).bytes
    blob = {"text": "x" * 1_000_000}
    with house.cloud.database.transaction() as tx:
        for _ in range(2):
            journal.append(tx, kind="flavor", key="large", occurred_at=house.at, snapshot=blob)
    house.settle()
    retention = Retention(house.cloud.database, lambda: house.at, keeping=Keeping(days=0, megabytes=1))
    while retention.step():
        pass
    with house.cloud.database.read() as connection:
        extent = journal.extent(connection)
    left = _rows(house)
    assert extent.rows == len(left)
    assert extent.bytes < 1_000_000 + size, "one of the large ones is the newest of its object"
    assert extent.forgotten_seq > 0
    assert {key for kind, key in left if kind == "instance"} == set(servers)


def test_rows_that_a_sink_was_not_told_of_stay_for_its_patience(house: House) -> None:
    server = house.boot()["id"]
    with house.cloud.database.transaction() as tx:
        sinks.add_sink(tx, NewSink(name="slow", kind="file", settings={}, cursor_seq=0), now=house.at)
    before = _rows(house)
    keeping = Keeping(days=30, patience_days=7)
    Retention(house.cloud.database, lambda: after(house.at, 31 * DAY), keeping=keeping).step()
    assert _rows(house) == before
    Retention(house.cloud.database, lambda: after(house.at, 38 * DAY), keeping=keeping).step()
    assert _rows(house).count(("instance", server)) == 1
