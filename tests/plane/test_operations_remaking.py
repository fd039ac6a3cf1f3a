"""Suspend, resume, rescue, unrescue, rebuild and change of password, through the API (contract §6.6)."""

from typing import Any
from uuid import uuid4

import pytest

from kilonova.images.guests import tiny
from tests.backends.driver.images import bootable_cd
from tests.plane.house import House
from tests.waiting import wait_until


def _ledger(house: House, server_id: str) -> tuple[str, list[tuple[str, str | None]]]:
    """The newest action of the server, and its events in the order of time with their results."""
    path = f"/servers/{server_id}/os-instance-actions"
    newest = house.call("GET", path).json()["instanceActions"][0]
    shown = house.call("GET", f"{path}/{newest['request_id']}").json()["instanceAction"]
    return shown["action"], [(event["event"], event["result"]) for event in reversed(shown["events"])]


def _state(house: House, server_id: str) -> tuple[str, str | None, int]:
    shown = house.show(server_id)
    return shown["status"], shown["OS-EXT-STS:task_state"], shown["OS-EXT-STS:power_state"]


def _told(reply: Any) -> str:
    """What the error body says."""
    (body,) = reply.json().values()
    text: str = body["message"]
    return text


@pytest.fixture
def other_image(house: House) -> str:
    return house.add_image("other", tiny.image())


# --- suspend and resume ------------------------------------------------------------------------------------


def test_a_suspended_server_is_resumed(house: House) -> None:
    server = house.boot()["id"]
    assert house.act(server, {"suspend": None}).status_code == 202
    assert _state(house, server) == ("ACTIVE", "suspending", 1)
    house.settle()
    assert _state(house, server) == ("SUSPENDED", None, 4)
    assert _ledger(house, server) == ("suspend", [("compute_suspend_instance", "Success")])
    assert house.act(server, {"resume": None}).status_code == 202
    assert _state(house, server) == ("SUSPENDED", "resuming", 4)
    house.settle()
    assert _state(house, server) == ("ACTIVE", None, 1)
    assert _ledger(house, server) == ("resume", [("compute_resume_instance", "Success")])


def test_a_suspended_server_is_suspended_no_further(house: House) -> None:
    server = house.boot()["id"]
    house.act(server, {"suspend": None})
    house.settle()
    reply = house.act(server, {"suspend": None})
    text = f"Cannot 'suspend' instance {server} while it is in vm_state suspended"
    assert (reply.status_code, _told(reply)) == (409, text)


@pytest.mark.parametrize("verb", ["suspend", "resume", "rescue", "unrescue"])
def test_what_fails_on_the_host_puts_the_server_into_error_with_the_reason(house: House, verb: str) -> None:
    server = house.boot(metadata={"sim:fail": f"{verb}:disk_full"})["id"]
    before = {"resume": "suspend", "unrescue": "rescue"}.get(verb)
    if before:
        house.act(server, {before: None})
        house.settle()
    house.act(server, {verb: None})
    house.settle()
    shown = house.show(server)
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ERROR", None)
    told = "simulated: the host's disk is full"
    if verb == "rescue":
        told = f"Instance {server} cannot be rescued: Driver Error: {told}"
    assert (shown["fault"]["code"], shown["fault"]["message"]) == (400 if verb == "rescue" else 500, told)
    assert ("details" in shown["fault"]) is (verb != "rescue")
    assert _ledger(house, server)[1] == [(f"compute_{verb}_instance", "Error")]


# --- rescue ------------------------------------------------------------------------------------------------


def test_a_rescued_server_has_a_password_of_its_own_and_comes_back(house: House) -> None:
    booted = house.boot()
    server = booted["id"]
    reply = house.act(server, {"rescue": {"adminPass": "let-me-in"}})
    assert (reply.status_code, reply.json()) == (200, {"adminPass": "let-me-in"})
    assert _state(house, server) == ("ACTIVE", "rescuing", 1)
    house.settle()
    assert _state(house, server) == ("RESCUE", None, 1)
    assert house.show(server)["OS-SRV-USG:launched_at"] > booted["OS-SRV-USG:launched_at"]
    assert _ledger(house, server) == ("rescue", [("compute_rescue_instance", "Success")])
    assert house.act(server, {"unrescue": None}).status_code == 202
    house.settle()
    assert _state(house, server) == ("ACTIVE", None, 1)
    assert _ledger(house, server) == ("unrescue", [("compute_unrescue_instance", "Success")])


def test_a_password_is_made_for_who_names_none(house: House) -> None:
    reply = house.act(house.boot()["id"], {"rescue": None})
    assert len(reply.json()["adminPass"]) == 12


