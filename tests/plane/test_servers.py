"""The life of a server, through the API."""

from typing import Any

import pytest

from kilonova.store import ledger
from tests.plane.house import House


def test_a_server_is_built_and_becomes_active(house: House) -> None:
    server = house.boot()
    assert server["status"] == "ACTIVE"
    assert server["OS-EXT-STS:power_state"] == 1
    assert server["OS-EXT-STS:task_state"] is None
    assert server["OS-SRV-USG:launched_at"] is not None


def test_a_server_is_building_until_its_host_is_done(house: House) -> None:
    wanted = {"name": "web1", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
    reply = house.call("POST", "/servers", {"server": wanted})
    server = house.show(reply.json()["server"]["id"])
    assert (server["status"], server["OS-EXT-STS:task_state"]) == ("BUILD", "scheduling")
    assert server["addresses"] == {}


def test_a_server_on_the_built_in_network_has_an_address(house: House) -> None:
    server = house.boot(networks="auto")
    (address,) = server["addresses"]["private"]
    assert address["addr"].startswith("10.77.")
    assert address["OS-EXT-IPS-MAC:mac_addr"].startswith("fa:16:3e:")


LIFE: list[tuple[dict[str, Any], str, str, int]] = [
    ({"os-stop": None}, "powering-off", "SHUTOFF", 4),
    ({"os-start": None}, "powering-on", "ACTIVE", 1),
    ({"pause": None}, "pausing", "PAUSED", 3),
    ({"unpause": None}, "unpausing", "ACTIVE", 1),
    ({"reboot": {"type": "SOFT"}}, "rebooting", "ACTIVE", 1),
    ({"reboot": {"type": "HARD"}}, "rebooting_hard", "ACTIVE", 1),
]


def test_every_operation_shows_its_task_and_then_its_end(house: House) -> None:
    server = house.boot()
    for action, during, status, power in LIFE:
        reply = house.act(server["id"], action)
        assert (reply.status_code, reply.content) == (202, b""), action
        assert house.show(server["id"])["OS-EXT-STS:task_state"] == during
        house.settle()
        shown = house.show(server["id"])
        assert (shown["status"], shown["OS-EXT-STS:power_state"]) == (status, power), action


def test_a_deleted_server_is_gone_and_its_actions_stay(house: House) -> None:
    server = house.boot()
    assert house.call("DELETE", f"/servers/{server['id']}").status_code == 204
    assert house.show(server["id"])["OS-EXT-STS:task_state"] == "deleting"
    house.settle()
    assert house.call("GET", f"/servers/{server['id']}").status_code == 404
    actions = house.call("GET", f"/servers/{server['id']}/os-instance-actions").json()["instanceActions"]
    assert [action["action"] for action in actions] == ["delete", "create"]


def test_deleting_twice_leaves_one_action(house: House) -> None:
    server = house.boot()
    for _ in range(2):
        assert house.call("DELETE", f"/servers/{server['id']}").status_code == 204
    house.settle()
    actions = house.call("GET", f"/servers/{server['id']}/os-instance-actions").json()["instanceActions"]
    assert [action["action"] for action in actions] == ["delete", "create"]


def test_a_server_that_is_still_being_scheduled_can_be_deleted(house: House) -> None:
    wanted = {"name": "web1", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
    server_id = house.call("POST", "/servers", {"server": wanted}).json()["server"]["id"]
    assert house.call("DELETE", f"/servers/{server_id}").status_code == 204
    house.settle()
    assert house.call("GET", f"/servers/{server_id}").status_code == 404
    assert house.call("GET", "/servers").json()["servers"] == []


@pytest.mark.parametrize(
    "action, word, state",
    [
        ({"os-start": None}, "start", "vm_state active"),
        ({"unpause": None}, "unpause", "vm_state active"),
    ],
)
def test_what_the_state_forbids_is_refused_in_novas_words(
    house: House, action: dict[str, None], word: str, state: str
) -> None:
    server = house.boot()
    reply = house.act(server["id"], action)
    assert reply.status_code == 409
    text = f"Cannot '{word}' instance {server['id']} while it is in {state}"
    assert reply.json() == {"conflictingRequest": {"code": 409, "message": text}}


def test_what_is_asked_for_while_a_task_runs_is_refused(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"pause": None})
    reply = house.act(server["id"], {"os-stop": None})
    assert reply.status_code == 409
    assert reply.json()["conflictingRequest"]["message"].endswith("while it is in task_state pausing")


def test_a_hard_reboot_may_overtake_a_soft_one(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"reboot": {"type": "SOFT"}})
    assert house.act(server["id"], {"reboot": {"type": "HARD"}}).status_code == 202
    house.settle()
    shown = house.show(server["id"])
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None)


