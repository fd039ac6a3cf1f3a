"""Servers whose image names a kernel and a ramdisk, through the API; and who may have whose."""

from typing import Any

import pytest

from kilonova.images.guests import tiny, tiny_kernel
from tests.plane.house import House

KERNEL_ID = "OS-EXT-SRV-ATTR:kernel_id"
RAMDISK_ID = "OS-EXT-SRV-ATTR:ramdisk_id"


def _part(house: House, kind: str, **facts: Any) -> str:
    """A kernel (``aki``) or a ramdisk (``ari``)."""
    content = tiny_kernel.image() if kind == "aki" else b"hello"
    return house.add_image(kind, content, **{"disk_format": kind, "container_format": kind, **facts})


def _disk(house: House, **facts: Any) -> str:
    """A disk of the kind that needs a kernel."""
    return house.add_image("disk", tiny.image(), **{"disk_format": "ami", "container_format": "ami", **facts})


def _refused(house: House, image: str, **who: str) -> str:
    """What is said to an order of a server of this image, which is refused."""
    server = {"name": "web", "flavorRef": "42", "imageRef": image, "networks": "none"}
    reply = house.call("POST", "/servers", {"server": server}, **who)
    assert reply.status_code == 400, reply.text
    text: str = reply.json()["badRequest"]["message"]
    return text


def _show_image(house: House, image: str) -> dict[str, Any]:
    shown: dict[str, Any] = house.call("GET", f"//image/v2/images/{image}").json()
    return shown


def test_a_server_boots_with_the_kernel_and_the_ramdisk_that_its_image_names(house: House) -> None:
    kernel, ramdisk = _part(house, "aki"), _part(house, "ari")
    server = house.boot(imageRef=_disk(house, kernel_id=kernel, ramdisk_id=ramdisk))
    assert (server["status"], server[KERNEL_ID], server[RAMDISK_ID]) == ("ACTIVE", kernel, ramdisk)
    assert f"kernel: image {kernel}" in house.console(server["id"])


@pytest.mark.parametrize("named", [{}, {"kernel_id": "nokernel", "ramdisk_id": "no-image"}, {"kernel_id": ""}])
def test_an_image_may_name_none(house: House, named: dict[str, str]) -> None:
    server = house.boot(imageRef=_disk(house, **named))
    assert (server["status"], server[KERNEL_ID], server[RAMDISK_ID]) == ("ACTIVE", "", "")
    assert "kernel: image" not in house.console(server["id"])


@pytest.mark.parametrize(
    "missing", ["5d0b1ae5-8a5c-4b7e-9d53-2f6b2c1a7e90", "no-uuid", "../../etc/passwd", "http://192.0.2.1/kernel"]
)
@pytest.mark.parametrize("part", ["kernel_id", "ramdisk_id"])
def test_a_part_that_is_not_there_is_refused(house: House, part: str, missing: str) -> None:
    image = _disk(house, **{"kernel_id": _part(house, "aki"), part: missing})
    assert _refused(house, image) == f"Image {missing} could not be found."


def test_another_projects_private_kernel_is_as_one_that_is_not_there(house: House) -> None:
    house.add_person("eve", "other", "member")
    eve = {"user": "eve", "project": "other"}
    private = _part(house, "aki", visibility="private")
    stolen = _disk(house, kernel_id=private, visibility="private", **eve)
    assert _refused(house, stolen, **eve) == f"Image {private} could not be found."
    server = house.boot(imageRef=_disk(house, visibility="private", **eve), **eve)["id"]
    for action in ({"rescue": {"rescue_image_ref": stolen}}, {"rebuild": {"imageRef": stolen}}):
        reply = house.act(server, action, **eve)
        assert (reply.status_code, reply.json()["badRequest"]["message"]) == (
            400,
            f"Image {private} could not be found.",
        )
    sent = {"X-Auth-Token": house.token()}
    share = {"path": "/visibility", "op": "replace", "value": "shared"}
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    assert house.raw("PATCH", f"/image/v2/images/{private}", json=[share], headers=sent | kind).status_code == 200
    member = {"member": house.call("GET", f"/servers/{server}", **eve).json()["server"]["tenant_id"]}
    assert house.call("POST", f"//image/v2/images/{private}/members", member).status_code == 200
    assert house.boot(imageRef=stolen, **eve)["status"] == "ACTIVE"


def test_a_part_must_have_data_and_its_own_format(house: House) -> None:
    wanted = {"name": "empty", "disk_format": "aki"}
    empty = house.call("POST", "//image/v2/images", wanted).json()["id"]
    assert _refused(house, _disk(house, kernel_id=empty)) == f"Image {empty} is not active."
    ramdisk = _part(house, "ari")
    assert "it must be aki or raw" in _refused(house, _disk(house, kernel_id=ramdisk))


