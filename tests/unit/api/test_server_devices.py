"""The disks and interfaces that a server is ordered with: what is the same as ever, and what there is none of."""

from typing import Any

import pytest

from kilonova.network.embedded import FlatNetwork
from tests.unit.api.cloud import IMAGE_ID, ApiCloud

VOLUME = "11111111-2222-4333-8444-555555555555"
ROOT = {"source_type": "image", "destination_type": "local", "boot_index": 0, "uuid": IMAGE_ID}
BLANK = {"source_type": "blank", "destination_type": "local", "boot_index": -1}
SWAP = {**BLANK, "guest_format": "swap"}
BAD = "Block Device Mapping is Invalid: "
ORDER = BAD + "Boot sequence for the instance and image/block device mapping combination is not valid."


def _create(cloud: ApiCloud, version: str = "2.67", flavor: str = "roomy", **wanted: Any) -> tuple[int, str]:
    body = {"name": "web1", "flavorRef": flavor, "imageRef": IMAGE_ID, "networks": "none", **wanted}
    if int(version.removeprefix("2.")) < 37:
        body.pop("networks")
    reply = cloud.call("POST", "/servers", {"server": body}, version=version, role="member")
    ((name, fault),) = reply.json().items()
    return reply.status_code, "" if name == "server" else fault["message"]


@pytest.fixture
def roomy(cloud: ApiCloud) -> ApiCloud:
    """A cloud with a flavor that has more than a root disk."""
    flavor = {"id": "roomy", "name": "roomy", "ram": 512, "vcpus": 1, "disk": 1, "swap": 1024}
    cloud.call("POST", "/flavors", {"flavor": {**flavor, "OS-FLV-EXT-DATA:ephemeral": 2}})
    return cloud


@pytest.mark.parametrize(
    "devices",
    [
        [ROOT],
        [{**ROOT, "boot_index": "0"}],
        [ROOT, BLANK, SWAP],
        [ROOT, {**BLANK, "volume_size": 2}, {**SWAP, "volume_size": "1"}],
        [SWAP],
    ],
)
def test_disks_that_image_and_flavor_give_anyway_may_be_named(roomy: ApiCloud, devices: Any) -> None:
    assert _create(roomy, block_device_mapping_v2=devices) == (202, "")


@pytest.mark.parametrize(
    "devices, text",
    [
        ([{**ROOT, "uuid": VOLUME}], BAD + "Mapping image to local is not supported."),
        ([ROOT, {**ROOT, "boot_index": 1}], BAD + "Mapping image to local is not supported."),
        ([{"source_type": "image", "destination_type": "local", "boot_index": 0}], BAD + "Missing device UUID."),
        ([{"source_type": "volume", "uuid": VOLUME, "boot_index": 0}], BAD + f"failed to get volume {VOLUME}."),
        ([{"volume_id": VOLUME}], BAD + f"failed to get volume {VOLUME}."),
        ([{"source_type": "snapshot", "uuid": VOLUME}], BAD + f"failed to get snapshot {VOLUME}."),
        ([ROOT, ROOT], ORDER),
        ([ROOT, {**BLANK, "boot_index": 2}], ORDER),
        ([SWAP, SWAP], BAD + "More than one swap drive requested."),
        ([{**SWAP, "volume_size": 2}], "Swap drive requested is larger than instance type allows."),
        ([{**BLANK, "volume_size": 3}], "Ephemeral disks requested are larger than the instance type allows."),
    ],
)
def test_disks_that_make_no_sense_are_refused_in_novas_words(roomy: ApiCloud, devices: Any, text: str) -> None:
    assert _create(roomy, block_device_mapping_v2=devices) == (400, text)


@pytest.mark.parametrize(
    "devices",
    [
        [{**ROOT, "destination_type": "volume", "volume_size": 1}],
        [{**BLANK, "destination_type": "volume", "volume_size": 1}],
        [{**ROOT, "volume_size": 9}],
        [{**BLANK, "volume_size": 1}],
        [BLANK, BLANK],
    ],
)
def test_disks_that_would_have_to_be_made_are_not_supported(roomy: ApiCloud, devices: Any) -> None:
    status, text = _create(roomy, block_device_mapping_v2=devices)
    assert (status, text.startswith("Kilonova ")) == (501, True)


def test_a_flavor_without_ephemeral_disk_has_none_to_name(roomy: ApiCloud) -> None:
    text = "Ephemeral disks requested are larger than the instance type allows."
    assert _create(roomy, flavor="1", block_device_mapping_v2=[BLANK]) == (400, text)


def test_the_old_syntax_names_volumes_only_and_is_not_mixed_with_the_new_one(roomy: ApiCloud) -> None:
    old = [{"volume_id": VOLUME, "device_name": "vda"}]
    assert _create(roomy, block_device_mapping=old) == (400, BAD + f"failed to get volume {VOLUME}.")
    text = "Using different block_device_mapping syntaxes is not allowed in the same request."
    assert _create(roomy, block_device_mapping=old, block_device_mapping_v2=[ROOT]) == (400, text)


@pytest.mark.parametrize(
    "version, extra, status",
    [
        ("2.31", {"tag": "root"}, 400),
        ("2.32", {"tag": "root"}, 202),
        ("2.33", {"tag": "root"}, 400),
        ("2.41", {"tag": "root"}, 400),
        ("2.42", {"tag": "root"}, 202),
        ("2.66", {"volume_type": "fast"}, 400),
        ("2.1", {"bogus": 1}, 400),
        ("2.1", {"source_type": "cloud"}, 400),
        ("2.1", {"boot_index": "first"}, 400),
        ("2.1", {"device_name": ""}, 400),
    ],
)
def test_a_devices_fields_are_those_of_its_version(
    roomy: ApiCloud, version: str, extra: dict[str, Any], status: int
) -> None:
    assert _create(roomy, version, block_device_mapping_v2=[{**ROOT, **extra}])[0] == status


def test_a_port_of_another_server_is_in_use_and_any_other_is_not_there(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    nic = f'"mac":"fa:16:3e:00:00:01","address":"10.0.0.9","label":"private","port_id":"{IMAGE_ID}"'
    cloud.move(uuid, nics_json="[{" + nic + "}]")
    (port,) = cloud.get(f"/servers/{uuid}/os-interface")["interfaceAttachments"]
    taken = _create(cloud, flavor="1", networks=[{"port": port["port_id"]}])
    assert taken == (409, f"Port {port['port_id']} is still in use.")
    assert _create(cloud, flavor="1", networks=[{"port": VOLUME}]) == (400, f"Port {VOLUME} could not be found.")


def test_an_interface_keeps_the_tag_that_it_was_ordered_with(cloud: ApiCloud) -> None:
    uuid = cloud.boot(networks=[{"uuid": FlatNetwork.id, "tag": "uplink"}])
    cloud.move(uuid, nics_json='[{"tag":"uplink","mac":"fa:16:3e:00:00:01","address":"10.0.0.9","label":"private"}]')
    path = f"/servers/{uuid}/os-interface"
    assert "tag" not in cloud.get(path, version="2.69")["interfaceAttachments"][0]
    assert cloud.get(path, version="2.70")["interfaceAttachments"][0]["tag"] == "uplink"
