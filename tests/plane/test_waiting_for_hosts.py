"""Operations on servers whose hosts are down: they wait, are closed in the end, and leave nothing stuck."""

from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.model import after
from kilonova.services import janitor
from kilonova.services.janitor import Janitor
from kilonova.store import fleet, ledger
from tests.plane.house import House, lived_in
from tests.plane.moving import beat, lose


def _janitor(house: House) -> Janitor:
    plane = house.cloud.plane
    return Janitor(plane.database, plane.now, plane.conductor, settings=house.cloud.settings.DEFAULT)


def _operation(house: House, request_id: str) -> dict[str, Any]:
    (shown,) = house.call("GET", f"//state/v1/operations/{request_id}").json()["operations"]
    found: dict[str, Any] = shown
    return found


def _stuck(house: House) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = house.call("GET", "//state/v1/stuck").json()["stuck"]
    return found


def _begin_and_fall_silent(house: House, server_id: str, action: dict[str, Any]) -> str:
    """Accept an action and have it taken by an agent that is never heard of again; the request's id."""
    reply = house.act(server_id, action)
    assert reply.status_code == 202, reply.text
    (agent,) = house.cloud.plane.agents
    assert house.cloud.plane.conductor.next_work(agent.host, "a lost run", limit=1)
    return str(reply.headers["x-openstack-request-id"])


def test_an_operation_whose_host_went_down_under_it_is_closed_with_that_cause(house: House) -> None:
    server = house.boot()
    request_id = _begin_and_fall_silent(house, server["id"], {"pause": None})
    house.at = after(house.at, 300)
    assert _janitor(house).step()
    shown = _operation(house, request_id)
    assert (shown["result"], shown["cause"]["code"], shown["progress"]) == ("Error", "host_down", None)
    assert shown["events"][0]["finished_at"] is not None
    settled = house.show(server["id"])
    assert (settled["OS-EXT-STS:vm_state"], settled["OS-EXT-STS:task_state"]) == ("active", None)
    assert _stuck(house) == []


def test_an_operation_that_nobody_began_waits_for_its_host_until_its_deadline(house: House) -> None:
    server = house.boot()
    house.at = after(house.at, 300)
    reply = house.act(server["id"], {"pause": None})
    request_id = reply.headers["x-openstack-request-id"]
    _janitor(house).step()
    assert _operation(house, request_id)["is_open"]
    assert house.show(server["id"])["OS-EXT-STS:task_state"] == "pausing"
    assert _stuck(house) == []
    house.at = after(house.at, 601)
    assert _janitor(house).step()
    assert _operation(house, request_id)["cause"]["code"] == "interrupted"
    assert house.show(server["id"])["OS-EXT-STS:task_state"] is None


def test_deadlines_are_those_of_the_settings(tmp_path: Path) -> None:
    with lived_in(tmp_path, DEFAULT={"operation_deadlines": "pause=5"}) as house:
        server = house.boot()
        request_id = _begin_and_fall_silent(house, server["id"], {"pause": None})
        with house.cloud.database.read() as connection:
            action = ledger.get_action(connection, server["id"], request_id)
        assert action.deadline_at - action.started_at == 5_000_000
        house.at = after(house.at, 6)
        assert _janitor(house).step()
        assert not _operation(house, request_id)["is_open"]


def test_a_lapsed_build_keeps_its_claim_as_long_as_its_host_may_have_something_of_it(house: House) -> None:
    server = {"name": "web", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
    made = house.call("POST", "/servers", {"server": server}).json()["server"]["id"]
    house.cloud.plane.conductor.placer.step()
    (agent,) = house.cloud.plane.agents
    assert house.cloud.plane.conductor.next_work(agent.host, "a lost run", limit=1)
    house.at = after(house.at, 7200)
    agent.beat()
    house.cloud.plane.conductor.beats.flush()
    _janitor(house).step()
    shown = house.show(made)
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ERROR", None)
    assert shown["fault"]["message"]
    assert (shown["OS-EXT-SRV-ATTR:host"], _vcpus_used(house)) == (agent.host, 1)
    house.call("DELETE", f"/servers/{made}")
    house.settle()
    assert _vcpus_used(house) == 0
    assert _stuck(house) == []


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_delete_does_not_wait_for_a_host_that_went_down(house: House, is_begun: bool) -> None:
    server = house.boot()["id"]
    assert house.call("DELETE", f"/servers/{server}").status_code == 204
    (agent,) = house.cloud.plane.agents
    if is_begun:
        assert house.cloud.plane.conductor.next_work(agent.host, "a lost run", limit=1)
    house.at = after(house.at, 300)
    assert _janitor(house).step()
    assert house.call("GET", f"/servers/{server}").status_code == 404
    newest = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]
    assert (newest["action"], newest["message"]) == ("delete", None)
    assert (_vcpus_used(house), len(house.guests()), _stuck(house)) == (0, 1, [])
    agent.compare()
    assert house.guests() == {}


def test_what_has_to_wait_hides_nothing_that_can_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitor, "_BATCH", 2)
    with lived_in(tmp_path, simulate_hosts=2) as house:
        for name in ("a", "b", "c", "d"):
            house.boot(name)
        waiting = [server["id"] for server in house.call("GET", "/servers").json()["servers"]]
        lost, other = (agent.host for agent in house.cloud.plane.agents)
        lose(house, other)
        for server in waiting:
            house.act(server, {"os-stop": None})
        wanted = {"name": "web", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
        made = house.call("POST", "/servers", {"server": wanted}).json()["server"]["id"]
        house.cloud.plane.conductor.step()
        assert house.show(made)["OS-EXT-SRV-ATTR:host"] == lost
        lose(house, lost)
        lose(house, other, is_down=False)
        beat(house)
        _janitor(house).step()
        house.cloud.plane.conductor.step()
        assert house.show(made)["OS-EXT-SRV-ATTR:host"] == other


def _vcpus_used(house: House) -> int:
    with house.cloud.database.read() as connection:
        (node,) = fleet.list_nodes(connection)
    return node.vcpus_used
