"""What servers used lately: as heartbeats carried it, with its age, bounded, and for nobody's eyes but the owner's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.model import after
from tests.plane.house import House, lived_in
from tests.plane.moving import lose


def sample(house: House, *, seconds: int = 10, beats: bool = True) -> None:
    """Let time pass, on every guest too, and every agent count its guests and say so."""
    house.at = after(house.at, seconds)
    for agent in house.cloud.plane.agents:
        for guest in vars(agent.driver)["_guests"].values():
            guest.booted_at -= seconds
        agent.sampler.step()
        if beats:
            agent.beat()


def stats(house: House, server_id: str, query: str = "", **how: Any) -> Any:
    """What is told of the server."""
    reply = house.call("GET", f"//state/v1/servers/{server_id}/stats{query}", **how)
    assert reply.status_code == 200, reply.text
    return reply.json()["stats"]


def test_points_come_with_rates_and_the_newest_count_with_its_age(house: House) -> None:
    server = house.boot(networks="auto")["id"]
    for _ in range(3):
        sample(house)
    house.at = after(house.at, 4)
    told = stats(house, server)
    assert (told["server_id"], told["interval_seconds"], told["is_running"]) == (server, 10, True)
    assert told["age_seconds"] == 4
    first, second, third = told["points"]
    assert first["rates"] is None
    assert first["at"] < second["at"] < third["at"]
    assert second["cpu_seconds"] > first["cpu_seconds"] > 0
    assert second["rates"]["seconds"] == 10
    assert 0 < second["rates"]["cpu_percent"] < 100
    assert second["rates"]["disk_write_bytes_per_second"] > 0
    assert second["rates"]["rx_packets_per_second"] > 0
    assert told["average"]["seconds"] == 20
    assert told["newest"]["disks"][0]["device"] == "vda"
    assert told["newest"]["nics"][0]["rx_bytes"] > 0
    assert told["newest"]["memory"]["used_mb"] <= told["newest"]["memory"]["maximum_mb"]
    assert stats(house, server, "?limit=1")["points"] == [{**third, "rates": None}]


def test_a_new_start_has_no_rates_and_begins_the_average_anew(house: House) -> None:
    server = house.boot()["id"]
    sample(house, seconds=100)
    sample(house)
    house.driver().reboot(server, hard=True, timeout_seconds=0)
    sample(house)
    sample(house)
    told = stats(house, server)
    assert [point["rates"] is None for point in told["points"]] == [True, False, True, False]
    assert told["average"]["seconds"] == 10


def test_a_server_that_is_off_keeps_what_was_counted_while_it_ran(house: House) -> None:
    server = house.boot()["id"]
    sample(house)
    house.act(server, {"os-stop": None})
    house.settle()
    sample(house)
    told = stats(house, server)
    assert told["is_running"] is False
    assert len(told["points"]) == 1
    assert told["age_seconds"] >= 10
    assert house.call("GET", f"/servers/{server}/diagnostics").status_code == 409


def test_a_server_of_which_nothing_was_counted_has_nothing_to_show(house: House) -> None:
    told = stats(house, house.boot()["id"])
    assert told["points"] == []
    assert (told["is_running"], told["newest"], told["average"], told["age_seconds"]) == (None, None, None, None)


def test_only_its_project_and_administrators_see_what_a_server_used(house: House) -> None:
    server = house.boot()["id"]
    house.add_person("rae", "demo", "reader")
    house.add_person("eve", "elsewhere", "member")
    sample(house)
    assert stats(house, server, user="rae")["points"]
    path = f"//state/v1/servers/{server}/stats"
    assert house.call("GET", path, user="eve", project="elsewhere").status_code == 404
    assert house.raw("GET", path[1:]).status_code == 401


@pytest.mark.parametrize("query", ["?limit=0", "?limit=10001", "?limit=-1", "?limit=x", "?host=h"])
def test_a_query_that_makes_no_sense_is_refused(house: House, query: str) -> None:
    server = house.boot()["id"]
    assert house.call("GET", f"//state/v1/servers/{server}/stats{query}").status_code == 400


def test_diagnostics_are_answered_from_a_fresh_count_with_its_age(house: House) -> None:
    server = house.boot()["id"]
    sample(house)
    house.driver().diagnose = lambda _: pytest.fail("the host was asked")  # type: ignore[method-assign,assignment]
    house.at = after(house.at, 7)
    for version in ("2.47", "2.96"):
        reply = house.call("GET", f"/servers/{server}/diagnostics", version=version)
        assert (reply.status_code, reply.headers["Age"]) == (200, "7")


def test_diagnostics_ask_the_host_where_the_count_is_old_or_the_server_changed(house: House) -> None:
    server = house.boot()["id"]
    sample(house)
    house.at = after(house.at, 21)
    for agent in house.cloud.plane.agents:
        agent.beat()
    house.cloud.plane.conductor.beats.flush()
    assert house.call("GET", f"/servers/{server}/diagnostics").headers["Age"] == "0"
    sample(house)
    house.act(server, {"reboot": {"type": "HARD"}})
    house.settle()
    assert house.call("GET", f"/servers/{server}/diagnostics").headers["Age"] == "0"


def test_of_a_host_that_is_down_there_is_the_last_count(house: House) -> None:
    server = house.boot()["id"]
    sample(house)
    lose(house, house.cloud.settings.DEFAULT.host)
    house.at = after(house.at, 300)
    reply = house.call("GET", f"/servers/{server}/diagnostics")
    assert (reply.status_code, reply.headers["Age"]) == (200, "300")
    assert reply.json()["state"] == "running"
    assert stats(house, server)["age_seconds"] == 300


def test_what_no_heartbeat_could_carry_comes_with_a_later_one(house: House) -> None:
    server = house.boot()["id"]
    sample(house, beats=False)
    sample(house, beats=False)
    assert stats(house, server)["points"] == []
    sample(house)
    points = stats(house, server)["points"]
    assert len(points) == 3
    assert points[1]["rates"]["seconds"] == 10


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[House]:
    """A house that has metrics of two servers."""
    with lived_in(tmp_path / "state", metrics={"servers": 2, "public": True}) as house:
        yield house


def scraped(house: House) -> list[str]:
    """The samples of single servers."""
    lines: list[str] = house.raw("GET", "/metrics").text.splitlines()
    return [line for line in lines if line.startswith("kilonova_server_")]


def test_metrics_have_counters_of_as_many_servers_as_is_set(measured: House) -> None:
    names = {measured.boot(name)["id"]: name for name in ("a", 'b"}', "c")}
    sample(measured)
    lines = scraped(measured)
    seen = {server for server in names if any(f'server="{server}"' in line for line in lines)}
    assert seen == set(sorted(names)[:2])
    assert sum(line.startswith("kilonova_server_info{") for line in lines) == 2
    for server in seen:
        cpu = next(line for line in lines if line.startswith(f'kilonova_server_cpu_seconds_total{{server="{server}"'))
        assert float(cpu.rpartition(" ")[2]) > 0


def test_metrics_have_no_server_that_is_off_deleted_or_long_unheard_of(measured: House) -> None:
    off, gone = measured.boot("off")["id"], measured.boot("gone")["id"]
    sample(measured)
    measured.act(off, {"os-stop": None})
    measured.call("DELETE", f"/servers/{gone}")
    measured.settle()
    sample(measured)
    assert scraped(measured) == []


def test_metrics_of_servers_are_an_opt_in(house: House) -> None:
    house.boot()
    sample(house)
    text = house.call("GET", "//metrics").text
    assert "kilonova_nodes 1" in text
    assert "kilonova_server_" not in text