def test_neither_a_kernel_nor_a_ramdisk_is_a_disk(house: House) -> None:
    server = house.boot()
    for kind in ("aki", "ari"):
        part = _part(house, kind)
        text = f"Image {part} is a kernel or a ramdisk, and not a disk to boot from."
        assert _refused(house, part) == text
        reply = house.act(server["id"], {"rebuild": {"imageRef": part}})
        assert (reply.status_code, reply.json()["badRequest"]["message"]) == (400, text)


@pytest.mark.parametrize("line", ["a" * 2048, "root=/dev/vda\nconsole=ttyS0", "root=é"])
def test_what_no_kernel_can_be_told_is_refused(house: House, line: str) -> None:
    assert "os_command_line cannot be used" in _refused(house, _disk(house, os_command_line=line))


def test_a_flavor_must_have_room_for_kernel_and_ramdisk(house: House) -> None:
    memory_mb = house.call("GET", "/flavors/42").json()["flavor"]["ram"]
    ramdisk = house.add_image("big", bytes((memory_mb << 20) + 1), disk_format="ari", container_format="ari")
    image = _disk(house, kernel_id=_part(house, "aki"), ramdisk_id=ramdisk)
    assert _refused(house, image) == "Flavor's memory is too small for requested image."


def test_a_rebuilt_server_has_the_kernel_of_its_new_image(house: House) -> None:
    first, second = _part(house, "aki"), _part(house, "aki")
    server = house.boot(imageRef=_disk(house, kernel_id=first, ramdisk_id=_part(house, "ari")))["id"]
    house.act(server, {"rebuild": {"imageRef": _disk(house, kernel_id=second)}})
    house.settle()
    shown = house.show(server)
    assert (shown["status"], shown[KERNEL_ID], shown[RAMDISK_ID]) == ("ACTIVE", second, "")
    assert f"kernel: image {second}" in house.console(server)
    house.act(server, {"rebuild": {"imageRef": house.image_id()}})
    house.settle()
    assert house.show(server)[KERNEL_ID] == ""


def test_a_server_with_a_kernel_is_rescued_and_comes_back(house: House) -> None:
    kernel = _part(house, "aki")
    server = house.boot(imageRef=_disk(house, kernel_id=kernel))["id"]
    for action, status in (({"rescue": None}, "RESCUE"), ({"unrescue": None}, "ACTIVE")):
        house.act(server, action)
        house.settle()
        assert house.show(server)["status"] == status
    assert house.console(server).count(f"kernel: image {kernel}") == 2


def test_an_image_of_a_server_goes_with_the_same_kernel(house: House) -> None:
    kernel, ramdisk = _part(house, "aki"), _part(house, "ari")
    server = house.boot(imageRef=_disk(house, kernel_id=kernel, ramdisk_id=ramdisk))["id"]
    snapshot = house.act(server, {"createImage": {"name": "copy"}}).json()["image_id"]
    house.settle()
    made = _show_image(house, snapshot)
    assert (made["status"], made["disk_format"], made["container_format"]) == ("active", "raw", "bare")
    assert (made["kernel_id"], made["ramdisk_id"]) == (kernel, ramdisk)
    copy = house.boot(imageRef=snapshot)
    assert (copy[KERNEL_ID], copy[RAMDISK_ID]) == (kernel, ramdisk)


def test_a_shelved_server_comes_back_with_its_kernel(house: House) -> None:
    kernel = _part(house, "aki")
    server = house.boot(imageRef=_disk(house, kernel_id=kernel))["id"]
    for action, status in (({"shelve": None}, "SHELVED_OFFLOADED"), ({"unshelve": None}, "ACTIVE")):
        house.act(server, action)
        for _ in range(6):
            house.settle()
        assert house.show(server)["status"] == status
    assert house.show(server)[KERNEL_ID] == kernel
    assert f"kernel: image {kernel}" in house.console(server)


@pytest.mark.parametrize(
    "formats, status",
    [
        ({"disk_format": "aki", "container_format": "bare"}, 400),
        ({"disk_format": "raw", "container_format": "ari"}, 400),
        ({"disk_format": "aki", "container_format": "ami"}, 400),
        ({"disk_format": "aki", "container_format": "aki"}, 201),
        ({"container_format": "ari"}, 201),
        ({"disk_format": "ami"}, 201),
    ],
)
def test_amazons_formats_go_with_themselves_only(house: House, formats: dict[str, str], status: int) -> None:
    reply = house.call("POST", "//image/v2/images", {"name": "part", **formats})
    assert reply.status_code == status
    if status == 201:
        (wanted,) = set(formats.values())
        assert (reply.json()["disk_format"], reply.json()["container_format"]) == (wanted, wanted)
    else:
        assert "Invalid mix of disk and container formats" in reply.text
