"""The usage audit: every server that lived in a period is told once, whatever happened (contract §10.5, §11.1)."""

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.model import after
from kilonova.notifications import NotificationOptions, render
from kilonova.store import journal
from kilonova.wire.times import spaced, zulu_micros
from tests.plane.house import House, lived_in

_HOUR = 3600


@pytest.fixture
def hourly(tmp_path: Path) -> Any:
    with lived_in(tmp_path, DEFAULT={"instance_usage_audit_period": "hour"}) as house:
        yield house


def _audit(house: House) -> dict[str, Any]:
    reply = house.call("POST", "//state/v1/audits")
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def _told(house: House) -> list[tuple[str, str, str]]:
    """Server, beginning and end of every ``exists`` in the journal."""
    house.settle()
    events = house.call("GET", "//state/v1/events?limit=1000").json()["events"]
    return [
        (
            row["key"],
            zulu_micros(row["facts"]["audit_period_beginning"]),
            zulu_micros(row["facts"]["audit_period_ending"]),
        )
        for row in events
        if row["kind"] == "exists"
    ]


def test_every_server_that_lived_is_told_once_a_period(hourly: House) -> None:
    kept, gone = hourly.boot("kept"), hourly.boot("gone")
    hourly.call("DELETE", f"/servers/{gone['id']}")
    hourly.settle()
    hourly.at = after(hourly.at, 2 * _HOUR)
    assert _audit(hourly)["is_complete"] is True
    _audit(hourly)
    told = _told(hourly)
    assert Counter(told).most_common(1)[0][1] == 1
    assert Counter(uuid for uuid, _, _ in told) == {kept["id"]: 2, gone["id"]: 1}


def test_every_server_is_told_in_both_formats(hourly: House) -> None:
    server = hourly.boot()
    hourly.at = after(hourly.at, _HOUR)
    latest = _audit(hourly)["latest"]
    hourly.settle()
    with hourly.cloud.database.read() as connection:
        rows = journal.list_entries(connection, after_seq=0, limit=1000, kind="exists")
    legacy, versioned = [message for row in rows for message in render(row, NotificationOptions(host="ctl"))]
    assert (legacy.event_type, versioned.event_type) == ("compute.instance.exists", "instance.exists")
    assert legacy.payload["instance_id"] == server["id"]
    assert legacy.payload["audit_period_beginning"] == latest["period_beginning"][:19].replace("T", " ")
    assert versioned.payload["nova_object.data"]["audit_period"]["nova_object.data"] == {
        "audit_period_beginning": latest["period_beginning"][:19] + "Z",
        "audit_period_ending": latest["period_ending"][:19] + "Z",
    }


def test_periods_that_passed_while_nothing_ran_are_told_late(hourly: House) -> None:
    server = hourly.boot()
    hourly.at = after(hourly.at, 24 * _HOUR)
    while not _audit(hourly)["is_complete"]:
        pass
    told = sorted(_told(hourly))
    assert len(told) == 24
    assert all(uuid == server["id"] for uuid, _, _ in told)
    assert all(one[2] == other[1] for one, other in itertools.pairwise(told))


def test_a_server_that_never_ran_is_not_told(hourly: House) -> None:
    server = {"name": "late", "flavorRef": "42", "imageRef": hourly.image_id(), "networks": "none"}
    assert hourly.call("POST", "/servers", {"server": server}).status_code == 202
    hourly.at = after(hourly.at, 2 * _HOUR)
    _audit(hourly)
    with hourly.cloud.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM journal WHERE kind = 'exists'").scalar() == 0


def test_a_manifest_says_how_many_there_were_and_of_whom(hourly: House) -> None:
    hourly.boot("one")
    hourly.boot("two")
    hourly.at = after(hourly.at, _HOUR)
    latest = _audit(hourly)["latest"]
    assert latest["servers"] == 2
    hourly.settle()
    (manifest,) = [
        row for row in hourly.call("GET", "//state/v1/events?limit=1000").json()["events"] if row["kind"] == "audit"
    ]
    assert manifest["snapshot"]["digest"] == latest["digest"]
    verified = hourly.call("GET", f"//state/v1/audits/{latest['period_beginning']}/verify").json()
    assert (verified["is_complete"], verified["lived"], verified["told"]) == (True, 2, 2)


def test_a_lost_record_is_found_missing(hourly: House) -> None:
    server = hourly.boot()
    hourly.at = after(hourly.at, _HOUR)
    latest = _audit(hourly)["latest"]
    with hourly.cloud.database.transaction() as tx:
        tx.connection.exec_driver_sql("DELETE FROM audit_records")
    verified = hourly.call("GET", f"//state/v1/audits/{latest['period_beginning']}/verify").json()
    assert (verified["is_complete"], verified["missing"]) == (False, [server["id"]])


@pytest.mark.parametrize(
    "path, status",
    [("yesterday/verify", 400), ("2001-01-01T00:00:00Z/verify", 404), ("2001-01-01/verify?end=x", 400)],
)
def test_a_period_that_is_none_is_refused(hourly: House, path: str, status: int) -> None:
    assert hourly.call("GET", f"//state/v1/audits/{path}").status_code == status


def test_audits_are_for_administrators(hourly: House) -> None:
    hourly.add_person("mia", "demo", "member")
    for method, path in (("GET", "audits"), ("POST", "audits"), ("GET", "books")):
        assert hourly.call(method, f"//state/v1/{path}", user="mia").status_code == 403


def test_the_log_tells_that_a_host_has_not_run(hourly: House) -> None:
    hourly.boot()
    found = hourly.call("GET", "/os-instance_usage_audit_log").json()["instance_usage_audit_logs"]
    assert (found["num_hosts"], found["num_hosts_not_run"], found["log"]) == (1, 1, {})
    assert found["overall_status"] == "0 of 1 hosts done. 0 errors."


def test_the_log_tells_what_hosts_told(hourly: House) -> None:
    hourly.boot()
    hourly.at = after(hourly.at, _HOUR)
    _audit(hourly)
    found = hourly.call("GET", "/os-instance_usage_audit_log").json()["instance_usage_audit_logs"]
    (host,) = found["log"]
    assert found["log"][host]["state"] == "DONE"
    assert found["log"][host]["message"].startswith(f"Instance usage audit ran for host {host}, 1 instances in ")
    assert (found["num_hosts_done"], found["total_instances"]) == (1, 1)
    assert found["overall_status"] == "ALL hosts done. 0 errors."
    before = hourly.call("GET", f"/os-instance_usage_audit_log/{spaced(hourly.at)}").json()
    assert before == {"instance_usage_audit_log": found}


def test_a_time_that_is_none_is_refused_in_novas_words(hourly: House) -> None:
    reply = hourly.call("GET", "/os-instance_usage_audit_log/2012-07-05T10:00:00")
    assert reply.status_code == 400
    assert reply.json()["badRequest"]["message"] == "Invalid timestamp for date 2012-07-05T10:00:00"
