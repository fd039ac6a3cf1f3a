"""Bulk reads: counts, the whole fleet in one answer, and lists that tell when they are the same."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kilonova.domain.model import after
from kilonova.store.schema import services
from tests.plane.house import House, lived_in


def _counts(house: House, by: str, **who: Any) -> Any:
    return house.call("GET", f"//state/v1/counts?group_by={by}", **who).json()


def _condition(row: dict[str, Any], type: str) -> dict[str, Any]:
    (found,) = [each for each in row["conditions"] if each["type"] == type]
    return dict(found)


def test_servers_are_counted_by_whatever_is_asked_for(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=2) as house:
        house.add_person("ann", "other", "member")
        for name in ("a", "b", "c"):
            house.boot(name)
        ann = {"user": "ann", "project": "other"}
        server = house.boot("d", **ann)
        house.act(server["id"], {"os-stop": None}, **ann)
        house.settle()
        found = _counts(house, "status")
        assert {row["status"]: row["servers"] for row in found["counts"]} == {"ACTIVE": 3, "SHUTOFF": 1}
        assert found["total"] == {"servers": 4, "vcpus": 4, "memory_mb": 256, "disk_gb": 4}
        demo = house.call("GET", "/servers/detail").json()["servers"][0]["tenant_id"]
        by_project = {row["project"]: row["servers"] for row in _counts(house, "project")["counts"]}
        assert by_project == {demo: 3, server["tenant_id"]: 1}
        by_host = _counts(house, "host,status")["counts"]
        assert sum(row["servers"] for row in by_host) == 4
        assert all(row["host"] for row in by_host)
        assert _counts(house, "az")["counts"][0]["az"] == "nova"
        assert _counts(house, "")["counts"][0]["servers"] == 4


def test_a_tenant_counts_only_their_own_and_not_by_host(house: House) -> None:
    house.add_person("ann", "other", "reader")
    house.boot()
    who = {"user": "ann", "project": "other"}
    assert _counts(house, "status", **who)["counts"] == []
    assert house.call("GET", "//state/v1/counts?group_by=host", **who).status_code == 403
    assert house.call("GET", "//state/v1/counts?group_by=colour", **who).status_code == 400
    assert house.call("GET", "//state/v1/fleet", **who).status_code == 403


def test_the_fleet_is_one_answer_that_agrees_with_novas(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=2, simulate_nodes=3) as house:
        house.boot()
        house.boot()
        found = house.call("GET", "//state/v1/fleet").json()
        assert found["totals"]["services_up"] == len(found["services"]) == 4
        assert len(found["nodes"]) == 6
        nova = house.call("GET", "/os-hypervisors/statistics", version="2.87").json()["hypervisor_statistics"]
        memory = found["totals"]["capacity"]["memory_mb"]
        assert (memory["total"], memory["used"]) == (nova["memory_mb"], nova["memory_mb_used"])
        assert (found["totals"]["servers"], nova["running_vms"], nova["count"]) == (2, 2, 6)
        assert {_condition(node, "AcceptingWork")["status"] for node in found["nodes"]} == {"True"}


def test_dead_and_orphaned_hosts_are_rows_with_a_condition(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=2) as house:
        house.boot()
        house.pass_seconds(61, beating=False)
        with house.cloud.database.transaction() as tx:
            compute = services.c.binary == "nova-compute"
            first = tx.connection.scalar(sa.select(sa.func.min(services.c.id)).where(compute))
            tx.connection.execute(services.delete().where(services.c.id == first))
        found = house.call("GET", "//state/v1/fleet?unwell=true").json()
        orphan, dead = found["nodes"]
        assert _condition(orphan, "HasService")["reason"] == "ServiceMissing"
        assert _condition(dead, "HostReachable")["reason"] == "Silent"
        (service,) = found["services"]
        assert service["state"] == "down"
        hypervisors = house.call("GET", "/os-hypervisors/detail").json()["hypervisors"]
        assert [each["state"] for each in hypervisors] == ["down"]


def test_the_fleet_can_be_asked_about_one_host(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=3) as house:
        host = house.cloud.plane.agents[1].host
        found = house.call("GET", f"//state/v1/fleet?host={host}").json()
        assert {row["host"] for row in (*found["services"], *found["nodes"])} == {host}
        assert found["totals"]["nodes"] == 3


def test_a_list_that_did_not_change_is_told_in_a_few_bytes(house: House) -> None:
    token = {"X-Auth-Token": house.token()}
    tags: dict[str, str] = {}
    for url in ("/compute/v2.1/os-services", "/compute/v2.1/servers/detail", "/state/v1/counts?group_by=status"):
        first = house.raw("GET", url, headers=token)
        again = house.raw("GET", url, headers={**token, "If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
        weak = house.raw("GET", url, headers={**token, "If-None-Match": f'"x", W/{first.headers["ETag"]}'})
        assert weak.status_code == 304
        tags[url] = first.headers["ETag"]
    house.boot()
    for url in ("/compute/v2.1/servers/detail", "/state/v1/counts?group_by=status"):
        changed = house.raw("GET", url, headers={**token, "If-None-Match": tags[url]})
        assert changed.status_code == 200
        assert changed.headers["ETag"] != tags[url]


def test_a_service_with_many_nodes_is_one_service_with_many_hypervisors(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_nodes=3) as house:
        rows = house.call("GET", "/os-hypervisors/detail", version="2.87").json()["hypervisors"]
        assert len(rows) == 3
        assert len({row["service"]["id"] for row in rows}) == 1
        server = house.boot()
        rows = house.call("GET", "/os-hypervisors/detail?with_servers=true", version="2.87").json()["hypervisors"]
        on = [row for row in rows if row["servers"]]
        assert [row["hypervisor_hostname"] for row in on] == [server["OS-EXT-SRV-ATTR:hypervisor_hostname"]]
        assert [row["running_vms"] for row in rows].count(1) == 1


def test_hypervisors_are_found_by_patterns_as_sql_has_them(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=3, DEFAULT={"host": "Rack-7"}) as house:
        for pattern, number in (("rack", 3), ("7_2", 1), ("-3", 1)):
            found = house.call("GET", f"/os-hypervisors?hypervisor_hostname_pattern={pattern}")
            assert len(found.json()["hypervisors"]) == number, pattern
            old = house.call("GET", f"/os-hypervisors/{pattern}/search", version="2.52")
            assert len(old.json()["hypervisors"]) == number
        assert house.call("GET", "/os-hypervisors?hypervisor_hostname_pattern=x").status_code == 404


def test_pages_of_hypervisors_follow_one_another_without_gap_or_repetition(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=7) as house:
        for version in ("2.33", "2.53", "2.96"):
            seen: list[Any] = []
            path: str | None = "/os-hypervisors/detail?limit=3"
            while path:
                body = house.call("GET", path, version=version).json()
                seen += [row["id"] for row in body["hypervisors"]]
                links = body.get("hypervisors_links")
                path = None if not links else "/os-hypervisors/detail?" + links[0]["href"].partition("?")[2]
            assert len(seen) == len(set(seen)) == 7
        assert len(house.call("GET", "/os-hypervisors?limit=3", version="2.32").json()["hypervisors"]) == 7
        unknown = house.call("GET", "/os-hypervisors?marker=00000000-0000-4000-8000-000000000001")
        assert unknown.status_code == 400
        assert house.call("GET", "/os-hypervisors?marker=77", version="2.40").status_code == 400


def test_what_is_in_progress_on_a_node_is_its_workload(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"os-stop": None})
    (row,) = house.call("GET", "/os-hypervisors/detail", version="2.87").json()["hypervisors"]
    assert (row["current_workload"], row["running_vms"]) == (1, 1)
    house.settle()
    (row,) = house.call("GET", "/os-hypervisors/detail", version="2.87").json()["hypervisors"]
    assert (row["current_workload"], row["running_vms"]) == (0, 1)


def test_what_was_taken_of_a_host_is_known_from_before(house: House) -> None:
    (agent,) = house.cloud.plane.agents
    first = house.boot("one")
    _wait(house, 7200)
    house.boot("two")
    _wait(house, 3600)
    house.call("DELETE", f"/servers/{first['id']}")
    house.settle()
    _wait(house, 3600)
    history = house.call("GET", f"//state/v1/fleet/{agent.host}/history?points=25").json()["history"]
    assert [point["servers"] for point in history["points"][-6:]] == [0, 1, 1, 2, 1, 1]
    assert [point["memory_mb"] for point in history["points"][-3:]] == [128, 64, 64]
    assert history["points"][-1]["at"] == history["end"]


def _wait(house: House, seconds: int) -> None:
    """Let time pass at once; the agents are heard of at its end."""
    house.at = after(house.at, seconds)
    house.pass_seconds(1)


def test_a_history_that_makes_no_sense_is_refused(house: House) -> None:
    (agent,) = house.cloud.plane.agents
    house.add_person("ann", "other", "reader")
    path = f"//state/v1/fleet/{agent.host}/history"
    for query in (
        "points=0",
        "points=201",
        "hours=0",
        "hours=9000",
        "start=2100-01-01",
        "start=2001-01-01",
        "start=x",
        "end=2001-01-01&points=x",
        "end=0001-01-01",
        "end=1970-01-01",
    ):
        assert house.call("GET", f"{path}?{query}").status_code == 400, query
    assert house.call("GET", "//state/v1/fleet/nobody/history").status_code == 404
    assert house.call("GET", path, user="ann", project="other").status_code == 403
