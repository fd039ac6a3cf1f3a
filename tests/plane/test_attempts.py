"""What failed on one host and was tried on another is told: of the host, of the server, and among the failures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.console import board
from kilonova.console.accounts import Login
from kilonova.console.answers import answer
from kilonova.console.board import Samples
from kilonova.console.client import Client
from kilonova.console.explain import Explanation
from kilonova.drivers.simulated import StagedDriver
from kilonova.drivers.simulated.scenario import Trouble
from tests.plane.browsing import AUTH
from tests.plane.explaining import in_time
from tests.plane.house import PASSWORD, House, lived_in

_HOSTS = ["vm-1", "vm-2", "vm-3"]
_BUILD = "compute__do_build_and_run_instance"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[House]:
    with lived_in(tmp_path, simulate_hosts=len(_HOSTS)) as house:
        yield in_time(house)


def _client(house: House, user: str = "admin") -> Client:
    login = Login(auth_url=AUTH, username=user, password=PASSWORD, project_name="demo")
    return Client(login, transport=house.transport)


def _explained(house: House, what: str) -> Explanation:
    return answer(_client(house), what, Samples()).explanation


def _failing_everywhere(house: House) -> str:
    return str(house.boot("web1", metadata={"sim:fail": "spawn:disk_full"})["id"])


def _mended_by_another_host(house: House) -> str:
    """A server that is well on another host than the one where it was tried first."""
    driver = house.driver("vm-1")
    assert isinstance(driver, StagedDriver)
    driver.befalls(Trouble.DISK_FULL)
    server = house.boot("web1")
    assert (server["status"], server["OS-EXT-SRV-ATTR:host"]) == ("ACTIVE", "vm-2")
    return str(server["id"])


def _faults(house: House, server: str, **who: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = house.call("GET", f"//state/v1/faults?server={server}", **who).json()["faults"]
    return found


def test_the_journal_tells_each_attempt_that_failed_as_one_that_is_tried_again(town: House) -> None:
    server = _failing_everywhere(town)
    town.told("instance")
    rows = town.call("GET", f"//state/v1/events?server={server}&topic=instance.create.retry").json()["events"]
    assert [(row["facts"]["host"], row["facts"]["fault"]["cause"]) for row in rows] == [
        ("vm-1", "disk_full"),
        ("vm-2", "disk_full"),
    ]
    assert not town.call("GET", f"//state/v1/events?server={server}&topic=instance.create.end").json()["events"]


@pytest.mark.parametrize("host", _HOSTS)
def test_each_host_on_which_it_failed_is_said_to_fail(town: House, host: str) -> None:
    _failing_everywhere(town)
    found = _explained(town, host)
    assert found.rule == "failing"
    assert f"Operations failed on {host}" in found.sentence


def test_the_server_says_where_it_was_tried(town: House) -> None:
    server = _failing_everywhere(town)
    found = _explained(town, server)
    assert found.rule == "disk_full"
    assert found.sentence.endswith("The create of web1 was tried on vm-1, vm-2, vm-3, and failed on each.")
    request = board.server_story(_client(town), server).timeline[0].request_id
    assert _explained(town, request).sentence == found.sentence


def test_failures_name_all_hosts(town: House) -> None:
    server = _failing_everywhere(town)
    (group,) = board.failures(_client(town), all_projects=True).groups
    assert (group.code, group.count, dict(group.hosts)) == ("disk_full", 3, dict.fromkeys(_HOSTS, 1))
    assert [each["server"] for each in group.servers] == [server]
    (told,) = town.call("GET", "//state/v1/faults?group_by=code").json()["faults"]
    assert (told["servers"], told["hosts"]) == (1, dict.fromkeys(_HOSTS, 1))


def test_the_timeline_shows_the_attempts_as_failed(town: House) -> None:
    (entry,) = board.server_story(_client(town), _failing_everywhere(town)).timeline
    found = [(step.host, step.result) for step in entry.steps if step.name == _BUILD]
    assert found == [("vm-1", "Retried"), ("vm-2", "Retried"), ("vm-3", "Error")]
    assert all("disk is full" in (step.details or "") for step in entry.steps)


@pytest.mark.parametrize(
    "cause, rule", [("image_corrupt", "well"), ("kernel_unfit", "well"), ("name_taken", "failing")]
)
def test_a_host_is_blamed_for_what_lies_with_it_only(town: House, cause: str, rule: str) -> None:
    server = town.boot("web1", metadata={"sim:fail": f"spawn:{cause}"})["id"]
    host = _faults(town, server)[0]["host"]
    assert _explained(town, host).rule == rule
    assert _explained(town, server).rule == cause


def test_a_server_that_another_host_took_is_well_and_the_first_host_is_not(town: House) -> None:
    server = _mended_by_another_host(town)
    assert _explained(town, server).rule == "well"
    assert _explained(town, "vm-1").rule == "failing"
    assert _explained(town, "vm-2").rule == "well"


def test_an_attempt_is_no_fault_of_the_servers_own(town: House) -> None:
    server = _mended_by_another_host(town)
    town.act(server, {"os-resetState": {"state": "error"}})
    assert "fault" not in town.show(server)
    assert [each["attempt"] for each in _faults(town, server)] == [True]
    assert _explained(town, server).rule == "reset"


def test_an_owner_hears_of_no_attempts(town: House) -> None:
    server = _failing_everywhere(town)
    town.add_person("mia", "demo", "member")
    (told,) = _faults(town, server, user="mia")
    assert not {"host", "attempt"} & told.keys()
    (group,) = town.call("GET", "//state/v1/faults?group_by=code", user="mia").json()["faults"]
    assert group["count"] == 1
