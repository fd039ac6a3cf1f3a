"""The config drive, read back by a reader that knows only the standard."""

import base64
import json
import struct

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.drivers.disks.config_drive import config_drive, wants_config_drive
from kilonova.drivers.disks.isofs import BLOCK, iso_image
from kilonova.drivers.protocol import GuestSpec, InjectedFile, Nic

SPEC = GuestSpec(
    uuid="6d0b9a4e-5d0f-4f0e-9a55-0c8d3f0e7f10",
    name="instance-00000001",
    display_name="web 1",
    project_id="p",
    user_id="u",
    vcpus=1,
    memory_mb=64,
    root_gb=1,
    image=None,
    nics=(Nic(mac="fa:16:3e:00:00:01", address="10.0.0.9", label="private"),),
    metadata={"role": "web"},
    user_data=base64.b64encode(b"#cloud-config\n").decode(),
    hostname="web-1",
    public_keys={"mine": "ssh-ed25519 AAAA"},
)


def read_iso(image: bytes, *, joliet: bool) -> dict[str, bytes]:
    """Files by path."""
    descriptor = image[(17 if joliet else 16) * BLOCK :]
    assert descriptor[:7] == (b"\2CD001\1" if joliet else b"\1CD001\1")
    root_block, root_size = struct.unpack_from("<I4xI", descriptor, 156 + 2)
    return dict(_walk(image, root_block, root_size, joliet=joliet, above=""))


def _walk(image: bytes, block: int, size: int, *, joliet: bool, above: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    at, end, position = block * BLOCK, block * BLOCK + size, 0
    while at < end and image[at]:
        extent, length = struct.unpack_from("<I4xI", image, at + 2)
        assert struct.unpack_from(">I4xI", image, at + 6) == (extent, length)
        name = image[at + 33 : at + 33 + image[at + 32]]
        if position > 1:  # the first two are the directory itself and the one above
            path = above + (name.decode("utf-16-be") if joliet else name.decode("ascii"))
            if image[at + 25] & 2:
                found += _walk(image, extent, length, joliet=joliet, above=f"{path}/")
            else:
                found.append((path, image[extent * BLOCK : extent * BLOCK + length]))
        at += image[at]
        position += 1
    return found


def test_a_file_system_gives_back_its_files_in_both_spellings() -> None:
    files = {"a/b/one.json": b"1" * 5000, "a/b/two": b"", "a/c/three.txt": b"3", "top": b"x" * BLOCK}
    image = iso_image("label", files)
    assert len(image) % BLOCK == 0
    assert read_iso(image, joliet=True) == files
    assert read_iso(image, joliet=False) == {
        "A/B/ONE.JSON;1": b"1" * 5000,
        "A/B/TWO.;1": b"",
        "A/C/THREE.TXT;1": b"3",
        "TOP.;1": b"x" * BLOCK,
    }


def test_the_volume_is_known_by_its_label() -> None:
    assert iso_image("config-2", {"a": b""})[16 * BLOCK + 40 :][:32] == b"config-2".ljust(32)


def test_the_guest_finds_its_name_its_keys_its_cards_and_its_user_data() -> None:
    files = read_iso(config_drive(SPEC), joliet=True)
    metadata = json.loads(files["openstack/latest/meta_data.json"])
    network = json.loads(files["openstack/latest/network_data.json"])
    assert metadata["uuid"] == SPEC.uuid
    assert metadata["name"] == "web 1"
    assert metadata["hostname"] == "web-1"
    assert metadata["meta"] == {"role": "web"}
    assert metadata["public_keys"] == {"mine": "ssh-ed25519 AAAA"}
    assert [link["ethernet_mac_address"] for link in network["links"]] == ["fa:16:3e:00:00:01"]
    assert files["openstack/latest/user_data"] == b"#cloud-config\n"


def test_the_guest_finds_a_card_by_its_tag() -> None:
    assert json.loads(read_iso(config_drive(SPEC), joliet=True)["openstack/latest/meta_data.json"])["devices"] == []
    tagged = Nic(mac="fa:16:3e:00:00:02", address="10.0.0.10", label="private", tag="uplink")
    files = read_iso(config_drive(_with(nics=(*SPEC.nics, tagged))), joliet=True)
    (device,) = json.loads(files["openstack/latest/meta_data.json"])["devices"]
    assert (device["type"], device["mac"], device["tags"]) == ("nic", "fa:16:3e:00:00:02", ["uplink"])


def test_the_guest_finds_files_that_are_to_be_put_into_their_places() -> None:
    file = InjectedFile(path="/etc/motd", contents=base64.b64encode(b"welcome").decode())
    spec = _with(files=(file, file), user_data=None, public_keys={})
    assert wants_config_drive(spec)
    files = read_iso(config_drive(spec), joliet=True)
    told = json.loads(files["openstack/latest/meta_data.json"])["files"]
    assert told[0] == {"path": "/etc/motd", "content_path": "/content/0000"}
    assert [files[f"openstack{each['content_path']}"] for each in told] == [b"welcome", b"welcome"]


def test_user_data_that_is_no_base64_fails_with_a_sentence() -> None:
    with pytest.raises(GuestFailure, match="no base64"):
        config_drive(_with(user_data="a"))


def test_a_drive_is_made_for_who_asks_for_it_or_has_user_data_or_a_key() -> None:
    assert wants_config_drive(SPEC)
    assert wants_config_drive(_with(user_data=None, config_drive=True, public_keys={}))
    assert wants_config_drive(_with(user_data=None))
    assert not wants_config_drive(_with(user_data=None, public_keys={}))


def test_the_guest_is_told_what_kind_of_key_it_has() -> None:
    certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    files = read_iso(config_drive(_with(public_keys={"mine": "ssh-ed25519 AAAA", "win": certificate})), joliet=True)
    keys = json.loads(files["openstack/latest/meta_data.json"])["keys"]
    assert [(key["name"], key["type"]) for key in keys] == [("mine", "ssh"), ("win", "x509")]


def _with(**changes: object) -> GuestSpec:
    facts = {name: getattr(SPEC, name) for name in SPEC.__dataclass_fields__}
    return GuestSpec(**{**facts, **changes})
