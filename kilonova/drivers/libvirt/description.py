"""A guest as libvirt's domain XML. Slots are fixed, so that a guest finds the same hardware at every start.

With it goes what Nova's own domains carry for those who look at the hypervisor (Ceilometer's compute agent, exporters
for Prometheus): the element ``instance`` of Nova's namespace, and beside it our own mark, by which we know our guests.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import kilonova
from kilonova.drivers.disks.kernels import command_line_of, file_of
from kilonova.drivers.host import Accelerator
from kilonova.drivers.instances.cards import device_of, name_of, slot_of
from kilonova.drivers.instances.definition import Boot, Definition, Disk, DiskRole
from kilonova.drivers.instances.passwords import AGENT_CHANNEL
from kilonova.drivers.leases import user_netdev
from kilonova.drivers.protocol import Nic

Cards = Iterable[tuple[int, Nic]]
"""Network cards, each with its place."""
NOVA: Final = "http://openstack.org/xmlns/libvirt/nova/1.1"
MARK: Final = "urn:kilonova:guest:1"
CONSOLE_LOG: Final = "console.log"
"""Its name in the guest's directory."""

_QEMU: Final = "http://libvirt.org/schemas/domain/qemu/1.0"
_MAX_VCPUS: Final = 255  # what machine "pc" takes
_MIN_MEMORY_MB: Final = 4  # below, the firmware does not come up
_SLOTS: Final = {DiskRole.RESCUE: 0x7, DiskRole.ROOT: 0x8, DiskRole.EPHEMERAL: 0x9, DiskRole.SWAP: 0xA}
_CD_DEVICES: Final = {DiskRole.CDROM: "hda", DiskRole.CONFIG: "hdc"}  # the first of each of the two IDE buses
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
for _prefix, _namespace in (("nova", NOVA), ("kilonova", MARK), ("qemu", _QEMU)):
    ET.register_namespace(_prefix, _namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a description needs to know beside the guest's definition."""

    directory: Path
    """The guest's directory."""
    accelerator: Accelerator
    owner: str
    """Whose guests they are: the id of the driver's state directory."""
    bridge: str = ""
    """The bridge that cards are plugged into; empty for QEMU's own network of one guest."""


def describe(guest: Definition, place: Place) -> str:
    """The whole domain."""
    domain = ET.Element("domain", type="kvm" if place.accelerator.kind == "kvm" else "qemu")
    _text(domain, "name", guest.name)
    _text(domain, "uuid", guest.uuid)
    _add_metadata(domain, guest, place)
    _text(domain, "memory", str(max(guest.memory_mb, _MIN_MEMORY_MB)), unit="MiB")
    _text(domain, "vcpu", str(min(max(guest.vcpus, 1), _MAX_VCPUS)))
    _add_firmware(domain, guest)
    _add_kernel(domain, guest.boot, place)
    _add_processor(domain, guest, place.accelerator)
    ET.SubElement(domain, "clock", offset="utc")
    for event, answer in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        _text(domain, event, answer)
    devices = ET.SubElement(domain, "devices")
    for number, disk in enumerate(guest.attached):
        _add_disk(devices, number, disk, guest, place.directory)
    _add_fixtures(devices, place.directory)
    if guest.has_agent:
        channel = ET.SubElement(devices, "channel", type="unix")
        ET.SubElement(channel, "target", type="virtio", name=AGENT_CHANNEL)
    if place.bridge:
        devices.extend(bridged_card(number, nic, place.bridge) for number, nic in guest.cards)
    else:
        _set_user_cards(domain, guest.cards)
    return ET.tostring(domain, encoding="unicode")


def with_user_cards(description: str, cards: Cards) -> str:
    """The same domain with these cards on QEMU's own network, and no others there: libvirt does not see them come."""
    domain = ET.fromstring(description)  # noqa: S314 - it comes from libvirt, and is no document of a stranger
    _set_user_cards(domain, cards)
    return ET.tostring(domain, encoding="unicode")


def moved(description: str, files: Mapping[str, str], owner: str) -> str:
    """The same domain of another owner, with other paths for its files: those that are there by those to be."""
    domain = ET.fromstring(description)  # noqa: S314 - it comes from libvirt, and is no document of a stranger
    for element in domain.iter():
        for name in ("file", "path"):
            there = element.get(name, "")
            if element.tag in ("source", "log") and there in files:
                element.set(name, files[there])
    for element in (*domain.iterfind("os/kernel"), *domain.iterfind("os/initrd")):
        element.text = files.get(element.text or "", element.text)
    for mark in domain.iter(f"{{{MARK}}}guest"):
        mark.set("owner", owner)
    for element in domain.iter("disk"):
        for chain in element.findall("backingStore"):
            element.remove(chain)  # the new host finds its own
    return ET.tostring(domain, encoding="unicode")


def clean(text: str) -> str:
    """The text without what XML cannot hold, such as most control characters."""
    return _NOT_IN_XML.sub("\ufffd", text)


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, {name: clean(value) for name, value in attributes.items()})
    element.text = clean(text)
    return element


