"""Exact usage from segments, why Nova's report differs, and the books."""

import csv
import io
from typing import Any

import pytest

from kilonova.domain.model import after
from kilonova.wire.times import zulu_micros
from tests.plane.house import House

_HOUR = 3600


def _at(house: House, hours: float) -> str:
    return zulu_micros(after(house.at, hours * _HOUR))


def _usage(house: House, query: str = "", **how: Any) -> list[dict[str, Any]]:
    reply = house.call("GET", f"//state/v1/usage?start={_at(house, -48)}&{query}", **how)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["usage"]
    return found


def _stop(house: House, server: dict[str, Any]) -> None:
    house.act(server["id"], {"os-stop": None})
    house.settle()


def test_usage_is_told_by_state(house: House) -> None:
    server = house.boot(flavorRef="2")
    house.at = after(house.at, 2 * _HOUR)
    _stop(house, server)
    house.at = after(house.at, 3 * _HOUR)
    by_state = {row["state"]: row for row in _usage(house, "group_by=state")}
    assert by_state["active"]["hours"] == pytest.approx(2, abs=0.01)
    assert by_state["stopped"]["hours"] == pytest.approx(3, abs=0.01)
    assert by_state["active"]["memory_mb_hours"] == pytest.approx(2048 * 2, rel=0.01)
    assert by_state["active"]["servers"] == 1


def test_usage_is_told_by_day(house: House) -> None:
    house.boot(flavorRef="2")
    house.at = after(house.at, 30 * _HOUR)
    rows = _usage(house, "group_by=day,project")
    assert sum(row["hours"] for row in rows) == pytest.approx(30, abs=0.01)
    assert len(rows) in {2, 3}
    assert all(row["hours"] <= 24 for row in rows)
    assert [row["day"] for row in rows] == sorted(row["day"] for row in rows)


def test_what_was_deleted_counts_until_then(house: House) -> None:
    server = house.boot()
    house.at = after(house.at, _HOUR)
    house.call("DELETE", f"/servers/{server['id']}")
    house.settle()
    house.at = after(house.at, 5 * _HOUR)
    (row,) = _usage(house)
    assert row["hours"] == pytest.approx(1, abs=0.01)


def test_a_table_for_spreadsheets_is_made(house: House) -> None:
    house.boot()
    house.at = after(house.at, _HOUR)
    reply = house.call("GET", f"//state/v1/usage?start={_at(house, -48)}&group_by=flavor&format=csv")
    assert reply.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(reply.text))
    assert float(row["hours"]) == pytest.approx(1, abs=0.01)


def test_a_rebuild_explains_why_nova_forgot_what_was_before(house: House) -> None:
    server = house.boot(flavorRef="2")
    house.at = after(house.at, 4 * _HOUR)
    house.act(server["id"], {"rebuild": {"imageRef": house.image_id()}})
    house.settle()
    house.at = after(house.at, _HOUR)
    _stop(house, server)
    house.at = after(house.at, _HOUR)
    reply = house.call("GET", f"//state/v1/usage/difference?start={_at(house, -48)}").json()
    (found,) = reply["differences"]
    assert found["exact"]["hours"] == pytest.approx(6, abs=0.01)
    assert found["nova"]["hours"] == pytest.approx(2, abs=0.01)
    assert found["before_launch"]["hours"] == pytest.approx(4, abs=0.01)
    assert found["idle"]["stopped"]["hours"] == pytest.approx(1, abs=0.01)
    assert set(found["unexplained"].values()) == {0.0}


def test_a_tenant_sees_what_is_theirs(house: House) -> None:
    house.boot()
    house.add_person("mia", "hers", "reader")
    house.at = after(house.at, _HOUR)
    assert _usage(house, user="mia", project="hers") == []
    assert len(_usage(house)) == 1
    own = house.boot(user="admin", project="demo")["tenant_id"]
    assert house.call("GET", f"//state/v1/usage?project={own}", user="mia", project="hers").status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "start=yesterday",
        "start=2026-11-02&end=2026-11-01",
        "start=2999-01-01",
        "group_by=host",
        "start=2000-01-01&group_by=day",
        "format=xml",
        "unknown=1",
    ],
)
def test_what_makes_no_sense_is_refused(house: House, query: str) -> None:
    assert house.call("GET", f"//state/v1/usage?{query}").status_code == 400


def test_the_books_agree(house: House) -> None:
    house.boot()
    _stop(house, house.boot("second"))
    found = house.call("GET", "//state/v1/books").json()
    assert found["drift"] == 0
    assert len(found["checks"]) == 6


def test_what_the_books_find_is_a_metric(house: House) -> None:
    house.boot()
    with house.cloud.database.transaction() as tx:
        tx.connection.exec_driver_sql("UPDATE compute_nodes SET vcpus_used = 7")
    house.cloud.plane.monitor.recount()
    scraped = house.call("GET", "//metrics").text
    assert "kilonova_books_drift 1" in scraped


@pytest.mark.parametrize(
    "spoil, check",
    [
        ("UPDATE usage_segments SET ended_at = started_at - 1", "negative_segments"),
        ("UPDATE usage_segments SET vcpus = 99", "servers_billed_for_what_they_are_not"),
        ("UPDATE compute_nodes SET vcpus_used = 7", "nodes_that_drifted_from_their_claims"),
        (
            (
                "INSERT INTO usage_segments"
                " (instance_uuid, project_id, flavor_name, vcpus, memory_mb, disk_gb, vm_state, started_at)"
                " SELECT instance_uuid, project_id, flavor_name, vcpus, memory_mb, disk_gb, vm_state, started_at"
                " FROM usage_segments"
            ),
            "overlapping_segments",
        ),
    ],
)
def test_the_books_find_what_a_hand_broke(house: House, spoil: str, check: str) -> None:
    house.boot()
    with house.cloud.database.transaction() as tx:
        tx.connection.exec_driver_sql(spoil)
    found = {each["check"]: each for each in house.call("GET", "//state/v1/books").json()["checks"]}
    assert found[check]["count"] >= 1
    assert found[check]["examples"]


def test_a_clock_that_jumped_back_makes_no_negative_hours(house: House) -> None:
    server = house.boot()
    house.at = after(house.at, -2 * _HOUR)
    house.call("DELETE", f"/servers/{server['id']}")
    house.settle()
    house.at = after(house.at, 5 * _HOUR)
    assert [row["hours"] for row in _usage(house)] in ([], [0.0])
    assert house.call("GET", "//state/v1/books").json()["drift"] == 0
