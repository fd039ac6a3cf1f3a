"""Who is alive, who turned down or up, and agents that are wrong about something."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.conditions import Condition, of_type
from kilonova.domain.errors import Conflict, HypervisorUnavailable, Invalid
from kilonova.domain.model import after
from kilonova.services.compute import Agent
from kilonova.services.door import HostReport, NodeReport
from kilonova.store import conditions, fleet
from tests.plane.house import House, lived_in


def _agent(house: House) -> Agent:
    (agent,) = house.cloud.plane.agents
    return agent


def _state(house: House, host: str | None = None) -> str:
    wanted = host or _agent(house).host
    rows = house.call("GET", f"/os-services?host={wanted}&binary=nova-compute").json()["services"]
    return str(rows[0]["state"])


def _kept(house: House, type: str, host: str | None = None) -> Condition | None:
    with house.cloud.database.read() as connection:
        service = fleet.find_service(connection, "nova-compute", host or _agent(house).host)
        assert service is not None
        return of_type(conditions.list_conditions(connection, "service").get(service.uuid, ()), type)


def _stranger(house: House, **different: Any) -> HostReport:
    return replace(_agent(house).state(), **{"agent_id": "somebody-else", "run_id": "another-run", **different})


def test_a_silent_host_is_told_to_be_down_within_a_second_of_its_deadline(house: House) -> None:
    server = house.boot()
    silent_since = house.at
    _agent(house).beat()
    house.pass_seconds(60, beating=False)
    assert (house.told("service", "down"), _state(house)) == ([], "up")
    house.pass_seconds(1, beating=False)
    (told,) = house.told("service", "down")
    assert told.occurred_at == after(silent_since, 61)
    assert (told.facts["age_seconds"], told.facts["servers"], told.facts["server_ids"]) == (61.0, 1, [server["id"]])
    assert told.facts["condition"]["reason"] == "Silent"
    assert _state(house) == "down"


def test_a_host_is_told_to_be_down_only_once_and_to_be_up_once_it_beats(house: House) -> None:
    _agent(house).beat()
    house.pass_seconds(90, beating=False)
    house.pass_seconds(30)
    house.pass_seconds(30)
    assert [entry.operation for entry in house.told("service") if entry.operation in ("up", "down")] == ["down", "up"]
    (up,) = house.told("service", "up")
    assert up.facts["down_seconds"] == 30.0
    assert up.snapshot["was_up"] is True


def test_the_first_beat_of_a_lost_host_is_told_without_waiting_for_the_next_flush(house: House) -> None:
    _agent(house).beat()
    house.pass_seconds(61, beating=False)
    _agent(house).beat()
    house.cloud.plane.watcher.step()
    assert len(house.told("service", "up")) == 1


def test_an_administrators_word_that_a_host_is_down_is_told_at_once(house: House) -> None:
    uuid = house.call("GET", "/os-services?binary=nova-compute").json()["services"][0]["id"]
    house.call("PUT", f"/os-services/{uuid}", {"forced_down": True})
    house.cloud.plane.watcher.step()
    (told,) = house.told("service", "down")
    assert told.facts["condition"]["reason"] == "ForcedDown"
    house.call("PUT", f"/os-services/{uuid}", {"forced_down": False})
    house.cloud.plane.watcher.step()
    assert len(house.told("service", "up")) == 1


def test_nobody_is_told_to_be_down_when_it_was_the_control_plane_that_slept(house: House) -> None:
    _agent(house).beat()
    house.cloud.plane.conductor.beats.flush()
    house.at = after(house.at, 7200)
    house.pass_seconds(5, beating=False)
    house.pass_seconds(5)
    assert [entry.operation for entry in house.told("service") if entry.operation in ("up", "down")] == []


def test_a_restart_after_a_night_does_not_announce_the_fleet_as_down(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=3) as first:
        first.pass_seconds(3)
        at = first.at
    with lived_in(tmp_path, simulate_hosts=3) as second:
        second.at = after(at, 40_000)
        second.pass_seconds(120)
        assert [entry.operation for entry in second.told("service") if entry.operation != "create"] == []


def test_a_second_agent_with_the_name_of_a_host_is_refused_and_flagged(house: House) -> None:
    conductor = house.cloud.plane.conductor
    for _ in range(3):
        with pytest.raises(Conflict):
            conductor.report_state(_stranger(house))
        house.pass_seconds(1)
    found = _kept(house, "SoleAgent")
    assert found is not None
    assert (str(found.status), found.reason) == ("False", "TwoAgents")
    assert conductor.next_work(_agent(house).host, "another-run", limit=5) == []
    assert _state(house) == "up"
    assert len(house.told("condition")) == 1  # three attempts, one turn


def test_the_flag_of_a_second_agent_goes_when_it_has_gone(house: House) -> None:
    with pytest.raises(Conflict):
        house.cloud.plane.conductor.report_state(_stranger(house))
    house.pass_seconds(65)
    found = _kept(house, "SoleAgent")
    assert found is not None
    assert str(found.status) == "True"


def test_another_agent_takes_a_host_over_when_the_first_has_long_been_silent(house: House) -> None:
    conductor = house.cloud.plane.conductor
    house.pass_seconds(61, beating=False)
    conductor.report_state(_stranger(house, sent_at=house.at))
    conductor.beats.flush()
    assert _state(house) == "up"
    _agent(house).beat()  # refused, and says so in the log instead of raising
    assert _agent(house).step() is False


def test_the_next_run_of_an_agent_takes_over_at_once_and_the_former_is_refused(house: House) -> None:
    conductor, former = house.cloud.plane.conductor, _agent(house).state()
    conductor.report_state(replace(former, run_id="the-next-run"))
    with pytest.raises(Conflict):
        conductor.report_state(former)
    assert conductor.next_work(former.host, former.run_id, limit=1) == []


@pytest.mark.parametrize("skew, reason", [(3600, "Ahead"), (-3600, "Behind")])
def test_a_clock_that_is_off_is_flagged_and_decides_nothing(house: House, skew: int, reason: str) -> None:
    conductor = house.cloud.plane.conductor
    for _ in range(3):
        conductor.report_state(replace(_agent(house).state(), sent_at=after(house.at, skew)))
    conductor.beats.flush()
    found = _kept(house, "ClockInStep")
    assert found is not None
    assert (str(found.status), found.reason, _state(house)) == ("False", reason, "up")
    assert len(house.told("condition")) == 1


def test_a_clock_at_the_edge_of_tolerance_does_not_flap(house: House) -> None:
    conductor = house.cloud.plane.conductor
    for skew in (6, 4, 6, 4, 3, 6, 2, 4, 2):
        conductor.report_state(replace(_agent(house).state(), sent_at=after(house.at, skew)))
    turns = [entry.snapshot["status"] for entry in house.told("condition")]
    assert turns == ["False", "True"]


_SENSIBLE = NodeReport(
    hypervisor_hostname="n1",
    hypervisor_type="simulated",
    hypervisor_version=1,
    host_ip="127.0.0.1",
    vcpus=4,
    memory_mb=4096,
    local_gb=40,
    disk_available_least=None,
    cpu_info_json="{}",
    uptime_text=None,
)


def test_a_host_shows_for_how_long_it_has_been_up_within_a_minute(house: House) -> None:
    conductor, report = house.cloud.plane.conductor, _agent(house).state()
    (node,) = report.nodes
    journalled = len(house.told("compute_node"))

    def shown() -> list[str | None]:
        listed = house.call("GET", "/os-hypervisors/detail", version="2.88").json()["hypervisors"]
        return [each["uptime"] for each in listed]

    uptime = ""
    for minute in ("1", "2", "3"):
        uptime = f" 20:0{minute}:00 up 0:0{minute},  0 users,  load average: 0.00, 0.00, 0.00"
        conductor.report_state(replace(report, nodes=(replace(node, uptime_text=uptime + "!" * 300),)))
        house.at = after(house.at, 60)
        conductor.report_state(replace(report, nodes=(replace(node, uptime_text=uptime),)))
        conductor.beats.flush()
        assert shown() == [uptime]
    conductor.report_state(replace(report, nodes=(replace(node, uptime_text="not yet"),)))
    conductor.beats.flush()
    assert shown() == [uptime]
    assert len(house.told("compute_node")) == journalled


@pytest.mark.parametrize(
    "garbage",
    [
        {"vcpus": -1},
        {"vcpus": 2**40},
        {"memory_mb": "many"},
        {"local_gb": None},
        {"hypervisor_hostname": ""},
        {"hypervisor_hostname": "a\0b"},
        {"hypervisor_hostname": 7},
        {"hypervisor_type": "x" * 300},
        {"host_ip": None},
        {"disk_available_least": "?"},
        {"cpu_info_json": "not json"},
        {"cpu_info_json": "[" * 100_000},
    ],
)
def test_numbers_that_cannot_be_true_are_flagged_and_not_kept(house: House, garbage: dict[str, Any]) -> None:
    conductor, before = house.cloud.plane.conductor, house.call("GET", "/os-hypervisors/detail", version="2.87").json()
    nodes = (replace(_SENSIBLE, **garbage),)
    conductor.report_state(replace(_agent(house).state(), nodes=nodes))
    conductor.report_state(replace(_agent(house).state(), nodes=nodes))
    conductor.beats.flush()
    found = _kept(house, "ReportsMakeSense")
    assert found is not None
    assert (str(found.status), _state(house)) == ("False", "up")
    assert house.call("GET", "/os-hypervisors/detail", version="2.87").json() == before
    assert len(house.told("condition")) == 1


@pytest.mark.parametrize("host", ["", "a b", "x" * 256, "é", "a/b", None, 7])
def test_what_cannot_be_a_hosts_name_is_refused(house: House, host: Any) -> None:
    with pytest.raises(Invalid):
        house.cloud.plane.conductor.report_state(replace(_agent(house).state(), host=host))


def test_two_nodes_of_one_name_are_flagged(house: House) -> None:
    house.cloud.plane.conductor.report_state(replace(_agent(house).state(), nodes=(_SENSIBLE, _SENSIBLE)))
    found = _kept(house, "ReportsMakeSense")
    assert found is not None
    assert found.message == "two nodes of one name"


def test_a_silent_hypervisor_is_told_apart_from_a_silent_agent(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def probe() -> None:
        raise HypervisorUnavailable("the socket is gone")

    monkeypatch.setattr(_agent(house).driver, "probe", probe)
    house.pass_seconds(70)
    found = _kept(house, "HypervisorAnswers")
    assert found is not None
    assert (str(found.status), found.message, _state(house)) == ("False", "the socket is gone", "up")
    monkeypatch.undo()
    house.pass_seconds(1)
    found = _kept(house, "HypervisorAnswers")
    assert found is not None
    assert str(found.status) == "True"
    assert [entry.snapshot["status"] for entry in house.told("condition")] == ["False", "True"]


def test_no_server_is_sent_to_a_host_whose_hypervisor_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe() -> None:
        raise HypervisorUnavailable("the socket is gone")

    with lived_in(tmp_path, simulate_hosts=2) as house:
        first, second = house.cloud.plane.agents
        monkeypatch.setattr(first.driver, "probe", probe)
        house.pass_seconds(1)
        assert {house.boot(f"web{n}")["OS-EXT-SRV-ATTR:host"] for n in range(3)} == {second.host}
        monkeypatch.setattr(second.driver, "probe", probe)
        house.pass_seconds(1)
        failed = house.boot("nowhere")
        assert failed["fault"]["message"].endswith("2 candidates: 2 hypervisor not answering")


def test_a_hypervisor_that_hangs_does_not_keep_the_agent_from_beating(house: House) -> None:
    agent = _agent(house)
    told: list[HostReport] = []

    def hang() -> None:
        house.at = after(house.at, 20)
        told.append(agent.state())

    agent.driver.probe = hang  # type: ignore[method-assign]
    agent.look()
    assert told[0].trouble == "no answer for 20 s"
    assert agent.state().trouble is None


def test_beats_that_could_not_be_written_are_not_forgotten(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("disk full")

    beats = house.cloud.plane.conductor.beats
    house.at = after(house.at, 50)
    _agent(house).beat()
    monkeypatch.setattr(fleet, "record_beats", refuse)
    with pytest.raises(OSError, match="disk full"):
        beats.flush()
    monkeypatch.undo()
    beats.flush()
    house.at = after(house.at, 30)
    assert _state(house) == "up"


def test_new_compute_services_are_disabled_where_the_settings_say_so(tmp_path: Path) -> None:
    with lived_in(tmp_path, DEFAULT={"enable_new_services": False}) as house:
        rows = house.call("GET", "/os-services").json()["services"]
        shown = {row["binary"]: (row["status"], row["disabled_reason"]) for row in rows}
    assert shown["nova-compute"] == ("disabled", "New compute service disabled due to config option.")
    assert shown["nova-conductor"] == ("enabled", None)


def test_a_down_time_shorter_than_the_beats_is_made_longer(tmp_path: Path) -> None:
    with lived_in(tmp_path, DEFAULT={"report_interval": 10, "service_down_time": 10}) as house:
        assert house.cloud.settings.DEFAULT.service_down_time == 25
