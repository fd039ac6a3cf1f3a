"""A guest as domain XML: what it must have, and what must not get into it."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from kilonova.drivers.host import Accelerator
from kilonova.drivers.instances.definition import Boot, Definition, Disk, DiskRole
from kilonova.drivers.libvirt.description import MARK, NOVA, Place, describe, files_of, moved
from kilonova.drivers.protocol import Nic

QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
TCG, KVM = Accelerator("tcg", "slow"), Accelerator("kvm", "fast")
GUEST = Definition(
    uuid="11111111-2222-4333-8444-555555555555",
    name="instance-00000001",
    display_name="web",
    project_id="p",
    user_id="u",
    vcpus=2,
    memory_mb=64,
    nics=(Nic(mac="fa:16:3e:00:00:01", address="10.1.2.3", label="private"),),
    disks=(
        Disk(role=DiskRole.ROOT, file="root.qcow2", format="qcow2"),
        Disk(role=DiskRole.CONFIG, file="config.iso", format="raw"),
    ),
)
PLACE = Place(directory=Path("/state/instances/u"), accelerator=TCG, owner="me")


def domain_of(guest: Definition = GUEST, place: Place = PLACE) -> ET.Element:
    return ET.fromstring(describe(guest, place))  # noqa: S314 - our own words


def attribute(domain: ET.Element, path: str, name: str) -> str | None:
    found = domain.find(path)
    assert found is not None, path
    return found.get(name)


def slots(domain: ET.Element) -> dict[str | None, str | None]:
    """The slot of each disk, by what it is."""
    disks = domain.iterfind("devices/disk[@device='disk']")
    return {disk.findtext("serial"): attribute(disk, "address", "slot") for disk in disks}


def test_what_owners_write_stays_text() -> None:
    nasty = "</name><devices/>&\"'\x00\x1b\ud800"
    domain = domain_of(replace(GUEST, display_name=nasty, flavor_name=nasty, image_id=nasty))
    nova = domain.find(f"metadata/{{{NOVA}}}instance")
    assert nova is not None
    assert nova.findtext(f"{{{NOVA}}}name") == "</name><devices/>&\"'\ufffd\ufffd\ufffd"
    assert len(domain.findall("devices")) == 1


def test_a_guest_finds_its_disks_in_the_same_slots_whether_it_is_rescued_or_not() -> None:
    rescued = replace(GUEST, rescue=Disk(role=DiskRole.RESCUE, file="rescue.qcow2", format="qcow2"))
    usual, other = domain_of(), domain_of(rescued)
    assert slots(usual)["root"] == slots(other)["root"]
    assert slots(other)["rescue"] not in slots(usual).values()
    first = [disk.findtext("serial") for disk in other.iterfind("devices/disk") if disk.find("boot") is not None]
    assert first == ["rescue"]


def test_a_card_without_a_bridge_is_shut_off_from_the_host_and_has_its_address() -> None:
    domain = domain_of()
    words = [arg.get("value", "") for arg in domain.iterfind(f"{QEMU}commandline/{QEMU}arg")]
    assert "user,id=nic0,restrict=on,net=10.1.2.0/24,dhcpstart=10.1.2.3,host=10.1.2.1,dns=10.1.2.2" in words
    assert domain.find("devices/interface") is None


def test_a_card_on_a_bridge_is_libvirts_own() -> None:
    domain = domain_of(place=replace(PLACE, bridge="br0"))
    assert attribute(domain, "devices/interface[@type='bridge']/source", "bridge") == "br0"
    assert attribute(domain, "devices/interface/mac", "address") == "fa:16:3e:00:00:01"
    assert domain.find(f"{QEMU}commandline") is None


def test_a_kernel_of_the_images_own_is_named_and_moves_with_its_guest() -> None:
    boot = Boot(kernel="k.1", ramdisk="r.2", command_line="a=<b> &c")
    guest = replace(GUEST, disks=(replace(GUEST.disks[0], boot=boot), *GUEST.disks[1:]))
    domain = domain_of(guest)
    assert [domain.findtext(f"os/{tag}") for tag in ("kernel", "initrd")] == ["/state/images/k.1", "/state/images/r.2"]
    assert domain.findtext("os/cmdline") == "a=<b> &c"
    there = moved(describe(guest, PLACE), {"/state/images/k.1": "/there/k.1"}, "you")
    assert ET.fromstring(there).findtext("os/kernel") == "/there/k.1"  # noqa: S314 - our own words
    assert set(files_of(guest, PLACE.directory)) == {"root", "config", "kernel", "initrd"}
    assert domain_of().find("os/kernel") is None


def test_there_is_a_way_to_an_agent_only_where_the_image_says_that_there_is_one() -> None:
    channel = "devices/channel/target"
    assert attribute(domain_of(replace(GUEST, has_agent=True)), channel, "name") == "org.qemu.guest_agent.0"
    assert domain_of().find(channel) is None


def test_the_processor_is_emulated_unless_there_is_kvm() -> None:
    assert domain_of().get("type") == "qemu"
    assert domain_of().find("cpu") is None
    assert domain_of(place=replace(PLACE, accelerator=KVM)).get("type") == "kvm"
    assert domain_of(place=replace(PLACE, accelerator=KVM)).find("features/tcg") is None


def test_a_domain_that_moves_names_its_new_files_and_its_new_owner() -> None:
    files = {"/state/instances/u/root.qcow2": "/there/root.qcow2", "/state/instances/u/console.log": "/there/log"}
    there = ET.fromstring(moved(describe(GUEST, PLACE), files, "you"))  # noqa: S314 - our own words
    assert attribute(there, "devices/disk[@device='disk']/source", "file") == "/there/root.qcow2"
    assert attribute(there, "devices/serial/log", "file") == "/there/log"
    assert attribute(there, f"metadata/{{{MARK}}}guest", "owner") == "you"
    assert "restrict=on" in ET.tostring(there, encoding="unicode")
