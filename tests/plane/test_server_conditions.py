"""Conditions of servers and projects: what is the case, why, since when, and that turns are told."""

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from kilonova.domain.model import after
from kilonova.services.server_facts import Turning
from kilonova.store import journal
from tests.plane.house import House


def _conditions(house: House, path: str, **how: Any) -> dict[str, dict[str, Any]]:
    reply = house.call("GET", f"//state/v1/{path}/conditions", **how)
    assert reply.status_code == 200, reply.text
    return {each["type"]: each for each in reply.json()["conditions"]}


def _told(house: House) -> list[tuple[str, str, str]]:
    journal.sequence(house.cloud.database)
    with house.cloud.database.read() as connection:
        entries = journal.list_entries(connection, after_seq=0, limit=10_000, kind="condition")
    told = [json.loads(entry.snapshot_json) for entry in entries]
    return [(each["type"], each["status"], each["reason"]) for each in told if each["about"] == "server"]


def test_all_is_well_with_a_server_that_runs(house: House) -> None:
    found = _conditions(house, f"servers/{house.boot()['id']}")
    assert {type_: each["status"] for type_, each in found.items()} == {
        "Placed": "True",
        "HostReachable": "True",
        "Waiting": "False",
        "Late": "False",
        "Failed": "False",
        "Deleting": "False",
    }
    house.cloud.plane.tidy()
    assert _told(house) == [], "what is as it should be is no news"


def test_an_operation_that_waits_for_a_host_that_is_down_says_so_and_is_told(house: House) -> None:
    server = house.boot()
    house.at = after(house.at, 90)
    began = house.at
    house.act(server["id"], {"pause": None})
    found = _conditions(house, f"servers/{server['id']}")
    assert (found["HostReachable"]["status"], found["HostReachable"]["reason"]) == ("False", "HostDown")
    assert (found["Waiting"]["status"], found["Waiting"]["reason"]) == ("True", "HostDown")
    assert "'pause' waits" in found["Waiting"]["message"]
    assert found["HostReachable"]["since"] < found["Waiting"]["since"]
    house.cloud.plane.tidy()
    house.at = after(began, 200)
    house.cloud.plane.tidy()
    assert ("Late", "True", "BeyondUsualTime") in _told(house)
    (agent,) = house.cloud.plane.agents
    agent.beat()
    house.cloud.plane.conductor.beats.flush()
    house.settle()
    house.cloud.plane.tidy()
    assert [turn[:2] for turn in _told(house)] == [
        ("Waiting", "True"),
        ("Late", "True"),
        ("Waiting", "False"),
        ("Late", "False"),
    ]


def test_a_server_without_a_host_says_what_every_host_lacked(house: House) -> None:
    with house.cloud.database.transaction() as tx:
        tx.connection.exec_driver_sql("UPDATE compute_nodes SET vcpus = 1, cpu_allocation_ratio = 1.0")
    server = house.boot(flavorRef="5", name="big")
    found = _conditions(house, f"servers/{server['id']}")
    assert (found["Placed"]["status"], found["Placed"]["reason"]) == ("False", "NoCapacity")
    assert found["Placed"]["message"] == "1 candidate, short of 7 vcpus (asked 8, free 1)"
    assert found["Failed"]["reason"] == "NoValidHost"
    house.cloud.plane.tidy()
    assert set(_told(house)) == {("Placed", "False", "NoCapacity"), ("Failed", "True", "NoValidHost")}
    house.cloud.plane.tidy()
    assert len(_told(house)) == 2, "each turn once"


def test_another_project_sees_no_conditions(house: House) -> None:
    server = house.boot()
    house.add_person("eve", "elsewhere", "member")
    reply = house.call("GET", f"//state/v1/servers/{server['id']}/conditions", user="eve", project="elsewhere")
    assert reply.status_code == 404
    home = house.show(server["id"])["tenant_id"]
    reply = house.call("GET", f"//state/v1/projects/{home}/conditions", user="eve", project="elsewhere")
    assert reply.status_code == 403


def test_a_project_says_that_its_limits_are_near_and_that_servers_failed(house: House) -> None:
    first = house.boot(metadata={"sim:fail": "spawn"})
    home = f"projects/{first['tenant_id']}"
    found = _conditions(house, home)
    assert (found["QuotaLeft"]["reason"], found["ServersWell"]["reason"]) == ("Ample", "SomeInError")
    assert found["ServersWell"]["message"] == "1 in error"
    for number in range(8):
        house.boot(f"web{number}")
    assert _conditions(house, home)["QuotaLeft"]["message"] == "9 of 10 instances"
    house.boot("last")
    full = _conditions(house, home)["QuotaLeft"]
    assert (full["status"], full["reason"], full["message"]) == ("False", "Exhausted", "10 of 10 instances")


def _queries(house: House, step: Callable[[], object]) -> int:
    statements: list[str] = []

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        step()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)
    return len(statements)


def test_a_look_at_many_servers_takes_as_many_queries_as_a_look_at_one(house: House) -> None:
    look = Turning(house.cloud.database, house.cloud.plane.now, settings=house.cloud.settings.DEFAULT).step
    house.boot(metadata={"sim:fail": "spawn"})
    look()
    one = _queries(house, look)
    for _ in range(4):
        house.boot(metadata={"sim:fail": "spawn"})
    look()
    assert _queries(house, look) == one
    assert len(_told(house)) == 5
