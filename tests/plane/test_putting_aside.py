"""Soft delete, restore and what becomes of servers whose time is over (contract §6.6.3, §6.7)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.domain.model import after
from tests.plane.house import House, lived_in
from tests.plane.ledger import actions_of, ledger_of, states_of, told

INTERVAL = 600


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with lived_in(tmp_path, DEFAULT={"reclaim_instance_interval": INTERVAL}) as made:
        yield made


def _deleted(house: House, server: str, **how: str) -> None:
    assert house.call("DELETE", f"/servers/{server}", **how).status_code == 204
    house.settle()


def _state(house: House, server: str) -> tuple[str, str | None, int]:
    shown = house.show(server)
    return shown["status"], shown["OS-EXT-STS:task_state"], shown["OS-EXT-STS:power_state"]


def test_a_deleted_server_is_put_aside_and_can_be_restored(house: House) -> None:
    server = house.boot()["id"]
    assert house.call("DELETE", f"/servers/{server}").status_code == 204
    assert house.show(server)["OS-EXT-STS:task_state"] == "soft-deleting"
    house.settle()
    assert _state(house, server) == ("SOFT_DELETED", None, 4)
    assert ledger_of(house, server) == ("delete", [("compute_soft_delete_instance", "Success")])
    assert server not in [each["id"] for each in house.call("GET", "/servers").json()["servers"]]
    assert house.act(server, {"restore": None}).status_code == 202
    assert house.show(server)["OS-EXT-STS:task_state"] == "restoring"
    house.settle()
    assert _state(house, server) == ("ACTIVE", None, 1)
    assert ledger_of(house, server) == ("restore", [("compute_restore_instance", "Success")])
    assert states_of(house, server, "restore") == ["restoring", None]


def test_a_resized_server_that_is_put_aside_stays_so_once_its_resize_is_confirmed(tmp_path: Path) -> None:
    with lived_in(tmp_path / "two", simulate_hosts=2, DEFAULT={"reclaim_instance_interval": INTERVAL}) as house:
        server = house.boot()["id"]
        house.act(server, {"migrate": None})
        house.settle()
        here = house.show(server)["OS-EXT-SRV-ATTR:host"]
        assert house.call("DELETE", f"/servers/{server}").status_code == 204
        for agent in house.cloud.plane.agents:
            if agent.host == here:
                agent.step()  # before the other host has heard of the confirmation
        house.settle()
        assert _state(house, server) == ("SOFT_DELETED", None, 4)
        assert actions_of(house, server)[:2] == ["delete", "confirmResize"]
        assert len(house.guests()) == 1


def test_without_the_interval_a_deleted_server_is_gone(tmp_path: Path) -> None:
    with lived_in(tmp_path / "other") as plain:
        server = plain.boot()["id"]
        _deleted(plain, server)
        assert plain.call("GET", f"/servers/{server}").status_code == 404


def test_a_server_that_is_put_aside_stays_so_when_it_is_deleted_again(house: House) -> None:
    server = house.boot()["id"]
    _deleted(house, server)
    _deleted(house, server)
    assert _state(house, server)[0] == "SOFT_DELETED"
    assert actions_of(house, server) == ["delete", "create"]


def test_a_server_that_is_put_aside_can_be_deleted_for_good(house: House) -> None:
    server = house.boot()["id"]
    _deleted(house, server)
    assert house.act(server, {"forceDelete": None}).status_code == 202
    house.settle()
    assert house.call("GET", f"/servers/{server}").status_code == 404
    assert house.guests() == {}


def test_a_server_is_reclaimed_when_its_time_is_over_and_not_before(house: House) -> None:
    server = house.boot()["id"]
    _deleted(house, server)
    house.at = after(house.at, INTERVAL - 10)
    house.tidy()
    house.settle()
    assert _state(house, server)[0] == "SOFT_DELETED"
    house.at = after(house.at, 30)
    for agent in house.cloud.plane.agents:
        agent.beat()
    house.cloud.plane.conductor.beats.flush()
    house.tidy()
    house.settle()
    assert house.call("GET", f"/servers/{server}").status_code == 404
    assert house.guests() == {}
    assert actions_of(house, server) == ["delete", "delete", "create"]
    newest = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]
    assert (newest["user_id"], newest["project_id"]) == (None, None)


def test_a_restored_server_is_not_reclaimed(house: House) -> None:
    server = house.boot()["id"]
    _deleted(house, server)
    house.act(server, {"restore": None})
    house.settle()
    house.at = after(house.at, 2 * INTERVAL)
    house.tidy()
    house.settle()
    assert _state(house, server)[0] == "ACTIVE"


def test_a_server_that_never_ran_is_deleted_at_once(house: House) -> None:
    server = house.boot(metadata={"sim:fail": "spawn"})["id"]
    _deleted(house, server)
    assert house.call("GET", f"/servers/{server}").status_code == 404


def test_only_a_server_that_is_put_aside_is_restored(house: House) -> None:
    server = house.boot()["id"]
    reply = house.act(server, {"restore": None})
    text = f"Cannot 'restore' instance {server} while it is in vm_state active"
    assert (reply.status_code, told(reply)) == (409, text)


def test_a_locked_server_is_not_put_aside_by_its_owner(house: House) -> None:
    house.add_person("member", "demo", "member")
    server = house.boot(user="member")["id"]
    house.act(server, {"lock": None}, user="member")
    assert house.call("DELETE", f"/servers/{server}", user="member").status_code == 409
    assert _state(house, server)[0] == "ACTIVE"


def test_a_server_that_cannot_be_put_aside_is_in_error(house: House) -> None:
    server = house.boot(metadata={"sim:fail": "power_off"})["id"]
    _deleted(house, server)
    assert house.show(server)["status"] == "ERROR"
    assert ledger_of(house, server) == ("delete", [("compute_soft_delete_instance", "Error")])


def test_a_restore_that_fails_leaves_the_server_aside(house: House) -> None:
    server = house.boot(metadata={"sim:fail": "power_on"})["id"]
    _deleted(house, server)
    house.act(server, {"restore": None})
    house.settle()
    assert _state(house, server)[0] == "SOFT_DELETED"
    assert ledger_of(house, server) == ("restore", [("compute_restore_instance", "Error")])


def test_what_is_put_aside_takes_no_quota_and_is_restored_only_within_it(house: House) -> None:
    project = house.show(house.boot("other")["id"])["tenant_id"]
    server = house.boot()["id"]
    _deleted(house, server)
    limits = house.call("PUT", f"/os-quota-sets/{project}", {"quota_set": {"instances": 2}})
    assert limits.status_code == 200, limits.text
    house.boot("in its place")
    reply = house.act(server, {"restore": None})
    assert reply.status_code == 403
    assert told(reply).startswith("Quota exceeded for instances: Requested 1, but already used 2 of 2 instances")
    assert _state(house, server) == ("SOFT_DELETED", None, 4)
    assert actions_of(house, server)[0] == "delete"
