"""What other clouds attach to servers: how it is said that Kilonova has none of it (contract §11.10, §6.6.2)."""

from typing import Any

import pytest

from kilonova.domain.states import TaskState, VmState
from kilonova.network.embedded import FlatNetwork
from kilonova.network.views import group_id
from tests.unit.api.cloud import DEMO, ApiCloud

ID = "11111111-2222-4333-8444-555555555555"
VOLUME = {"volumeAttachment": {"volumeId": ID}}
SHARE = {"share": {"share_id": ID}}
NO_VOLUME = f"Volume {ID} could not be found."


def _ask(cloud: ApiCloud, line: str, body: Any = None, version: str = "2.97", role: str = "member") -> tuple[int, str]:
    method, path = line.split(" ")
    reply = cloud.call(method, path, body, version=version, role=role)
    fault: dict[str, Any] = next(iter(reply.json().values())) if reply.content else {}
    return reply.status_code, fault.get("message", "")


def _act(cloud: ApiCloud, uuid: str, body: Any, version: str = "2.43", role: str = "member") -> tuple[int, str]:
    return _ask(cloud, f"POST /servers/{uuid}/action", body, version, role)


@pytest.mark.parametrize(
    "line, body, word",
    [
        ("POST /servers/{}/os-volume_attachments", VOLUME, "attach_volume"),
        (f"PUT /servers/{{}}/os-volume_attachments/{ID}", VOLUME, "swap_volume"),
        (f"DELETE /servers/{{}}/os-volume_attachments/{ID}", None, "detach_volume"),
    ],
)
def test_a_volume_is_not_found_once_the_server_could_take_it(cloud: ApiCloud, line: str, body: Any, word: str) -> None:
    uuid = cloud.boot()
    asked, role = line.format(uuid), "service" if word == "swap_volume" else "member"
    assert _ask(cloud, asked, body, role="admin") == (404, NO_VOLUME)
    assert _ask(cloud, asked, body, role="reader")[0] == 403, role
    cloud.move(uuid, vm_state=VmState.RESCUED)
    assert _ask(cloud, asked, body, role="admin") == (
        409,
        f"Cannot '{word}' instance {uuid} while it is in vm_state rescued",
    )
    cloud.move(uuid, vm_state=VmState.ACTIVE, task_state=TaskState.POWERING_OFF)
    assert _ask(cloud, asked, body, role="admin")[0] == 409
    cloud.move(uuid, task_state=None, locked_by="owner")
    if word != "swap_volume":
        assert _ask(cloud, asked, body) == (409, f"Instance {uuid} is locked")


@pytest.mark.parametrize(
    "version, wanted, status",
    [
        ("2.48", {"tag": "x"}, 400),
        ("2.49", {"tag": "x"}, 404),
        ("2.78", {"delete_on_termination": True}, 400),
        ("2.79", {"delete_on_termination": True}, 404),
        ("2.1", {"device": "/dev/vdb"}, 404),
        ("2.1", {"device": "not a device"}, 400),
        ("2.1", {"volumeId": "no uuid"}, 400),
    ],
)
def test_an_attachment_has_the_fields_of_its_version(
    cloud: ApiCloud, version: str, wanted: dict[str, Any], status: int
) -> None:
    body = {"volumeAttachment": {"volumeId": ID, **wanted}}
    assert _ask(cloud, f"POST /servers/{cloud.boot()}/os-volume_attachments", body, version)[0] == status


def test_a_server_has_no_volumes_and_no_shares(cloud: ApiCloud) -> None:
    server = f"/servers/{cloud.boot()}"
    assert cloud.get(server + "/os-volume_attachments?limit=1") == {"volumeAttachments": []}
    assert cloud.get(server + "/shares", version="2.97") == {"shares": []}
    assert _ask(cloud, f"GET {server}/os-volume_attachments/{ID}")[0] == 404
    assert _ask(cloud, f"GET {server}/shares/{ID}") == (404, f"Share {ID} could not be found.")