def test_a_stopped_server_can_be_rescued_from_another_image(house: House, other_image: str) -> None:
    server = house.boot()["id"]
    house.act(server, {"os-stop": None})
    house.settle()
    assert house.act(server, {"rescue": {"rescue_image_ref": other_image}}).status_code == 200
    house.settle()
    assert _state(house, server) == ("RESCUE", None, 1)


def test_a_rescue_image_must_be_there_and_boot_as_a_disk(house: House) -> None:
    server = house.boot()["id"]
    for image in (str(uuid4()), house.add_image("a CD", bootable_cd(), disk_format="iso")):
        reply = house.act(server, {"rescue": {"rescue_image_ref": image}})
        assert (reply.status_code, _told(reply)) == (400, f"Requested rescue image '{image}' is not supported")
    assert house.act(server, {"rescue": {"rescue_image_ref": "no-uuid"}}).status_code == 400
    assert _state(house, server) == ("ACTIVE", None, 1)
    assert _ledger(house, server)[0] == "create"


# --- rebuild -----------------------------------------------------------------------------------------------


def test_a_rebuilt_server_has_the_new_image_and_what_came_with_it(house: House, other_image: str) -> None:
    booted = house.boot(metadata={"old": "1"}, description="old")
    wanted = {
        "imageRef": other_image,
        "name": "rebuilt",
        "adminPass": "let-me-in",
        "metadata": {"new": "2"},
        "description": None,
        "accessIPv4": "192.0.2.7",
        "user_data": "aGVsbG8=",
        "hostname": "rebuilt.example",
    }
    reply = house.act(booted["id"], {"rebuild": wanted}, version="2.96")
    told = reply.json()["server"]
    assert (reply.status_code, reply.headers["Location"].endswith(f"/servers/{booted['id']}")) == (202, True)
    assert (told["status"], told["OS-EXT-STS:task_state"], told["image"]["id"]) == (
        "REBUILD",
        "rebuilding",
        other_image,
    )
    assert (told["name"], told["metadata"], told["description"]) == ("rebuilt", {"new": "2"}, None)
    assert (told["adminPass"], told["user_data"], told["accessIPv4"]) == ("let-me-in", "aGVsbG8=", "192.0.2.7")
    assert "OS-EXT-SRV-ATTR:user_data" not in told
    house.settle()
    shown = house.show(booted["id"])
    assert (shown["status"], shown["OS-EXT-STS:task_state"], shown["image"]["id"]) == ("ACTIVE", None, other_image)
    assert (shown["name"], shown["metadata"]) == ("rebuilt", {"new": "2"})
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "rebuilt.example"
    assert shown["OS-SRV-USG:launched_at"] > booted["OS-SRV-USG:launched_at"]
    events = [("rebuild_server", "Success"), ("compute_rebuild_instance", "Success")]
    assert _ledger(house, booted["id"]) == ("rebuild", events)


def test_a_rebuild_shows_its_steps(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"rebuild": {"imageRef": server["image"]["id"]}})
    house.settle()
    events = house.call("GET", "//state/v1/events?limit=1000").json()["events"]
    mine = [event for event in events if event["key"] == server["id"] and event["operation"] == "rebuild"]
    states = [event["snapshot"]["task_state"] for event in mine]
    assert list(dict.fromkeys(states)) == ["rebuilding", "rebuild_block_device_mapping", "rebuild_spawning", None]


def test_a_stopped_server_is_stopped_after_its_rebuild(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"os-stop": None})
    house.settle()
    reply = house.act(server["id"], {"rebuild": {"imageRef": server["image"]["id"]}})
    assert reply.json()["server"]["status"] == "REBUILD"
    house.settle()
    assert _state(house, server["id"]) == ("SHUTOFF", None, 4)


@pytest.mark.parametrize("version, has", [("2.1", False), ("2.54", True), ("2.57", True)])
def test_what_a_rebuild_tells_grows_with_the_version(house: House, version: str, has: bool) -> None:
    server = house.boot()
    body = {"rebuild": {"imageRef": server["image"]["id"]}}
    told = house.act(server["id"], body, version=version).json()["server"]
    assert ("key_name" in told) is has
    assert ("user_data" in told) is (version == "2.57")
    assert "adminPass" in told
    assert "OS-EXT-STS:vm_state" not in told


def test_a_rebuild_needs_an_image_that_is_there(house: House) -> None:
    server = house.boot()["id"]
    reply = house.act(server, {"rebuild": {"imageRef": str(uuid4())}})
    assert (reply.status_code, _told(reply)) == (400, "Cannot find image for rebuild")
    assert _state(house, server) == ("ACTIVE", None, 1)


