"""Each scenario that comes with Kilonova, by what a client then sees of the whole plane (docs/guides/scenarios.md)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.model import after
from tests.plane.house import House, lived_in
from tests.plane.ledger import ledger_of
from tests.plane.moving import compare, host_of, state

_BUILD = "compute__do_build_and_run_instance"


@contextmanager
def _playing(path: Path, scenario: str, *, hosts: int = 2, **settings: Any) -> Iterator[House]:
    with lived_in(path, scenario=scenario, simulate_hosts=hosts, DEFAULT=settings) as made:
        _pass(made, 1)
        yield made


def _pass(house: House, seconds: int) -> None:
    """Let the play go on: its events, the heartbeats, and whoever looks for what was lost."""
    plane: Any = house.cloud.plane
    (play,) = (loop for loop in vars(plane)["_loops"] if loop.name == "scenario")
    for _ in range(seconds):
        play.step()
        house.pass_seconds(1)
    play.step()


def _order(house: House, name: str = "web1", **wanted: Any) -> str:
    body = {"name": name, "flavorRef": "42", "imageRef": house.image_id(), "networks": "none", **wanted}
    reply = house.call("POST", "/servers", {"server": body})
    assert reply.status_code == 202, reply.text
    server: str = reply.json()["server"]["id"]
    return server


def _first(house: House) -> str:
    """The host that the scenarios' troubles befall."""
    (host,) = (agent.host for agent in house.cloud.plane.agents if agent.host.endswith("-1"))
    return host


def _on_first(house: House) -> str:
    """A server on that host."""
    for number in range(4):
        server: str = house.boot(f"web{number}")["id"]
        if host_of(house, server) == _first(house):
            return server
    raise AssertionError("no server came to the first host")


def _service(house: House) -> str:
    (service,) = house.call("GET", f"/os-services?binary=nova-compute&host={_first(house)}").json()["services"]
    shown: str = service["state"]
    return shown


def _conditions(house: House, server: str) -> dict[str, str]:
    found = house.call("GET", f"//state/v1/servers/{server}/conditions").json()["conditions"]
    return {each["type"]: each["status"] for each in found}


def test_flaky_sends_every_third_boot_elsewhere_and_spares_servers_whose_reboot_fails(tmp_path: Path) -> None:
    with _playing(tmp_path, "flaky", hosts=4) as house:
        servers = [house.boot(f"web{number}")["id"] for number in range(9)]
        ledgers = {server: ledger_of(house, server)[1] for server in servers}
        well = [server for server in servers if state(house, server)[0] == "ACTIVE"]
        assert max(len(events) for events in ledgers.values()) > 1, "some were tried on another host"
        for server in set(servers) - set(well):
            assert state(house, server)[0] == "ERROR"
            assert ledgers[server][-1] == (_BUILD, "Error")
            assert house.show(server)["fault"]["message"].startswith("Exceeded maximum number of retries.")
        results = []
        for server in well:
            house.act(server, {"reboot": {"type": "HARD"}})
            house.settle()
            assert state(house, server) == ("ACTIVE", None, 1)
            results.append(ledger_of(house, server)[1][0][1])
        assert set(results) == {"Success", "Error"}


def test_spawn_fails_ends_bad_servers_in_error_with_a_cause_that_is_counted(tmp_path: Path) -> None:
    with _playing(tmp_path, "spawn-fails", hosts=4) as house:
        assert house.boot("good")["status"] == "ACTIVE"
        bad = house.boot("bad-1")
        assert (bad["status"], bad["OS-EXT-SRV-ATTR:host"]) == ("ERROR", None)
        assert bad["fault"]["message"].endswith("simulated: the host has not enough free memory")
        assert ledger_of(house, bad["id"])[1] == [(_BUILD, "Success")] * 2 + [(_BUILD, "Error")]
        (group,) = house.call("GET", "//state/v1/faults?group_by=code").json()["faults"]
        assert (group["code"], group["count"]) == ("memory_short", 3), "once for each host that tried"


def test_dying_agent_leaves_guests_running_and_its_work_is_taken_up_when_it_is_back(tmp_path: Path) -> None:
    with _playing(tmp_path, "dying-agent", service_down_time=60) as house:
        server = _on_first(house)
        _pass(house, 31)
        assert house.act(server, {"pause": None}).status_code == 202
        house.settle()
        _pass(house, 20)
        assert (_service(house), state(house, server)[:2]) == ("up", ("ACTIVE", "pausing"))
        _pass(house, 45)
        assert _service(house) == "down"
        assert _conditions(house, server)["Waiting"] == "True"
        elsewhere = house.boot("later")
        assert elsewhere["OS-EXT-SRV-ATTR:host"] != _first(house)
        _pass(house, 40)
        house.settle()
        assert (_service(house), state(house, server)) == ("up", ("PAUSED", None, 3))