def test_a_share_is_not_found_once_the_server_is_stopped(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    for line, body in ((f"POST /servers/{uuid}/shares", SHARE), (f"DELETE /servers/{uuid}/shares/{ID}", None)):
        cloud.move(uuid, vm_state=VmState.ACTIVE)
        assert _ask(cloud, line, body)[0] == 409
        cloud.move(uuid, vm_state=VmState.STOPPED)
        assert _ask(cloud, line, body) == (404, f"Share {ID} could not be found.")
        assert _ask(cloud, line, body, version="2.96")[0] == 404
    assert _ask(cloud, f"POST /servers/{uuid}/shares", {"share": {}})[0] == 400


@pytest.mark.parametrize(
    "wanted, answer",
    [
        ({"net_id": ID, "port_id": ID}, (400, "Must not input both network_id and port_id")),
        ({"fixed_ips": [{"ip_address": "10.0.0.9"}]}, (400, "Must input network_id when request IP address")),
        ({"net_id": ID}, (404, f"Network {ID} could not be found.")),
        ({"port_id": ID}, (404, f"Port {ID} could not be found.")),
    ],
)
def test_an_interface_of_nowhere_is_not_plugged_in(cloud: ApiCloud, wanted: Any, answer: tuple[int, str]) -> None:
    uuid = cloud.boot()
    assert _ask(cloud, f"POST /servers/{uuid}/os-interface", {"interfaceAttachment": wanted}) == answer
    cloud.move(uuid, vm_state=VmState.SUSPENDED)
    if answer[0] == 404:
        text = f"Cannot 'attach_interface' instance {uuid} while it is in vm_state suspended"
        assert _ask(cloud, f"POST /servers/{uuid}/os-interface", {"interfaceAttachment": wanted}) == (409, text)


def test_a_host_that_cannot_plug_says_so_in_novas_words_and_nothing_is_kept(cloud: ApiCloud) -> None:
    cloud.plane.unable = frozenset({"attach_interface", "detach_interface"})
    uuid = cloud.boot()
    path = f"/servers/{uuid}/os-interface"
    refused = (400, f"Attaching interfaces is not supported for instance {uuid}.")
    assert _ask(cloud, f"POST {path}", {"interfaceAttachment": {"net_id": FlatNetwork.id}}) == refused
    assert _ask(cloud, f"POST {path}", {}) == refused
    assert _ask(cloud, f"POST {path}", None)[0] == 400
    plugged = cloud.get(path)["interfaceAttachments"]
    for interface in plugged:
        told = _ask(cloud, f"DELETE {path}/{interface['port_id']}")
        assert told == (501, "The requested functionality is not supported.")
    assert _ask(cloud, f"DELETE {path}/{ID}") == (404, f"Port {ID} could not be found.")
    assert cloud.get(path)["interfaceAttachments"] == plugged


def test_every_server_is_in_its_projects_group_and_no_other(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    for group in ("default", group_id(DEMO)):
        assert _act(cloud, uuid, {"addSecurityGroup": {"name": group}})[0] == 202
        assert _act(cloud, uuid, {"removeSecurityGroup": {"name": group}})[0] == 501
    text = f"Security group web not found for project {DEMO}."
    for action in ("addSecurityGroup", "removeSecurityGroup"):
        assert _act(cloud, uuid, {action: {"name": "web"}}, version="2.104") == (404, text)
        assert _act(cloud, uuid, {action: {}})[0] == 400
        assert _act(cloud, uuid, {action: {"name": "web"}}, role="reader")[0] == 403


def test_floating_addresses_are_not_found_until_2_43(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    for action in ("addFloatingIp", "removeFloatingIp"):
        assert _act(cloud, uuid, {action: {"address": "192.0.2.9"}}) == (404, "floating IP not found")
        assert _act(cloud, uuid, {action: {}})[0] == 400
        late = _act(cloud, uuid, {action: {"address": "192.0.2.9"}}, version="2.44")
        assert late == (404, "The resource could not be found.")
    assert _ask(cloud, "POST /os-floating-ips", {}, version="2.35") == (404, "Floating IP pool not found.")


def test_fixed_addresses_come_and_go_until_2_43(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    assert _act(cloud, uuid, {"addFixedIp": {"networkId": ID}}) == (
        404,
        f"Network could not be found for instance {uuid}.",
    )
    assert _act(cloud, uuid, {"removeFixedIp": {"address": "10.0.0.6"}}) == (
        400,
        f"Instance {uuid} does not have fixed IP '10.0.0.6'.",
    )
    assert _act(cloud, uuid, {"addFixedIp": {}})[0] == 400
    for body in ({"addFixedIp": {"networkId": FlatNetwork.id}}, {"removeFixedIp": {"address": "10.0.0.6"}}):
        assert _act(cloud, uuid, body, version="2.44") == (404, "The resource could not be found.")


def test_groups_do_not_change_and_others_are_not_found(cloud: ApiCloud) -> None:
    own = cloud.get("/os-security-groups")["security_groups"][0]["id"]
    for method in ("PUT", "DELETE"):
        assert _ask(cloud, f"{method} /os-security-groups/{own}", {}, version="2.35")[0] == 501
        answer = _ask(cloud, f"{method} /os-security-groups/{ID}", {}, version="2.35")
        assert answer == (404, f"Security group {ID} not found.")


def test_a_snapshot_of_a_volume_finds_no_volume(cloud: ApiCloud) -> None:
    body: dict[str, Any] = {"snapshot": {"volume_id": ID}}
    assert _ask(cloud, "POST /os-snapshots", body, version="2.35") == (404, NO_VOLUME)
    info = {"snapshot_id": "s", "type": "qcow2", "new_file": "f"}
    whole = {"snapshot": {"volume_id": ID, "create_info": info}}
    missing = f"No volume Block Device Mapping with id {ID}."
    assert _ask(cloud, "POST /os-assisted-volume-snapshots", whole, role="admin") == (404, missing)
    assert _ask(cloud, "POST /os-assisted-volume-snapshots", body, role="admin")[0] == 400
    path = "DELETE /os-assisted-volume-snapshots/s"
    assert _ask(cloud, path + f'?delete_info={{"volume_id":"{ID}"}}', role="admin") == (404, missing)
    for info_text in ("", "?delete_info=x", "?delete_info=[]", "?delete_info={}"):
        assert _ask(cloud, path + info_text, role="admin")[0] == 400


def test_network_info_is_injected_without_a_trace_unless_the_server_is_locked(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    assert _act(cloud, uuid, {"injectNetworkInfo": None}, role="admin") == (202, "")
    assert [each["action"] for each in cloud.get(f"/servers/{uuid}/os-instance-actions")["instanceActions"]] == [
        "create"
    ]
    assert _act(cloud, uuid, {"injectNetworkInfo": None}, role="manager")[0] == 403
