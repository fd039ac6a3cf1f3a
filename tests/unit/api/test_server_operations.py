"""Update, delete, the actions, and what hangs below a server (contract §6.6, §11.9)."""

from dataclasses import replace
from typing import Any

import pytest

from kilonova.domain.operations import OPERATIONS
from kilonova.domain.states import TaskState, VmState
from tests.unit.api.cloud import ApiCloud, capture


def _act(cloud: ApiCloud, uuid: str, body: Any, version: str = "2.96", role: str = "member") -> Any:
    return cloud.call("POST", f"/servers/{uuid}/action", body, version=version, role=role)


def _task(cloud: ApiCloud, uuid: str) -> Any:
    return cloud.get(f"/servers/{uuid}")["server"]["OS-EXT-STS:task_state"]


@pytest.mark.parametrize(
    "body, task",
    [
        ({"os-stop": None}, "powering-off"),
        ({"pause": None}, "pausing"),
        ({"reboot": {"type": "SOFT"}}, "rebooting"),
        ({"reboot": {"type": "Hard"}}, "rebooting_hard"),
    ],
)
def test_an_accepted_action_has_no_body_and_shows_at_once(cloud: ApiCloud, body: Any, task: str) -> None:
    uuid = cloud.boot()
    reply = _act(cloud, uuid, body)
    assert (reply.status_code, reply.content, "/operations/req-" in reply.headers["location"]) == (202, b"", True)
    assert _task(cloud, uuid) == task


def test_an_unknown_action_is_refused_with_a_real_novas_sentence(cloud: ApiCloud) -> None:
    reply = _act(cloud, cloud.boot(), {"nonsense": None})
    assert (reply.status_code, reply.json()) == (400, capture("error-bad-action@latest")["body"])


@pytest.mark.parametrize("body", [{}, [], "os-start", {"os-start": None, "os-stop": None}, 1])
def test_an_action_is_an_object_with_one_key(cloud: ApiCloud, body: Any) -> None:
    reply = _act(cloud, cloud.boot(), body)
    assert (reply.status_code, reply.json()["badRequest"]["message"]) == (400, "Malformed request body")


@pytest.mark.parametrize(
    "body, text",
    [
        ({"reboot": {}}, "Invalid input for field/attribute reboot. Value: {}. 'type' is a required property"),
        ({"reboot": {"type": "x"}}, "'x' is not one of ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']"),
        ({"trigger_crash_dump": {}}, "attribute trigger_crash_dump. Value: {}. {} is not of type 'null'"),
    ],
)
def test_an_actions_value_is_checked(cloud: ApiCloud, body: Any, text: str) -> None:
    assert text in _act(cloud, cloud.boot(), body).json()["badRequest"]["message"]