def test_disconnected_fails_operations_there_at_once_and_builds_go_elsewhere(tmp_path: Path) -> None:
    with _playing(tmp_path, "disconnected") as house:
        server = _on_first(house)
        _pass(house, 31)
        house.cloud.plane.conductor.beats.flush()
        assert _service(house) == "up"
        turned = {(row.key, row.snapshot["type"], row.snapshot["status"]) for row in house.told("condition")}
        assert ("HypervisorAnswers", "False") in {(type, status) for _, type, status in turned}
        house.act(server, {"pause": None})
        house.settle()
        assert state(house, server)[:2] == ("ACTIVE", None)
        assert ledger_of(house, server) == ("pause", [("compute_pause_instance", "Error")])
        newest = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]
        (operation,) = house.call("GET", f"//state/v1/operations/{newest['request_id']}").json()["operations"]
        assert operation["cause"]["code"] == "hypervisor_gone"
        assert house.boot("later")["OS-EXT-SRV-ATTR:host"] != _first(house)
        _pass(house, 61)
        house.act(server, {"pause": None})
        house.settle()
        assert state(house, server)[0] == "PAUSED"


def test_full_disk_fails_what_writes_there_and_builds_are_tried_elsewhere(tmp_path: Path) -> None:
    with _playing(tmp_path, "full-disk") as house:
        servers = [house.boot(f"web{number}") for number in range(3)]
        assert _first(house) not in {server["OS-EXT-SRV-ATTR:host"] for server in servers}
        assert all(server["status"] == "ACTIVE" for server in servers)
        assert [(_BUILD, "Success")] * 2 in [ledger_of(house, server["id"])[1] for server in servers]
        _pass(house, 601)
        assert host_of(house, _on_first(house)) == _first(house)
    with _playing(tmp_path / "alone", "full-disk", hosts=1) as house:
        house.boot()  # a host that stands alone has another name: the trouble befalls "*-1" only
        assert house.show(house.boot()["id"])["status"] == "ACTIVE"


def test_power_loss_ends_in_servers_that_are_off_by_a_stop_that_nobody_asked_for(tmp_path: Path) -> None:
    with _playing(tmp_path, "power-loss") as house:
        server = _on_first(house)
        _pass(house, 65)
        compare(house)
        house.settle()
        assert state(house, server) == ("SHUTOFF", None, 4)
        action, events = ledger_of(house, server)
        assert (action, events) == ("stop", [("compute_stop_instance", "Success")])
        newest = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]
        assert (newest["user_id"], newest["project_id"]) == (None, None)
        path = f"/servers/{server}/os-instance-actions/{newest['request_id']}"
        (event,) = house.call("GET", path).json()["instanceAction"]["events"]
        assert "comparison" in event["details"]
        house.act(server, {"os-start": None})
        house.settle()
        assert state(house, server)[0] == "ACTIVE"


@pytest.mark.parametrize(
    "metadata, action, ended",
    [
        ({"sim:fail": "reboot"}, {"reboot": {"type": "SOFT"}}, ("ACTIVE", "Error")),
        ({"sim:fail": "suspend:disk_full"}, {"suspend": None}, ("ERROR", "Error")),
        ({"sim:fail": "rescue"}, {"rescue": None}, ("ERROR", "Error")),
        ({"sim:delay": "1ms"}, {"pause": None}, ("PAUSED", "Success")),
    ],
)
def test_a_servers_metadata_says_what_goes_wrong_with_it(
    house: House, metadata: dict[str, str], action: dict[str, Any], ended: tuple[str, str]
) -> None:
    server = house.boot(metadata=metadata)["id"]
    house.act(server, action)
    house.settle()
    assert (state(house, server)[0], ledger_of(house, server)[1][-1][1]) == ended
    assert state(house, server)[1] is None


@pytest.mark.parametrize("power, status", [("crashed", "SHUTOFF"), ("stopped", "SHUTOFF"), ("paused", "ACTIVE")])
def test_a_servers_metadata_says_what_becomes_of_it(house: House, power: str, status: str) -> None:
    server = house.boot(metadata={"sim:power": power})["id"]
    compare(house)
    house.settle()
    assert state(house, server)[:2] == (status, None)


@pytest.mark.parametrize("metadata", [{"sim:fail": "no such verb"}, {"sim:delay": "soon"}, {"sim:power": "blue"}])
def test_what_makes_no_sense_in_metadata_fails_the_build_and_is_said(house: House, metadata: dict[str, str]) -> None:
    shown = house.boot(metadata=metadata)
    assert shown["status"] == "ERROR"
    assert next(iter(metadata)) in shown["fault"]["message"]


def test_time_that_passes_is_what_slow_takes_from_everything(tmp_path: Path) -> None:
    """How long verbs take is the driver's; that an operation is late by then is the plane's to say."""
    with _playing(tmp_path, "slow", hosts=1) as house:
        server = house.boot()["id"]
        house.act(server, {"pause": None})
        (agent,) = house.cloud.plane.agents
        assert house.cloud.plane.conductor.next_work(agent.host, agent.run_id, limit=1), "and it takes its time"
        assert _conditions(house, server)["Late"] == "False"
        house.at = after(house.at, 150)
        assert _conditions(house, server)["Late"] == "True"
