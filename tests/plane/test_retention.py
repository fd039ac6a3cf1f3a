"""Retention: history goes, and what is there keeps its story's end."""

from kilonova.domain.model import after
from kilonova.services.retention import Retention
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
    retention = Retention(house.cloud.database, lambda: house.at, days=30)
    assert not retention.step()
    assert _rows(house) == before
    later = Retention(house.cloud.database, lambda: after(house.at, 31 * DAY), days=30)
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
    Retention(house.cloud.database, lambda: after(house.at, 10_000 * DAY), days=0).step()
    assert _rows(house) == before