def test_a_state_that_forbids_an_action_is_told_in_a_real_novas_words(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    reply = _act(cloud, uuid, {"os-start": None})
    wanted = capture("error-conflict@latest")
    text = wanted["body"]["conflictingRequest"]["message"].replace("95dc0124-5678-4d80-b099-1d2fbae23b5a", uuid)
    assert (reply.status_code, reply.json()["conflictingRequest"]["message"]) == (409, text)


def test_an_action_is_not_found_before_the_version_that_it_came_with(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    early = _act(cloud, uuid, {"trigger_crash_dump": None}, version="2.16")
    assert (early.status_code, early.json()["itemNotFound"]["message"]) == (404, "The resource could not be found.")
    assert _act(cloud, uuid, {"trigger_crash_dump": None}, version="2.17").status_code == 202


def test_what_the_driver_of_a_servers_host_does_not_do_says_so(cloud: ApiCloud) -> None:
    cloud.plane.unable = frozenset({"change_password", "suspend"})
    uuid = cloud.boot()
    reply = _act(cloud, uuid, {"changePassword": {"adminPass": "word"}})
    assert (reply.status_code, reply.json()["notImplemented"]["message"]) == (501, "Unable to set password on instance")
    reply = _act(cloud, uuid, {"suspend": None})
    assert (reply.status_code, reply.json()["notImplemented"]["message"]) == (
        501,
        "The server's host cannot do 'suspend'.",
    )
    assert _task(cloud, uuid) is None
    cloud.move(uuid, vm_state=VmState.PAUSED)
    assert _act(cloud, uuid, {"suspend": None}).status_code == 409


@pytest.mark.parametrize("value", [None, {}, {"adminPass": 1}, {"adminPass": "x", "more": 1}])
def test_a_password_to_be_set_is_a_text(cloud: ApiCloud, value: Any) -> None:
    assert _act(cloud, cloud.boot(), {"changePassword": value}).status_code == 400


def test_a_password_is_refused_where_only_an_agent_could_set_it_and_the_image_has_none(cloud: ApiCloud) -> None:
    cloud.plane.needs_agent = True
    wanted = {"changePassword": {"adminPass": "word"}}
    uuid = cloud.boot()
    reply = _act(cloud, uuid, wanted)
    assert (reply.status_code, reply.json()["conflictingRequest"]["message"]) == (
        409,
        "QEMU guest agent is not enabled",
    )
    assert _task(cloud, uuid) is None
    assert cloud.plane.gallery.image is not None
    cloud.plane.gallery.image = replace(cloud.plane.gallery.image, properties_json='{"hw_qemu_guest_agent": "yes"}')
    assert _act(cloud, cloud.boot(), wanted).status_code == 202


def test_a_password_of_a_locked_server_is_refused_as_an_invalid_state(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    cloud.move(uuid, locked_by="owner")
    reply = _act(cloud, uuid, {"changePassword": {"adminPass": "word"}})
    text = f"Instance {uuid} is in an invalid state for 'changePassword'"
    assert (reply.status_code, reply.json()["conflictingRequest"]["message"]) == (409, text)


def test_an_action_that_nova_removed_is_gone(cloud: ApiCloud) -> None:
    assert _act(cloud, cloud.boot(), {"resetNetwork": None}).status_code == 410


def test_a_locked_server_is_left_alone_except_by_an_administrator(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    cloud.move(uuid, locked_by="owner")
    reply = _act(cloud, uuid, {"os-stop": None})
    assert (reply.status_code, reply.json()["conflictingRequest"]["message"]) == (409, f"Instance {uuid} is locked")
    assert cloud.call("DELETE", f"/servers/{uuid}", role="member").status_code == 409
    assert _act(cloud, uuid, {"os-stop": None}, role="admin").status_code == 202


def test_a_lock_is_taken_off_by_its_own_kind_or_by_who_may_override(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    assert _act(cloud, uuid, {"lock": {"locked_reason": "moving"}}, version="2.73").status_code == 202
    shown = cloud.get(f"/servers/{uuid}", version="2.73")["server"]
    assert (shown["locked"], shown["locked_reason"]) == (True, "moving")
    assert _act(cloud, uuid, {"unlock": None}).status_code == 202
    cloud.move(uuid, locked_by="admin")
    reply = _act(cloud, uuid, {"unlock": None})
    rule = "Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override to be performed."
    assert (reply.status_code, reply.json()["forbidden"]["message"]) == (403, rule)
    assert _act(cloud, uuid, {"unlock": None}, role="admin").status_code == 202


@pytest.mark.parametrize("value", [None, {}, {"state": "deleted"}, {"state": "active", "more": 1}])
def test_a_state_can_be_reset_only_to_active_or_error(cloud: ApiCloud, value: Any) -> None:
    uuid = cloud.boot()
    assert _act(cloud, uuid, {"os-resetState": value}, role="admin").status_code == 400
    assert _act(cloud, uuid, {"os-resetState": {"state": "error"}}, role="admin").status_code == 202
    assert cloud.get(f"/servers/{uuid}")["server"]["status"] == "ERROR"
    assert _act(cloud, uuid, {"os-resetState": {"state": "active"}}).status_code == 403


def test_a_reader_starts_nothing(cloud: ApiCloud) -> None:
    reply = _act(cloud, cloud.boot(), {"os-stop": None}, role="reader")
    rule = f"Policy doesn't allow {OPERATIONS['stop'].policy} to be performed."
    assert (reply.status_code, reply.json()["forbidden"]["message"]) == (403, rule)


@pytest.mark.parametrize(
    "value,output",
    [({}, "one\ntwo\n"), ({"length": None}, "one\ntwo\n"), ({"length": 1}, ""), ({"length": "2"}, "two\n")],
)
def test_the_console_log_is_read_whole_or_by_lines_as_nova_counts_them(
    cloud: ApiCloud, value: Any, output: str
) -> None:
    uuid = cloud.boot()
    cloud.plane.console = "one\ntwo\n"
    assert _act(cloud, uuid, {"os-getConsoleOutput": value}).json() == {"output": output}
    assert _act(cloud, uuid, {"os-getConsoleOutput": None}).status_code == 400


def test_a_deletion_answers_204_without_a_body(cloud: ApiCloud) -> None:
    cloud.add_host()
    uuid = cloud.boot()
    reply = cloud.call("DELETE", f"/servers/{uuid}", role="member")
    assert (reply.status_code, reply.content) == (204, b"")
    assert _task(cloud, uuid) == "deleting"


def test_an_update_changes_what_describes_a_server(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    body = {"server": {"name": " new ", "description": None, "hostname": "new.example", "accessIPv4": "192.0.2.7"}}
    assert cloud.call("PUT", f"/servers/{uuid}", body, version="2.94").status_code == 400
    body["server"]["name"] = "new"
    shown = cloud.call("PUT", f"/servers/{uuid}", body, version="2.94", role="member").json()["server"]
    assert (shown["name"], shown["description"], shown["accessIPv4"]) == ("new", None, "192.0.2.7")
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "new.example"
    assert cloud.get(f"/servers/{uuid}")["server"]["name"] == "new"


@pytest.mark.parametrize("key, version", [("description", "2.18"), ("hostname", "2.89"), ("status", "2.96")])
def test_an_update_takes_only_what_its_version_knows(cloud: ApiCloud, key: str, version: str) -> None:
    reply = cloud.call("PUT", f"/servers/{cloud.boot()}", {"server": {key: "x"}}, version=version)
    assert f"('{key}' was unexpected)" in reply.json()["badRequest"]["message"]


def test_metadata_is_read_and_written_whole_and_by_item(cloud: ApiCloud) -> None:
    path = f"/servers/{cloud.boot(metadata={'a': '1'})}/metadata"
    assert cloud.get(path) == {"metadata": {"a": "1"}}
    assert cloud.call("POST", path, {"metadata": {"b": "2"}}).json() == {"metadata": {"a": "1", "b": "2"}}
    assert cloud.call("PUT", path + "/c", {"meta": {"c": "3"}}).json() == {"meta": {"c": "3"}}
    assert cloud.get(path + "/c") == {"meta": {"c": "3"}}
    assert cloud.call("DELETE", path + "/a").status_code == 204
    assert cloud.get(path) == {"metadata": {"b": "2", "c": "3"}}
    assert cloud.call("PUT", path, {"metadata": {}}).json() == {"metadata": {}}
    assert cloud.call("GET", path + "/a").json()["itemNotFound"]["message"] == "Metadata item was not found"
    assert cloud.call("PUT", path + "/a", {"meta": {"b": "3"}}).status_code == 400
    assert cloud.call("POST", path, {"metadata": {f"k{n}": "" for n in range(129)}}).status_code == 403


def test_tags_are_read_and_written_whole_and_one_by_one(cloud: ApiCloud) -> None:
    uuid = cloud.boot(tags=["two", "one"])
    path = f"/servers/{uuid}/tags"

    def call(method: str, below: str = "", body: Any = None) -> Any:
        return cloud.call(method, path + below, body, version="2.26", role="member")

    assert call("GET").json() == capture("server-tags@latest")["body"]
    assert (call("GET", "/one").status_code, call("GET", "/three").status_code) == (204, 404)
    added = call("PUT", "/three")
    assert (added.status_code, call("PUT", "/three").status_code) == (201, 204)
    assert added.headers["location"].endswith(f"/servers/{uuid}/tags/three")
    assert call("DELETE", "/one").status_code == 204
    assert call("DELETE", "/one").json()["itemNotFound"]["message"] == f"Instance {uuid} has no tag 'one'"
    assert call("PUT", "", {"tags": ["z", "a", "z"]}).json() == {"tags": ["a", "z"]}
    assert call("PUT", "", {"tags": ["a,b"]}).status_code == 400
    assert call("PUT", "", {"tags": [str(number) for number in range(50)]}).status_code == 200
    assert call("PUT", "/1").status_code == 400
    assert call("DELETE").status_code == 204
    assert call("GET").json() == {"tags": []}


def test_metadata_and_tags_are_not_written_while_the_state_forbids_it(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    cloud.move(uuid, vm_state=VmState.ERROR, task_state=None)
    assert cloud.call("POST", f"/servers/{uuid}/metadata", {"metadata": {}}).status_code == 409
    cloud.move(uuid, vm_state=VmState.STOPPED, task_state=TaskState.POWERING_ON)
    assert cloud.call("POST", f"/servers/{uuid}/metadata", {"metadata": {}}).status_code == 200


@pytest.mark.parametrize("version", ["2.1", "latest"])
def test_interfaces_have_the_form_of_a_real_novas_answer(cloud: ApiCloud, version: str) -> None:
    uuid = cloud.boot()
    path = f"/servers/{uuid}/os-interface"
    assert cloud.get(path)["interfaceAttachments"] == []
    cloud.move(uuid, nics_json='[{"mac":"fa:16:3e:d5:e1:18","address":"10.0.0.6","label":"private"}]')
    (ours,) = cloud.get(path, version=version)["interfaceAttachments"]
    (theirs,) = capture(f"server-interfaces@{version}")["body"]["interfaceAttachments"]
    assert list(ours) == list(theirs)
    assert (ours["mac_addr"], ours["port_state"]) == (theirs["mac_addr"], theirs["port_state"])
    shown = cloud.get(f"{path}/{ours['port_id']}", version=version)
    assert shown == {"interfaceAttachment": ours}
    assert cloud.call("GET", f"{path}/none").status_code == 404


def test_metadata_of_a_locked_server_is_its_administrators_and_tags_are_anybodys(cloud: ApiCloud) -> None:
    uuid = cloud.boot(metadata={"a": "1"})
    cloud.move(uuid, locked_by="owner")
    path = f"/servers/{uuid}/metadata"
    reply = cloud.call("POST", path, {"metadata": {"b": "2"}}, role="member")
    assert (reply.status_code, reply.json()["conflictingRequest"]["message"]) == (409, f"Instance {uuid} is locked")
    assert cloud.call("DELETE", path + "/a", role="member").status_code == 409
    assert cloud.call("DELETE", path + "/a", role="admin").status_code == 204
    assert cloud.call("PUT", f"/servers/{uuid}/tags/x", version="2.26", role="member").status_code == 201


@pytest.mark.parametrize(
    "method, path, body, what",
    [
        ("POST", "/metadata", {"metadata": {"a": "1"}}, "update metadata"),
        ("DELETE", "/metadata/a", None, "delete metadata"),
        ("PUT", "/tags/x", None, "update tags"),
        ("DELETE", "/tags", None, "delete tags"),
    ],
)
def test_what_is_not_written_in_this_state_says_what_it_was(
    cloud: ApiCloud, method: str, path: str, body: Any, what: str
) -> None:
    uuid = cloud.boot(metadata={"a": "1"})
    cloud.move(uuid, vm_state=VmState.RESCUED)
    reply = cloud.call(method, f"/servers/{uuid}{path}", body, version="2.26")
    text = f"Cannot '{what}' instance {uuid} while it is in vm_state rescued"
    assert (reply.status_code, reply.json()["conflictingRequest"]["message"]) == (409, text)


def test_addresses_are_told_without_their_types(cloud: ApiCloud) -> None:
    path = f"/servers/{cloud.boot()}/ips"
    assert cloud.get(path) == capture("server-ips@latest")["body"]
    assert cloud.get(path + "/private") == {"private": [{"version": 4, "addr": "10.0.0.6"}]}
    assert cloud.call("GET", path + "/public").status_code == 404
