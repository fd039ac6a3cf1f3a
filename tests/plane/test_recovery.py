"""What agents, the conductor and the janitor make of each other's misfortunes: late, lost, doubled and stale words."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from kilonova.domain.changes import Phase
from kilonova.domain.errors import HypervisorUnavailable, SettingsUnusable, Unavailable
from kilonova.domain.model import after
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import GuestEventKind
from kilonova.drivers.simulated import SimulatedDriver
from kilonova.services.compute import Agent
from kilonova.services.door import Door, HostReport, Observation, PhaseReport, Verdict, Work
from kilonova.services.janitor import Janitor
from kilonova.store import fleet, ledger
from tests.plane.house import House, lived_in


class Doorway:
    """A door that passes everything on; a test puts something before one of the calls."""

    def __init__(self, door: Door) -> None:
        self.beyond = door

    def report_state(self, report: HostReport) -> None:
        self.beyond.report_state(report)

    def next_work(self, host: str, run_id: str, *, limit: int) -> Sequence[Work]:
        return self.beyond.next_work(host, run_id, limit=limit)

    def report(self, report: PhaseReport) -> bool:
        return self.beyond.report(report)

    def observe(self, host: str, observations: Sequence[Observation], *, is_complete: bool = False) -> Verdict:
        return self.beyond.observe(host, observations, is_complete=is_complete)


def _agent(house: House) -> Agent:
    (agent,) = house.cloud.plane.agents
    return agent


def _put_before(agent: Agent, doorway: type[Doorway]) -> Doorway:
    made = doorway(agent.door)
    agent.door = made
    return made


def _janitor(house: House) -> Janitor:
    plane = house.cloud.plane
    return Janitor(plane.database, plane.now, plane.conductor, settings=house.cloud.settings.DEFAULT)


def _actions(house: House, server_id: str) -> list[str]:
    listed = house.call("GET", f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    return [action["action"] for action in listed]


def test_a_comparison_that_is_older_than_a_start_switches_nothing_off(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"os-stop": None})
    house.settle()

    class Slow(Doorway):
        """Between the look and the telling, the owner starts the server."""

        begun = False

        def observe(self, host: str, observations: Sequence[Observation], *, is_complete: bool = False) -> Verdict:
            if not self.begun:
                self.begun = True
                house.act(server["id"], {"os-start": None})
                house.settle()
            return super().observe(host, observations, is_complete=is_complete)

    agent = _agent(house)
    _put_before(agent, Slow)
    agent.compare()
    house.settle()
    assert house.show(server["id"])["status"] == "ACTIVE"
    assert _actions(house, server["id"]) == ["start", "stop", "create"]


def test_a_guest_that_went_off_by_itself_becomes_shutoff_with_the_reason(house: House) -> None:
    server = house.boot()
    house.befall(server["id"], GuestEventKind.CRASHED)
    house.settle()
    assert house.show(server["id"])["status"] == "SHUTOFF"
    listed = house.call("GET", f"/servers/{server['id']}/os-instance-actions").json()["instanceActions"]
    path = f"/servers/{server['id']}/os-instance-actions/{listed[0]['request_id']}"
    shown = house.call("GET", path).json()["instanceAction"]
    assert (shown["action"], shown["user_id"], shown["events"][0]["result"]) == ("stop", None, "Success")
    assert shown["events"][0]["details"]


def test_what_happens_to_a_guest_during_its_operation_is_seen_after_it(house: House) -> None:
    server = house.boot(metadata={"sim:power": "crashed"})
    house.settle()
    assert house.show(server["id"])["status"] == "SHUTOFF"


def test_a_report_is_repeated_until_it_is_heard(house: House) -> None:
    server = house.boot()

    class Deaf(Doorway):
        """Hears the end of an operation at the second attempt only."""

        refused = 0

        def report(self, report: PhaseReport) -> bool:
            if report.phase is Phase.END and not self.refused:
                self.refused += 1
                raise Unavailable("the database is away")
            return super().report(report)

    deaf = _put_before(_agent(house), Deaf)
    house.act(server["id"], {"reboot": {"type": "HARD"}})
    house.settle()
    assert isinstance(deaf, Deaf)
    assert deaf.refused == 1
    assert house.show(server["id"])["status"] == "ACTIVE"
    assert house.console(server["id"]).count("READY") == 2, "the guest was rebooted once, not twice"


def test_a_guest_whose_server_was_deleted_meanwhile_is_not_built(house: House) -> None:
    order = {"name": "late", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
    server_id = house.call("POST", "/servers", {"server": order}).json()["server"]["id"]

    class Late(Doorway):
        """The host seems down just before the build begins, and the owner deletes the server."""

        def report(self, report: PhaseReport) -> bool:
            if report.phase is Phase.START and house.call("GET", f"/servers/{server_id}").status_code == 200:
                house.at = after(house.at, 100)
                assert house.call("DELETE", f"/servers/{server_id}").status_code == 204
            return super().report(report)

    agent = _agent(house)
    _put_before(agent, Late)
    house.settle()
    assert house.guests() == {}


def test_an_agent_whose_hypervisor_does_not_answer_lives(house: House) -> None:
    agent = _agent(house)

    class Listening(Doorway):
        heard: HostReport | None = None

        def report_state(self, report: HostReport) -> None:
            self.heard = report
            super().report_state(report)

    class Silent(SimulatedDriver):
        """A hypervisor that does not answer."""

        def probe(self) -> None:
            raise HypervisorUnavailable("QEMU is gone")

    listening = _put_before(agent, Listening)
    agent.driver = Silent()
    agent.beat()
    assert isinstance(listening, Listening)
    assert listening.heard is not None
    assert (listening.heard.trouble, listening.heard.nodes) == ("QEMU is gone", ())


def test_another_run_of_the_agent_takes_over_and_the_first_is_not_heard_any_more(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"os-stop": None})
    conductor, host = house.cloud.plane.conductor, _agent(house).host
    (first,) = conductor.next_work(host, "first", limit=1)
    (second,) = conductor.next_work(host, "second", limit=1)
    assert first.action_id == second.action_id
    late = PhaseReport(action_id=first.action_id, host=host, run_id="first", phase=Phase.START)
    assert conductor.report(late) is False
    for phase in (Phase.START, Phase.END):
        heard = PhaseReport(action_id=first.action_id, host=host, run_id="second", phase=phase)
        assert conductor.report(heard) is True
    assert house.show(server["id"])["status"] == "SHUTOFF"


def test_an_operation_past_its_deadline_ends_with_a_fault(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"pause": None})
    house.at = after(house.at, 3600)
    assert _janitor(house).step()
    shown = house.show(server["id"])
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
    with house.cloud.database.read() as connection:
        fault = ledger.latest_faults(connection, [server["id"]])[server["id"]]
    assert fault.cause == "interrupted"
    assert "did not end in time" in fault.message


def test_the_janitor_leaves_the_task_of_a_newer_operation(house: House) -> None:
    order = {"name": "late", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
    server_id = house.call("POST", "/servers", {"server": order}).json()["server"]["id"]
    house.cloud.plane.conductor.placer.step()
    house.at = after(house.at, 3700)
    _agent(house).beat()
    house.cloud.plane.conductor.beats.flush()
    assert house.call("DELETE", f"/servers/{server_id}").status_code == 204
    assert _janitor(house).step()
    shown = house.show(server_id)
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ERROR", "deleting")
    house.settle()
    assert house.call("GET", f"/servers/{server_id}").status_code == 404


def test_an_operation_that_takes_its_agent_down_is_not_begun_for_ever(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"pause": None})
    conductor, host = house.cloud.plane.conductor, _agent(house).host
    for run in range(5):
        assert conductor.next_work(host, f"run {run}", limit=1)
    house.at = after(house.at, 61)
    assert _janitor(house).step()
    assert house.show(server["id"])["OS-EXT-STS:task_state"] is None


def test_a_build_on_a_host_that_went_down_is_done_elsewhere(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=2) as house:
        order = {"name": "moved", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
        server_id = house.call("POST", "/servers", {"server": order}).json()["server"]["id"]
        house.cloud.plane.conductor.placer.step()
        chosen = house.show(server_id)["OS-EXT-SRV-ATTR:host"]
        house.at = after(house.at, 120)
        for agent in house.cloud.plane.agents:
            if agent.host != chosen:
                agent.beat()
        house.cloud.plane.conductor.beats.flush()
        assert _janitor(house).step()
        house.settle()
        shown = house.show(server_id)
        assert shown["status"] == "ACTIVE"
        assert shown["OS-EXT-SRV-ATTR:host"] != chosen
        with house.cloud.database.read() as connection:
            assert sorted(node.vcpus_used for node in fleet.list_nodes(connection)) == [0, 1]


def test_a_host_keeps_its_name_whatever_the_machine_is_called(tmp_path: Path) -> None:
    with lived_in(tmp_path) as house:
        name = _agent(house).host
        house.boot()
    with lived_in(tmp_path) as house:
        assert _agent(house).host == name
    (tmp_path / "host").write_text("renamed\n")
    with lived_in(tmp_path) as house:
        assert _agent(house).host == "renamed"


def test_a_guest_of_a_server_that_lives_elsewhere_is_removed(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=2) as house:
        server = house.boot()
        home = server["OS-EXT-SRV-ATTR:host"]
        (other,) = [agent for agent in house.cloud.plane.agents if agent.host != home]
        seen = Observation(instance_uuid=server["id"], power=PowerState.RUNNING, detail="found")
        verdict = house.cloud.plane.conductor.observe(other.host, [seen])
        assert verdict.unwanted == {server["id"]}


@pytest.mark.parametrize("lease", [1, 29])
def test_a_lease_shorter_than_three_beats_is_refused(tmp_path: Path, lease: int) -> None:
    with pytest.raises(SettingsUnusable, match="instance_lease"):
        House(tmp_path, DEFAULT={"instance_lease": lease})