@pytest.mark.parametrize("version", ["2.1", "2.96"])
def test_servers_are_listed_in_brief_and_in_full(house: House, version: str) -> None:
    server = house.boot()
    (brief,) = house.call("GET", "/servers?name=web1", version=version).json()["servers"]
    assert brief == {"id": server["id"], "name": "web1", "links": server["links"]}
    (full,) = house.call("GET", "/servers/detail", version=version).json()["servers"]
    assert full["status"] == "ACTIVE"


def test_a_locked_server_obeys_its_administrator_alone(house: House) -> None:
    house.add_person("member", "demo", "member")
    server = house.boot(user="member")
    assert house.act(server["id"], {"lock": {"locked_reason": "audit"}}, user="member").status_code == 202
    shown = house.show(server["id"], user="member")
    assert (shown["locked"], shown["locked_reason"]) == (True, "audit")
    reply = house.act(server["id"], {"os-stop": None}, user="member")
    assert (reply.status_code, reply.json()["conflictingRequest"]["message"]) == (
        409,
        f"Instance {server['id']} is locked",
    )
    assert house.act(server["id"], {"os-stop": None}).status_code == 202
    house.settle()
    assert house.act(server["id"], {"unlock": None}, user="member").status_code == 202
    assert house.show(server["id"])["locked"] is False


def test_what_an_administrator_locked_its_owner_cannot_unlock(house: House) -> None:
    house.add_person("member", "tenant", "member")
    server = house.boot(user="member", project="tenant")
    assert house.act(server["id"], {"lock": None}).status_code == 202
    reply = house.act(server["id"], {"unlock": None}, user="member", project="tenant")
    assert reply.status_code == 403
    assert house.act(server["id"], {"unlock": None}).status_code == 202


def test_locking_twice_is_recorded_once(house: House) -> None:
    server = house.boot()
    for _ in range(2):
        assert house.act(server["id"], {"lock": None}).status_code == 202
    actions = house.call("GET", f"/servers/{server['id']}/os-instance-actions").json()["instanceActions"]
    assert [action["action"] for action in actions] == ["lock", "create"]


def test_a_reset_state_has_an_action_without_events(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"pause": None})
    assert house.act(server["id"], {"os-resetState": {"state": "error"}}).status_code == 202
    shown = house.show(server["id"])
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ERROR", None)
    assert "fault" not in shown
    action = house.call("GET", f"/servers/{server['id']}/os-instance-actions").json()["instanceActions"][0]
    path = f"/servers/{server['id']}/os-instance-actions/{action['request_id']}"
    assert (action["action"], house.call("GET", path).json()["instanceAction"]["events"]) == ("resetState", [])
    house.settle()
    assert house.show(server["id"])["status"] == "ERROR"


def test_a_forced_deletion_needs_no_task_to_end(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"pause": None})
    assert house.act(server["id"], {"forceDelete": None}).status_code == 202
    house.settle()
    assert house.call("GET", f"/servers/{server['id']}").status_code == 404


def test_nothing_that_a_client_sends_beside_what_is_known_gets_into_the_database(house: House) -> None:
    server = house.boot()
    secret = "hunter2-of-the-owner"
    sent = {
        "os-stop": {"adminPass": secret},
        "lock": {"locked_reason": "moving", "adminPass": secret},
        "reboot": {"type": "HARD"},
        "os-resetState": {"state": "active"},
        "rescue": {"adminPass": secret},
        "changePassword": {"adminPass": secret},
    }
    for action, value in sent.items():
        house.act(server["id"], {action: value}, version="2.1")
        house.settle()
    with house.cloud.database.read() as connection:
        kept = {action.operation: action.parameters for action in ledger.list_actions(connection, server["id"])}
        dump = list(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    assert kept["stop"] == {}
    assert kept["lock"] == {"locked_reason": "moving"}
    assert kept["reset_state"] == {"state": "active"}
    assert not any(secret in line for line in dump)
