"""Builds that fail: where they are tried again, and what their owners then read (contract §6.6.4, §7.4)."""

from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.faults import HOPELESS, FaultCause
from kilonova.store import decisions
from tests.plane.house import House, lived_in
from tests.plane.ledger import ledger_of
from tests.plane.moving import claims, lose

_BUILD = "compute__do_build_and_run_instance"
_STATE = ("status", "OS-EXT-SRV-ATTR:host", "OS-EXT-STS:task_state")


def _action(house: House, server_id: str) -> dict[str, Any]:
    (action,) = house.call("GET", f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    found: dict[str, Any] = action
    return found


def _tried(house: House, server_id: str) -> str:
    """The one host that it was tried on."""
    path = f"/servers/{server_id}/os-instance-actions/{_action(house, server_id)['request_id']}"
    (event,) = house.call("GET", path).json()["instanceAction"]["events"]
    host: str = event["host"]
    return host


def _exhausted(server: dict[str, Any]) -> str:
    told = f"Exhausted all hosts available for retrying build failures for instance {server['id']}."
    return f"Exceeded maximum number of retries. {told} "


@pytest.mark.parametrize("hosts, most, tried", [(2, 3, 2), (4, 3, 3), (8, 7, 7), (3, 1, 1)])
def test_a_build_is_tried_on_other_hosts_until_there_are_none_or_it_was_often_enough(
    tmp_path: Path, hosts: int, most: int, tried: int
) -> None:
    with lived_in(tmp_path, simulate_hosts=hosts, scheduler={"max_attempts": most}) as house:
        server = house.boot(metadata={"sim:fail": "spawn:disk_full"})
        assert [server[name] for name in _STATE] == ["ERROR", None, None]
        assert server["fault"]["code"] == 500
        assert server["fault"]["message"] == _exhausted(server) + "simulated: the host's disk is full"
        assert ledger_of(house, server["id"])[1] == [(_BUILD, "Success")] * (tried - 1) + [(_BUILD, "Error")]
        assert _action(house, server["id"])["message"] == "Error"
        with house.cloud.database.read() as connection:
            chosen = [each.chosen_host for each in decisions.list_decisions(connection, server["id"])]
        assert len(set(chosen)) == tried
        assert claims(house) == []


def test_each_host_has_as_many_beginnings_as_the_first(tmp_path: Path) -> None:
    """The janitor gives up what was begun too often on one host; on how many hosts it was tried is another matter."""
    with lived_in(tmp_path, simulate_hosts=8, scheduler={"max_attempts": 8}) as house:
        wanted = {"name": "web1", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
        body = {"server": {**wanted, "metadata": {"sim:fail": "spawn"}}}
        server = house.call("POST", "/servers", body).json()["server"]["id"]
        conductor = house.cloud.plane.conductor
        while conductor.step():
            house.tidy()
            assert house.show(server)["status"] == "BUILD"
            assert any([agent.step() for agent in house.cloud.plane.agents])  # noqa: C419 - all of them step
        assert len(ledger_of(house, server)[1]) == 8


@pytest.mark.parametrize("cause", [each for each in FaultCause if each in HOPELESS])
def test_what_no_other_host_would_mend_is_aborted_at_the_first(tmp_path: Path, cause: FaultCause) -> None:
    with lived_in(tmp_path, simulate_hosts=3) as house:
        server = house.boot(metadata={"sim:fail": f"spawn:{cause.code}"})
        assert (server["status"], server["OS-EXT-SRV-ATTR:host"]) == ("ERROR", None)
        assert server["fault"]["code"] == 500
        assert server["fault"]["message"].startswith(f"Build of instance {server['id']} aborted: simulated: ")
        assert ledger_of(house, server["id"])[1] == [(_BUILD, "Success")]
        action = _action(house, server["id"])
        assert action["message"] is None
        (operation,) = house.call("GET", f"//state/v1/operations/{action['request_id']}").json()["operations"]
        assert (operation["result"], operation["cause"]["code"]) == ("Error", cause.code)
        assert claims(house) == []


def test_a_driver_that_cannot_build_it_leaves_no_server_in_build(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=2) as house:
        server = house.boot(metadata={"sim:fail": "spawn:not_supported"})
        assert server["status"] == "ERROR"
        assert server["fault"]["message"].startswith(_exhausted(server))


def test_a_build_whose_other_hosts_are_gone_says_that_all_are_exhausted(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=2) as house:
        wanted = {"name": "web1", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
        body = {"server": {**wanted, "metadata": {"sim:fail": "spawn"}}}
        server = house.call("POST", "/servers", body).json()["server"]["id"]
        plane = house.cloud.plane
        assert plane.conductor.step()
        assert any([agent.step() for agent in plane.agents])  # noqa: C419 - all of them step
        (left,) = {agent.host for agent in plane.agents} - {_tried(house, server)}
        lose(house, left)
        house.settle()
        shown = house.show(server)
        assert shown["status"] == "ERROR"
        assert shown["fault"]["message"].startswith(_exhausted(shown) + "2 candidates: ")
        assert ledger_of(house, server)[1] == [(_BUILD, "Success"), ("conductor_schedule_and_build_instances", "Error")]
