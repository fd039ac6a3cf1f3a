"""createImage and createBackup through the API (contract §6.6.2)."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from kilonova.domain.images import ImageStatus
from kilonova.domain.model import after
from tests.plane.house import House
from tests.plane.ledger import ledger_of, states_of, told

STEPS = ["image_snapshot_pending", "image_snapshot", "image_pending_upload", "image_uploading", None]


def _image(house: House, image_id: str) -> dict[str, Any]:
    reply = house.call("GET", f"//image/v2/images/{image_id}")
    assert reply.status_code == 200, reply.text
    shown: dict[str, Any] = reply.json()
    return shown


def _snapshot(house: House, server: str, name: str = "snap", **how: Any) -> str:
    reply = house.act(server, {"createImage": {"name": name, **how}})
    assert reply.status_code == 202, reply.text
    image_id: str = reply.json()["image_id"]
    return image_id


def _backup(house: House, server: str, name: str, rotation: int, kind: str = "daily") -> Any:
    body = {"createBackup": {"name": name, "backup_type": kind, "rotation": rotation}}
    reply = house.act(server, body)
    assert reply.status_code == 202, reply.text
    house.settle()
    return reply


def _names(house: House) -> list[str]:
    listed = house.call("GET", "//image/v2/images?limit=100").json()["images"]
    return sorted(image["name"] for image in listed if image["name"] != "tiny")


def test_an_image_is_made_of_a_server_that_goes_on(house: House) -> None:
    server = house.boot()
    image = _snapshot(house, server["id"], metadata={"purpose": "test"})
    waiting = _image(house, image)
    assert (waiting["status"], waiting["name"]) == ("queued", "snap")
    assert house.show(server["id"])["OS-EXT-STS:task_state"] == "image_snapshot_pending"
    house.settle()
    made = _image(house, image)
    assert (made["status"], made["visibility"], made["owner"]) == ("active", "private", server["tenant_id"])
    assert made["size"] > 0
    expected = {
        "instance_uuid": server["id"],
        "user_id": server["user_id"],
        "image_type": "snapshot",
        "base_image_ref": server["image"]["id"],
        "purpose": "test",
    }
    assert {key: made[key] for key in expected} == expected
    shown = house.show(server["id"])
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
    assert ledger_of(house, server["id"]) == ("createImage", [("compute_snapshot_instance", "Success")])
    assert states_of(house, server["id"], "create_image") == STEPS


def test_a_snapshot_may_be_called_otherwise_by_its_maker_but_is_of_its_server(house: House) -> None:
    server = house.boot()["id"]
    made = _image(house, _snapshot(house, server, metadata={"image_type": "golden", "instance_uuid": "another"}))
    assert (made["image_type"], made["instance_uuid"]) == ("golden", server)


def test_an_image_asks_for_a_disk_as_large_as_the_servers(house: House) -> None:
    server = house.boot(flavorRef="2")["id"]
    assert _image(house, _snapshot(house, server))["min_disk"] == 20


def test_an_image_inherits_what_is_said_of_its_base_but_not_of_its_bytes(house: House) -> None:
    base = house.image_id()
    patch = [
        {"op": "add", "path": "/hw_disk_bus", "value": "virtio"},
        {"op": "add", "path": "/img_signature", "value": "of other bytes"},
    ]
    sent = {"X-Auth-Token": house.token(), "Content-Type": "application/openstack-images-v2.1-json-patch"}
    assert house.raw("PATCH", f"/image/v2/images/{base}", json=patch, headers=sent).status_code == 200
    made = _image(house, _snapshot(house, house.boot()["id"]))
    assert made["hw_disk_bus"] == "virtio"
    assert "img_signature" not in made


def test_where_the_new_image_is_told_depends_on_the_version(house: House) -> None:
    server = house.boot()["id"]
    old = house.act(server, {"createImage": {"name": "old"}}, version="2.44")
    assert (old.status_code, old.content) == (202, b"")
    image = old.headers["Location"].rsplit("/", 1)[1]
    assert old.headers["Location"] == f"http://cloud.test:8774/image/v2/images/{image}"
    house.settle()
    assert _image(house, image)["name"] == "old"
    new = house.act(server, {"createImage": {"name": "new"}}, version="2.45")
    assert (new.status_code, set(new.json())) == (202, {"image_id"})
    assert "/images/" not in new.headers.get("Location", "")


def test_a_server_boots_from_its_image(house: House) -> None:
    server = house.boot()["id"]
    image = _snapshot(house, server)
    house.settle()
    assert house.boot("copy", imageRef=image)["status"] == "ACTIVE"


@pytest.mark.parametrize("verb, state", [("os-stop", "SHUTOFF"), ("pause", "PAUSED"), ("suspend", "SUSPENDED")])
def test_an_image_is_made_of_a_server_that_does_not_run(house: House, verb: str, state: str) -> None:
    server = house.boot()["id"]
    house.act(server, {verb: None})
    house.settle()
    image = _snapshot(house, server)
    house.settle()
    assert _image(house, image)["status"] == "active"
    assert house.show(server)["status"] == state


def test_one_image_at_a_time_is_made_of_a_server(house: House) -> None:
    server = house.boot()["id"]
    _snapshot(house, server, "first")
    reply = house.act(server, {"createImage": {"name": "second"}})
    text = f"Cannot 'createImage' instance {server} while it is in task_state image_snapshot_pending"
    assert (reply.status_code, told(reply)) == (409, text)
    assert _names(house) == ["first"]


def test_a_lock_does_not_matter_to_an_image_but_to_a_backup(house: House) -> None:
    house.add_person("member", "demo", "member")
    server = house.boot(user="member")["id"]
    house.act(server, {"lock": None}, user="member")
    backup = {"createBackup": {"name": "b", "backup_type": "daily", "rotation": 1}}
    reply = house.act(server, backup, user="member")
    assert (reply.status_code, told(reply)) == (409, f"Instance {server} is locked")
    assert house.act(server, {"createImage": {"name": "snap"}}, user="member").status_code == 202


@pytest.mark.parametrize("cause, told_of_it", [("snapshot:disk_full", "the host's disk is full")])
def test_an_image_that_fails_is_gone_and_the_server_as_it_was(house: House, cause: str, told_of_it: str) -> None:
    server = house.boot(metadata={"sim:fail": cause})["id"]
    image = _snapshot(house, server)
    house.settle()
    shown = house.show(server)
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
    assert ledger_of(house, server) == ("createImage", [("compute_snapshot_instance", "Error")])
    assert house.call("GET", f"//image/v2/images/{image}").status_code == 404
    house.act(server, {"os-resetState": {"state": "error"}})
    assert house.show(server)["fault"]["message"] == f"simulated: {told_of_it}"


def test_an_image_that_is_too_large_for_the_image_service_says_so(tmp_path: Path) -> None:
    from tests.plane.house import lived_in

    with lived_in(tmp_path) as house:
        server = house.boot()["id"]
        house.cloud.images.most_bytes = 100
        image = _snapshot(house, server)
        house.settle()
        assert house.call("GET", f"//image/v2/images/{image}").status_code == 404
        house.act(server, {"os-resetState": {"state": "error"}})
        assert "at most 100 bytes" in house.show(server)["fault"]["message"]


def test_an_image_that_its_owner_deletes_before_it_is_made_stays_deleted(house: House) -> None:
    server = house.boot()["id"]
    image = _snapshot(house, server)
    assert house.call("DELETE", f"//image/v2/images/{image}").status_code == 204
    house.settle()
    assert house.call("GET", f"//image/v2/images/{image}").status_code == 404
    assert ledger_of(house, server)[1] == [("compute_snapshot_instance", "Error")]
    assert house.show(server)["status"] == "ACTIVE"


@pytest.mark.parametrize("how", ["reset", "late"])
def test_an_image_whose_maker_was_ended_by_others_does_not_wait_for_ever(house: House, how: str) -> None:
    server = house.boot()["id"]
    image = _snapshot(house, server)
    if how == "reset":
        house.act(server, {"os-resetState": {"state": "active"}})
    else:
        house.at = after(house.at, 2 * 3600)
        house.tidy()
    house.tidy()
    assert house.call("GET", f"//image/v2/images/{image}").status_code == 404
    assert house.show(server)["OS-EXT-STS:task_state"] is None


def test_an_image_that_somebody_else_makes_is_left_alone(house: House) -> None:
    server = house.boot()["id"]
    told_so = {"image_type": "snapshot", "instance_uuid": server}
    body = {"name": "mine", "disk_format": "raw", "container_format": "bare", **told_so}
    image = house.call("POST", "//image/v2/images", body).json()["id"]
    house.tidy()
    assert _image(house, image)["status"] == ImageStatus.QUEUED.value


@pytest.mark.parametrize("key", ["status", "owner", "os_glance_secret"])
def test_the_attributes_of_an_image_are_not_set_by_its_metadata(house: House, key: str) -> None:
    server = house.boot()["id"]
    reply = house.act(server, {"createImage": {"name": "snap", "metadata": {key: "x"}}})
    assert reply.status_code == 400
    assert house.show(server)["OS-EXT-STS:task_state"] is None
    assert _names(house) == []


def test_an_image_takes_no_more_metadata_than_the_quota_allows(house: House) -> None:
    server = house.boot()["id"]
    many = {f"key{number}": "" for number in range(129)}
    reply = house.act(server, {"createImage": {"name": "snap", "metadata": many}})
    assert (reply.status_code, told(reply)) == (403, "Image metadata limit exceeded")


# --- backups -----------------------------------------------------------------------------------------------


def test_of_the_backups_of_a_type_as_many_stay_as_the_rotation_says(house: House) -> None:
    server = house.boot()["id"]
    for number in range(1, 4):
        _backup(house, server, f"day-{number}", 2)
    assert _names(house) == ["day-2", "day-3"]
    _backup(house, server, "week-1", 1, kind="weekly")
    assert _names(house) == ["day-2", "day-3", "week-1"]


def test_a_backup_goes_through_its_steps_and_says_what_it_is(house: House) -> None:
    server = house.boot()["id"]
    reply = _backup(house, server, "day", 1)
    made = _image(house, reply.json()["image_id"])
    assert (made["image_type"], made["backup_type"], made["instance_uuid"]) == ("backup", "daily", server)
    assert ledger_of(house, server) == ("createBackup", [("compute_backup_instance", "Success")])
    assert states_of(house, server, "create_backup") == [
        "image_backup",
        "image_pending_upload",
        "image_uploading",
        None,
    ]


def test_a_backup_that_keeps_none_makes_none(house: House) -> None:
    server = house.boot()["id"]
    _backup(house, server, "day-1", 1)
    reply = _backup(house, server, "day-2", 0)
    assert reply.content == b""
    assert "/images/" not in reply.headers.get("Location", "")
    assert _names(house) == []
    assert ledger_of(house, server) == ("createBackup", [("compute_backup_instance", "Success")])


def test_the_backups_of_another_server_and_plain_images_are_left_alone(house: House) -> None:
    one, two = house.boot("one")["id"], house.boot("two")["id"]
    _snapshot(house, one, "plain")
    house.settle()
    _backup(house, one, "of-one", 1)
    _backup(house, two, "of-two", 1)
    assert _names(house) == ["of-one", "of-two", "plain"]


def test_a_rotation_is_a_number_from_nought(house: House) -> None:
    server = house.boot()["id"]
    body = {"name": "day", "backup_type": "daily", "rotation": -1}
    assert house.act(server, {"createBackup": body}).status_code == 400
    assert house.act(str(uuid4()), {"createBackup": {**body, "rotation": 1}}).status_code == 404