def test_a_rebuild_takes_no_more_metadata_than_a_server_may_have(house: House) -> None:
    server = house.boot()
    wanted = {"imageRef": server["image"]["id"], "metadata": {f"key{number}": "" for number in range(129)}}
    assert house.act(server["id"], {"rebuild": wanted}).status_code == 403


@pytest.mark.parametrize("key, version", [("description", "2.18"), ("key_name", "2.53"), ("user_data", "2.56")])
def test_a_rebuild_takes_only_what_its_version_knows(house: House, key: str, version: str) -> None:
    server = house.boot()
    reply = house.act(server["id"], {"rebuild": {"imageRef": server["image"]["id"], key: None}}, version=version)
    assert f"('{key}' was unexpected)" in _told(reply)


def test_a_rebuild_that_fails_leaves_an_error_and_can_be_tried_again(house: House) -> None:
    server = house.boot()
    image = server["image"]["id"]
    house.act(server["id"], {"rebuild": {"imageRef": image, "metadata": {"sim:fail": "spawn:disk_full"}}})
    house.settle()
    shown = house.show(server["id"])
    assert (shown["status"], shown["fault"]["message"]) == ("ERROR", "simulated: the host's disk is full")
    assert _ledger(house, server["id"])[1] == [("rebuild_server", "Success"), ("compute_rebuild_instance", "Error")]
    reply = house.act(server["id"], {"rebuild": {"imageRef": image, "metadata": {}}})
    assert reply.json()["server"]["status"] == "REBUILD"
    assert "fault" not in reply.json()["server"]
    house.settle()
    assert _state(house, server["id"]) == ("ACTIVE", None, 1)


def test_a_server_that_is_being_rebuilt_can_be_deleted(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"rebuild": {"imageRef": server["image"]["id"]}})
    assert house.call("DELETE", f"/servers/{server['id']}").status_code == 204
    house.settle()
    assert house.call("GET", f"/servers/{server['id']}").status_code == 404


def test_a_locked_server_is_not_rebuilt_by_its_owner(house: House) -> None:
    house.add_person("member", "demo", "member")
    server = house.boot(user="member")
    house.act(server["id"], {"lock": None}, user="member")
    reply = house.act(server["id"], {"rebuild": {"imageRef": server["image"]["id"]}}, user="member")
    assert (reply.status_code, _told(reply)) == (409, f"Instance {server['id']} is locked")


# --- password ----------------------------------------------------------------------------------------------


def test_a_password_is_set_and_written_nowhere(house: House) -> None:
    server = house.boot()["id"]
    assert house.act(server, {"changePassword": {"adminPass": "a-very-secret-word"}}).status_code == 202
    assert _state(house, server) == ("PASSWORD", "updating_password", 1)
    house.settle()
    assert _state(house, server) == ("ACTIVE", None, 1)
    assert _ledger(house, server) == ("changePassword", [("compute_set_admin_password", "Success")])
    with house.cloud.database.read() as connection:
        dump = "".join(connection.connection.dbapi_connection.iterdump())  # type: ignore[union-attr]
    assert "a-very-secret-word" not in dump


def test_a_password_that_its_guest_does_not_take_leaves_the_server_active(house: House) -> None:
    server = house.boot(metadata={"sim:fail": "set_password"})["id"]
    house.act(server, {"changePassword": {"adminPass": "word"}})
    house.settle()
    assert _state(house, server) == ("ACTIVE", None, 1)
    assert _ledger(house, server) == ("changePassword", [("compute_set_admin_password", "Error")])


def test_what_a_driver_turns_out_not_to_know_leaves_the_server_as_it_was(house: House) -> None:
    server = house.boot(metadata={"sim:fail": "suspend:not_supported"})["id"]
    house.act(server, {"suspend": None})
    house.settle()
    assert _state(house, server) == ("ACTIVE", None, 1)
    assert _ledger(house, server) == ("suspend", [("compute_suspend_instance", "Error")])


# --- what happens meanwhile ---------------------------------------------------------------------------------


def test_a_guest_that_stops_by_itself_when_it_was_rebuilt_is_seen(house: House) -> None:
    server = house.boot()
    wanted = {"imageRef": server["image"]["id"], "metadata": {"sim:power": "stopped"}}
    house.act(server["id"], {"rebuild": wanted})

    def is_off() -> bool:
        house.settle()
        return _state(house, server["id"]) == ("SHUTOFF", None, 4)

    wait_until(is_off, "the server to be off")
