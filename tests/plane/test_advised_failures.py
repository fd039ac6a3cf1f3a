"""What to do where no host could take a server follows from what the hosts lacked, and so does its condition."""

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
from kilonova.domain.faults import FaultCause
from tests.plane.browsing import AUTH
from tests.plane.explained import (
    Script,
    disabled_everywhere,
    down_everywhere,
    flavored,
    group_of_one_too_many,
    hypervisor_gone_everywhere,
    trait_nowhere,
)
from tests.plane.explaining import in_time
from tests.plane.house import PASSWORD, House, lived_in

_CAPACITY = "free or add capacity"


def _booted(**wanted: Any) -> Script:
    return lambda house: str(house.boot("web1", **wanted)["id"])


def _on_a_full_host(house: House) -> str:
    house.call("POST", "/flavors", {"flavor": {"name": "vast", "id": "vast", "vcpus": 1, "ram": 64, "disk": 900_000}})
    return str(house.boot("web1", flavorRef="vast", availability_zone="nova:vm-1")["id"])


def _some_disabled(house: House) -> str:
    (service, *_) = house.call("GET", "/os-services?binary=nova-compute").json()["services"]
    house.call("PUT", f"/os-services/{service['id']}", {"status": "disabled", "disabled_reason": "new memory"})
    return flavored(ram=900_000)(house)


def _for_another_machine(house: House) -> str:
    image = house.add_image("foreign", b"x" * 512, hw_architecture="s390x")
    return str(house.boot("web1", imageRef=image)["id"])


@pytest.fixture
def town(tmp_path: Path) -> Iterator[House]:
    roomy = {"cores": -1, "ram": -1, "instances": -1}
    with lived_in(tmp_path, simulate_hosts=3, quota=roomy) as house:
        yield in_time(house)


def _client(house: House, user: str = "admin") -> Client:
    login = Login(auth_url=AUTH, username=user, password=PASSWORD, project_name="demo")
    return Client(login, transport=house.transport)


def _explained(house: House, server: str, user: str = "admin") -> Explanation:
    return answer(_client(house, user), server, Samples()).explanation


def _placed(house: House, server: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = house.call("GET", f"//state/v1/servers/{server}/conditions").json()["conditions"]
    return next(each for each in found if each["type"] == "Placed")


_ROWS: dict[str, tuple[Script, str, str]] = {
    "capacity": (flavored(vcpus=300), _CAPACITY, "NoCapacity"),
    "anti-affinity": (group_of_one_too_many, "soft-anti-affinity", "GroupForbids"),
    "no such host": (_booted(availability_zone="nova:nohost"), "No host of that name reports", "NotTheNamedHost"),
    "the named host is full": (_on_a_full_host, "The host that was named has no room", "NoCapacity"),
    "disabled": (disabled_everywhere, "Enable a host again", "HostsAway"),
    "down": (down_everywhere, "Bring hosts back", "HostsAway"),
    "no hypervisor": (hypervisor_gone_everywhere, "their hypervisors run", "HostsAway"),
    "some disabled, some full": (_some_disabled, "bring back or enable the other hosts", "SeveralReasons"),
    "the flavor's class": (trait_nowhere, "extra specs ask for what no host has", "NotAsFlavorAsks"),
    "the image's architecture": (_for_another_machine, "hw_architecture", "NotAsImageAsks"),
}


@pytest.mark.parametrize("row", _ROWS)
def test_what_to_do_fits_what_the_hosts_lacked(row: str, town: House) -> None:
    script, advice, reason = _ROWS[row]
    server = script(town)
    found = _explained(town, server)
    assert (found.rule, _placed(town, server)["reason"]) == ("no_valid_host", reason)
    assert advice in found.advice


def test_capacity_is_asked_for_only_where_it_is_short(town: House) -> None:
    assert _CAPACITY not in _explained(town, group_of_one_too_many(town)).advice
    assert _CAPACITY not in _explained(town, _booted(availability_zone="nova:nohost")(town)).advice


def test_what_to_do_about_failures_is_nothing_that_only_programs_ask_for(town: House) -> None:
    server = group_of_one_too_many(town)
    (group,) = board.failures(_client(town), all_projects=True).groups
    assert [each["server"] for each in group.servers] == [server]
    assert "kilonova explain" in group.advice
    assert not [cause for cause in FaultCause if "/state/v1" in cause.operator + cause.remedy]


def test_who_may_not_read_decisions_is_advised_alike(town: House) -> None:
    server = group_of_one_too_many(town)
    town.add_person("mia", "demo", "member")
    assert _explained(town, server, "mia").advice == _explained(town, server).advice


def test_a_server_that_a_group_forbids_is_noteworthy(town: House) -> None:
    group_of_one_too_many(town)
    town.cloud.plane.tidy()
    told = [row.snapshot for row in town.told("condition")]
    assert ("Placed", "GroupForbids") in {(each["type"], each["reason"]) for each in told}