def _at(parent: ET.Element, slot: int | str) -> None:
    spelled = slot if isinstance(slot, str) else f"{slot:#x}"
    ET.SubElement(parent, "address", type="pci", domain="0", bus="0", slot=spelled, function="0")


def _add_metadata(domain: ET.Element, guest: Definition, place: Place) -> None:
    metadata = ET.SubElement(domain, "metadata")
    ET.SubElement(metadata, f"{{{MARK}}}guest", owner=place.owner)
    metadata.append(nova_metadata(guest))


def nova_metadata(guest: Definition, namespace: str = NOVA) -> ET.Element:
    """What Nova's own domains tell of themselves; without a namespace for where libvirt adds that by itself."""
    space = f"{{{namespace}}}" if namespace else ""
    nova = ET.Element(f"{space}instance")

    def add(parent: ET.Element, tag: str, text: object, **attributes: str) -> ET.Element:
        return _text(parent, f"{space}{tag}", str(text), **attributes)

    add(nova, "package", "", version=kilonova.__version__)
    add(nova, "name", guest.display_name)
    add(nova, "creationTime", guest.made_at.replace("T", " ").removesuffix("+00:00"))
    flavor = add(nova, "flavor", "", name=guest.flavor_name, id=guest.flavor_id)
    sizes = {
        "memory": guest.memory_mb,
        "disk": guest.root_gb,
        "swap": guest.swap_mb,
        "ephemeral": guest.ephemeral_gb,
        "vcpus": guest.vcpus,
    }
    for tag, number in sizes.items():
        add(flavor, tag, number)
    owner = add(nova, "owner", "")
    add(owner, "user", guest.user_id, uuid=guest.user_id)
    add(owner, "project", guest.project_id, uuid=guest.project_id)
    if guest.image_id:
        add(nova, "root", "", type="image", uuid=guest.image_id)
    ports = add(nova, "ports", "")
    for _, nic in guest.cards:
        port = add(ports, "port", "", mac=nic.mac)
        if nic.address is not None:
            version = "6" if ":" in nic.address else "4"
            add(port, "ip", "", type="fixed", address=nic.address, ipVersion=version)
    return nova


def _add_firmware(domain: ET.Element, guest: Definition) -> None:
    sysinfo = ET.SubElement(ET.SubElement(domain, "sysinfo", type="smbios"), "system")
    facts = {
        "manufacturer": "Kilonova",
        "product": "OpenStack Compute",  # cloud-init looks for it before it asks for OpenStack's metadata
        "serial": guest.uuid,
        "uuid": guest.uuid,
    }
    for name, value in facts.items():
        _text(sysinfo, "entry", value, name=name)
    system = ET.SubElement(domain, "os")
    _text(system, "type", "hvm", arch="x86_64", machine="pc")
    ET.SubElement(system, "smbios", mode="sysinfo")


def _add_kernel(domain: ET.Element, boot: Boot | None, place: Place) -> None:
    system = domain.find("os")
    if boot is None or system is None:
        return
    for tag, file in _kernel_files(boot, place.directory).items():
        _text(system, tag, file)
    _text(system, "cmdline", command_line_of(boot, place.accelerator))


def files_of(guest: Definition, directory: Path) -> Mapping[str, str]:
    """Where the guest's own disks are, by their roles, and its kernel and ramdisk."""
    disks = {disk.role.value: str((directory / disk.file).resolve()) for disk in guest.disks}
    return disks if guest.boot is None else {**disks, **_kernel_files(guest.boot, directory)}


