"""os-server-external-events and crash dumps (contract §11.2, §6.6.2)."""

from typing import Any
from uuid import uuid4

import pytest

from tests.plane.house import House
from tests.plane.ledger import actions_of, ledger_of, told


def _tell(house: House, *events: dict[str, Any], version: str = "2.96", **how: str) -> Any:
    return house.call("POST", "/os-server-external-events", {"events": list(events)}, version=version, **how)


def _event(server: str, name: str = "network-changed", **further: str) -> dict[str, Any]:
    return {"name": name, "server_uuid": server, **further}


def test_what_is_told_of_a_server_comes_back_with_its_code(house: House) -> None:
    server = house.boot()["id"]
    reply = _tell(house, _event(server, tag="foo", status="in-progress"), _event(server))
    assert reply.status_code == 200
    first = {"name": "network-changed", "server_uuid": server, "tag": "foo", "status": "in-progress", "code": 200}
    second = {"name": "network-changed", "server_uuid": server, "status": "completed", "code": 200}
    assert reply.json() == {"events": [first, second]}


def test_one_event_that_is_refused_makes_a_207(house: House) -> None:
    server, stranger = house.boot()["id"], str(uuid4())
    reply = _tell(house, _event(server), _event(stranger))
    assert reply.status_code == 207
    assert [(each["code"], each["status"]) for each in reply.json()["events"]] == [
        (200, "completed"),
        (404, "failed"),
    ]


def test_a_server_without_a_host_is_told_nothing(house: House) -> None:
    server = house.boot(flavorRef="5", metadata={"sim:fail": "spawn"})["id"]
    assert house.show(server)["OS-EXT-SRV-ATTR:host"] is None
    reply = _tell(house, _event(server))
    assert (reply.status_code, reply.json()["events"][0]["code"]) == (207, 422)


@pytest.mark.parametrize("name", ["volume-extended", "power-update", "accelerator-request-bound"])
def test_some_events_need_a_tag(house: House, name: str) -> None:
    reply = _tell(house, _event(house.boot()["id"], name))
    assert (reply.status_code, reply.json()["events"][0]["code"]) == (207, 400)


@pytest.mark.parametrize(
    "name, since", [("volume-extended", 51), ("power-update", 76), ("accelerator-request-bound", 82)]
)
def test_each_event_is_known_from_its_version_on(house: House, name: str, since: int) -> None:
    server = house.boot()["id"]
    assert _tell(house, _event(server, name, tag="x"), version=f"2.{since - 1}").status_code == 400
    assert _tell(house, _event(server, name, tag="x"), version=f"2.{since}").status_code == 200


def test_only_services_and_administrators_tell_of_servers(house: House) -> None:
    house.add_person("member", "demo", "member")
    server = house.boot()["id"]
    assert _tell(house, _event(server), user="member").status_code == 403


def test_a_change_of_power_is_believed_and_recorded(house: House) -> None:
    server = house.boot()["id"]
    assert _tell(house, _event(server, "power-update", tag="POWER_OFF")).status_code == 200
    assert house.show(server)["status"] == "SHUTOFF"
    assert ledger_of(house, server) == ("stop", [("compute_power_update", "Success")])
    assert _tell(house, _event(server, "power-update", tag="POWER_ON")).status_code == 200
    assert house.show(server)["status"] == "ACTIVE"
    assert ledger_of(house, server) == ("start", [("compute_power_update", "Success")])


def test_a_power_that_is_as_it_was_changes_nothing(house: House) -> None:
    server = house.boot()["id"]
    _tell(house, _event(server, "power-update", tag="POWER_ON"))
    assert house.show(server)["status"] == "ACTIVE"
    assert actions_of(house, server) == ["start", "create"]


def test_a_tag_that_is_no_power_is_taken_and_dropped(house: House) -> None:
    server = house.boot()["id"]
    assert _tell(house, _event(server, "power-update", tag="POWER_MAYBE")).json()["events"][0]["code"] == 200
    assert actions_of(house, server) == ["create"]


def test_a_volume_that_grew_is_recorded_as_one_that_the_server_does_not_have(house: House) -> None:
    server, volume = house.boot()["id"], str(uuid4())
    assert _tell(house, _event(server, "volume-extended", tag=volume)).status_code == 200
    assert ledger_of(house, server) == ("extend_volume", [("compute_extend_volume", "Error")])
    assert house.show(server)["status"] == "ACTIVE"


# --- crash dumps -------------------------------------------------------------------------------------------


def test_a_crash_dump_leaves_the_server_as_it_is(house: House) -> None:
    server = house.boot()["id"]
    assert house.act(server, {"trigger_crash_dump": None}).status_code == 202
    assert house.show(server)["OS-EXT-STS:task_state"] is None
    house.settle()
    assert house.show(server)["status"] == "ACTIVE"
    assert ledger_of(house, server) == ("trigger_crash_dump", [("compute_trigger_crash_dump", "Success")])
    assert "non-maskable interrupt" in house.console(server)


def test_a_stopped_server_has_nothing_to_dump(house: House) -> None:
    server = house.boot()["id"]
    house.act(server, {"os-stop": None})
    house.settle()
    reply = house.act(server, {"trigger_crash_dump": None})
    text = f"Cannot 'trigger_crash_dump' instance {server} while it is in vm_state stopped"
    assert (reply.status_code, told(reply)) == (409, text)


def test_a_crash_dump_is_not_known_before_its_version(house: House) -> None:
    server = house.boot()["id"]
    assert house.act(server, {"trigger_crash_dump": None}, version="2.16").status_code == 404
