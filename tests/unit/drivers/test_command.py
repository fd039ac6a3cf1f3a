"""QEMU's command line."""

import itertools
import json
from dataclasses import replace

import pytest

from kilonova.drivers.host import Accelerator
from kilonova.drivers.instances.definition import Boot, Definition, Disk, DiskRole
from kilonova.drivers.protocol import Nic
from kilonova.drivers.qemu.command import command_line

TCG = Accelerator("tcg", "")
KVM = Accelerator("kvm", "")
DISKS = (
    Disk(role=DiskRole.ROOT, file="root.qcow2", format="qcow2"),
    Disk(role=DiskRole.CDROM, file="../../images/x", format="raw"),
    Disk(role=DiskRole.SWAP, file="swap.qcow2", format="qcow2"),
)


def line(accelerator: Accelerator = TCG, **changes: object) -> list[str]:
    facts: dict[str, object] = {
        "uuid": "6d0b9a4e-5d0f-4f0e-9a55-0c8d3f0e7f10",
        "name": "instance-00000001",
        "display_name": "a, b",
        "project_id": "p",
        "user_id": "u",
        "vcpus": 1,
        "memory_mb": 512,
        "nics": (),
        **changes,
    }
    return command_line("qemu", Definition(**facts), accelerator, monitor_fd=7)  # type: ignore[arg-type]


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def options(words: list[str], name: str) -> list[str]:
    return [following for word, following in itertools.pairwise(words) if word == name]


def devices(words: list[str]) -> dict[str, dict[str, object]]:
    parsed = [json.loads(text) for text in options(words, "-device")]
    return {device["id"]: device for device in parsed}


def test_nothing_of_the_hosts_configuration_gets_in() -> None:
    assert {"-nodefaults", "-no-user-config", "-no-shutdown"} <= set(line())
    assert option(line(), "-sandbox").startswith("on,")


def test_a_name_with_commas_stays_a_name() -> None:
    assert option(line(name="a,b=c"), "-name") == "guest=a,,b=c"


@pytest.mark.parametrize(
    "asked, given", [(1, "1"), (0, "1"), (64, "64"), (1000, "255")], ids=["one", "none", "many", "too many"]
)
def test_processors_stay_within_what_the_machine_takes(asked: int, given: str) -> None:
    assert option(line(vcpus=asked), "-smp") == given


def test_a_kernel_of_the_images_own_is_started_from_the_cache_and_told_of_its_root() -> None:
    boot = Boot(kernel="k.1", ramdisk="r.2")
    disks = (replace(DISKS[0], boot=boot), *DISKS[1:])
    assert option(line(disks=disks), "-kernel") == "../../images/k.1"
    assert option(line(disks=disks), "-initrd") == "../../images/r.2"
    usual = "root=/dev/vda console=tty0 console=ttyS0"
    assert option(line(disks=disks), "-append") == f"{usual} no_timer_check"
    assert option(line(KVM, disks=disks), "-append") == usual
    told = (replace(DISKS[0], boot=replace(boot, command_line="a=b,c")),)
    assert option(line(disks=told), "-append") == "a=b,c"
    assert "-kernel" not in line(disks=DISKS)


def test_there_is_a_way_to_an_agent_only_where_the_image_says_that_there_is_one() -> None:
    found = devices(line(has_agent=True, disks=DISKS))
    assert found["channel0"]["name"] == "org.qemu.guest_agent.0"
    slots = [device["addr"] for device in found.values() if "addr" in device]
    assert len(slots) == len(set(slots))
    assert "channel0" not in devices(line())


@pytest.mark.parametrize("asked, given", [(1, "4"), (4, "4"), (2048, "2048")])
def test_memory_is_enough_for_the_firmware(asked: int, given: str) -> None:
    assert option(line(memory_mb=asked), "-m") == given


def test_a_small_guest_gets_a_small_cache_for_translated_code() -> None:
    assert option(line(memory_mb=16), "-accel") == "tcg,tb-size=16"
    assert option(line(memory_mb=512), "-accel") == "tcg,tb-size=64"
    assert option(line(memory_mb=4096), "-accel") == "tcg,tb-size=256"


def test_with_kvm_the_guest_has_the_hosts_processor() -> None:
    assert option(line(KVM), "-accel") == "kvm"
    assert option(line(KVM), "-cpu") == "host"


def test_the_disk_boots_before_the_cd() -> None:
    found = devices(line(disks=DISKS))
    assert found["root"]["bootindex"] == 1
    assert found["cdrom"]["bootindex"] == 2
    assert "bootindex" not in found["swap"]


def test_formats_are_always_named_and_a_cd_is_not_written() -> None:
    blocks = {json.loads(text)["node-name"]: json.loads(text) for text in options(line(disks=DISKS), "-blockdev")}
    assert {name: block["driver"] for name, block in blocks.items()} == {
        "root": "qcow2",
        "cdrom": "raw",
        "swap": "qcow2",
    }
    assert blocks["cdrom"]["read-only"] is True


def test_no_two_devices_share_a_slot_and_slots_do_not_move() -> None:
    nics = tuple(Nic(mac=f"52:54:00:00:00:0{n}", address=None, label="n") for n in range(4))
    more = devices(line(disks=DISKS, nics=nics))
    slots = [device["addr"] for device in more.values() if "addr" in device]
    assert len(slots) == len(set(slots))
    fewer = devices(line(disks=DISKS[:1], nics=nics[:1]))
    assert all(more[name] == device for name, device in fewer.items())


@pytest.mark.parametrize(
    "address, network",
    [
        ("10.20.30.40", ",net=10.20.30.0/24,dhcpstart=10.20.30.40,host=10.20.30.1,dns=10.20.30.2"),
        ("10.20.30.1", ",net=10.20.30.0/24,dhcpstart=10.20.30.1,host=10.20.30.2,dns=10.20.30.3"),
        ("10.20.30.2", ",net=10.20.30.0/24,dhcpstart=10.20.30.2,host=10.20.30.1,dns=10.20.30.3"),
        (None, ""),
        ("fd00::1", ""),
    ],
)
def test_a_card_is_shut_off_from_the_host_and_gets_its_address(address: str | None, network: str) -> None:
    words = line(nics=(Nic(mac="52:54:00:00:00:01", address=address, label="private"),))
    assert option(words, "-netdev") == f"user,id=nic0,restrict=on{network}"
    assert devices(words)["nic0"]["mac"] == "52:54:00:00:00:01"