def _kernel_files(boot: Boot, directory: Path) -> Mapping[str, str]:
    """By the names of their elements."""
    names = {"kernel": boot.kernel, "initrd": boot.ramdisk}
    return {tag: str((directory / file_of(name)).resolve()) for tag, name in names.items() if name is not None}


def _add_processor(domain: ET.Element, guest: Definition, accelerator: Accelerator) -> None:
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    if accelerator.kind == "kvm":
        ET.SubElement(domain, "cpu", mode="host-model", check="partial")
        return
    # The cache of translated code is taken from the host beside the guest's memory: small guests get a small one.
    cache_mb = 16 if guest.memory_mb <= 64 else 64 if guest.memory_mb <= 512 else 256
    _text(ET.SubElement(features, "tcg"), "tb-cache", str(cache_mb), unit="MiB")


def _add_disk(devices: ET.Element, number: int, disk: Disk, guest: Definition, directory: Path) -> None:
    boots_first = DiskRole.ROOT if guest.rescue is None else DiskRole.RESCUE
    cd_device = _CD_DEVICES.get(disk.role)
    element = ET.SubElement(devices, "disk", type="file", device="disk" if cd_device is None else "cdrom")
    ET.SubElement(element, "driver", name="qemu", type=disk.format)
    ET.SubElement(element, "source", file=clean(str((directory / disk.file).resolve())))
    if cd_device is None:
        ET.SubElement(element, "target", dev=f"vd{chr(ord('a') + number)}", bus="virtio")
        _text(element, "serial", disk.role.value)
        _at(element, _SLOTS[disk.role])
    else:
        ET.SubElement(element, "target", dev=cd_device, bus="ide")
        ET.SubElement(element, "readonly")
    if disk.role is boots_first:
        ET.SubElement(element, "boot", order="1")
    elif disk.role is DiskRole.CDROM and guest.rescue is None:  # what was installed, and until then the CD
        ET.SubElement(element, "boot", order="2")


def _add_fixtures(devices: ET.Element, directory: Path) -> None:
    """What every guest has."""
    ET.SubElement(devices, "controller", type="usb", model="none")
    _at(ET.SubElement(devices, "controller", type="virtio-serial", index="0"), 0x5)
    serial = ET.SubElement(devices, "serial", type="pty")
    ET.SubElement(serial, "log", file=clean(str(directory / CONSOLE_LOG)), append="on")
    ET.SubElement(serial, "target", type="isa-serial", port="0")
    # A socket of the daemon's own: whoever may not enter its directories does not see the screen.
    ET.SubElement(ET.SubElement(devices, "graphics", type="vnc"), "listen", type="socket")
    video = ET.SubElement(devices, "video")
    ET.SubElement(video, "model", type="vga", vram="16384", heads="1", primary="yes")
    _at(video, 0x2)
    balloon = ET.SubElement(devices, "memballoon", model="virtio")
    ET.SubElement(balloon, "stats", period="10")
    _at(balloon, 0x3)
    random = ET.SubElement(devices, "rng", model="virtio")
    _text(random, "backend", "/dev/urandom", model="random")
    _at(random, 0x4)


def bridged_card(place: int, nic: Nic, bridge: str) -> ET.Element:
    """A card on a bridge of the host, as libvirt is told of it."""
    card = ET.Element("interface", type="bridge")
    ET.SubElement(card, "mac", address=nic.mac)
    ET.SubElement(card, "source", bridge=bridge)
    ET.SubElement(card, "model", type="virtio")
    ET.SubElement(card, "rom", enabled="no")
    _at(card, slot_of(place))
    return card


def _set_user_cards(domain: ET.Element, cards: Cards) -> None:
    """Cards on QEMU's own network, by QEMU's own words.

    libvirt's ``<interface type='user'>`` can neither keep a guest from the host's own network (``restrict``) nor hand
    out the address that the network gave.
    """
    for former in domain.findall(f"{{{_QEMU}}}commandline"):
        domain.remove(former)
    words: list[str] = []
    for place, nic in cards:
        device = device_of(place, nic)
        line = ",".join((device.pop("driver"), *(f"{key}={value}" for key, value in device.items())))
        words += ("-netdev", user_netdev(name_of(place), nic.address), "-device", line)
    if words:
        line_element = ET.SubElement(domain, f"{{{_QEMU}}}commandline")
        for word in words:
            ET.SubElement(line_element, f"{{{_QEMU}}}arg", value=clean(word))
