"""QEMU's command line for a guest. Slots are fixed, so that a guest finds the same hardware at every start."""

import json
from collections.abc import Iterator
from typing import Final

from kilonova.drivers.disks.kernels import command_line_of, file_of
from kilonova.drivers.host import Accelerator
from kilonova.drivers.instances.cards import device_of, name_of
from kilonova.drivers.instances.definition import Boot, Definition, Disk, DiskRole
from kilonova.drivers.instances.passwords import AGENT_CHANNEL
from kilonova.drivers.leases import user_netdev
from kilonova.drivers.protocol import Nic
from kilonova.drivers.qemu.agent import AGENT, AGENT_LINE

SERIAL: Final = "serial.sock"
SCREEN: Final = "vnc.sock"
CONSOLE_LOG: Final = "console.log"
QEMU_LOG: Final = "qemu.log"
"""Names in the guest's directory, which is QEMU's working directory."""

_MAX_VCPUS: Final = 255  # what machine "pc" takes
_MIN_MEMORY_MB: Final = 4  # below, the firmware does not come up
_DISK_SLOTS: Final = {DiskRole.RESCUE: 0x7, DiskRole.ROOT: 0x8, DiskRole.EPHEMERAL: 0x9, DiskRole.SWAP: 0xA}
_CD_BUSES: Final = {DiskRole.CDROM: "ide.0", DiskRole.CONFIG: "ide.1"}
_SANDBOX: Final = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_SMBIOS: Final = "type=1,manufacturer=Kilonova,product=OpenStack Compute,uuid={uuid},serial={uuid}"
"""``OpenStack Compute`` is what cloud-init looks for before it asks for OpenStack's metadata."""


def command_line(
    binary: str, guest: Definition, accelerator: Accelerator, *, monitor_fd: int, awaits_memory: bool = False
) -> list[str]:
    """The whole of it; ``monitor_fd`` is a listening socket that QEMU inherits.

    With ``awaits_memory`` the guest stands still until its memory is loaded by the monitor, and after that.
    """
    return [
        binary,
        *("-nodefaults", "-no-user-config", "-no-shutdown", "-display", "none", "-sandbox", _SANDBOX),
        *("-name", f"guest={_escaped(guest.name)}", "-uuid", guest.uuid),
        *("-smbios", _SMBIOS.format(uuid=guest.uuid), "-machine", "pc", "-boot", "menu=off,strict=on"),
        *_processor(guest, accelerator),
        *("-m", str(max(guest.memory_mb, _MIN_MEMORY_MB)), "-smp", str(min(max(guest.vcpus, 1), _MAX_VCPUS))),
        *("-chardev", f"socket,id=monitor,fd={monitor_fd},server=on,wait=off"),
        *("-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"socket,id=serial,path={SERIAL},server=on,wait=off,logfile={CONSOLE_LOG},logappend=on"),
        *("-serial", "chardev:serial", "-vnc", f"unix:{SCREEN}"),
        *_device("VGA", id="video", addr=0x2),
        *_device("virtio-balloon-pci", id="balloon", addr=0x3),
        *("-object", "rng-random,id=random,filename=/dev/urandom"),
        *_device("virtio-rng-pci", id="rng", rng="random", addr=0x4),
        *(word for disk in guest.attached for word in _disk(disk, is_rescued=guest.rescue is not None)),
        *(word for place, nic in guest.cards for word in _nic(place, nic)),
        *_agent(has_agent=guest.has_agent),
        *_boot(guest.boot, accelerator),
        *(("-incoming", "defer", "-S") if awaits_memory else ()),
    ]


def _escaped(text: str) -> str:
    return text.replace(",", ",,")


def _device(driver: str, **properties: object) -> tuple[str, str]:
    return "-device", json.dumps({"driver": driver, **_spelled(properties)})


def _spelled(properties: dict[str, object]) -> dict[str, object]:
    return {key: f"{value:#x}" if key == "addr" else value for key, value in properties.items()}


def _processor(guest: Definition, accelerator: Accelerator) -> tuple[str, ...]:
    if accelerator.kind == "kvm":
        return ("-accel", "kvm", "-cpu", "host")
    # The cache of translated code is taken from the host beside the guest's memory: small guests get a small one.
    cache_mb = 16 if guest.memory_mb <= 64 else 64 if guest.memory_mb <= 512 else 256
    return ("-accel", f"tcg,tb-size={cache_mb}")


def _agent(*, has_agent: bool) -> Iterator[str]:
    if has_agent:
        yield from ("-chardev", f"socket,id={AGENT_LINE},path={AGENT},server=on,wait=off")
        yield from _device("virtio-serial-pci", id="channels", addr=0x5)
        yield from _device("virtserialport", id="channel0", bus="channels.0", chardev=AGENT_LINE, name=AGENT_CHANNEL)


def _boot(boot: Boot | None, accelerator: Accelerator) -> Iterator[str]:
    if boot is not None:
        yield from ("-kernel", file_of(boot.kernel), "-append", command_line_of(boot, accelerator))
        if boot.ramdisk is not None:
            yield from ("-initrd", file_of(boot.ramdisk))


def _disk(disk: Disk, *, is_rescued: bool) -> Iterator[str]:
    boots_first = DiskRole.RESCUE if is_rescued else DiskRole.ROOT
    node = disk.role.value
    file: dict[str, object] = {"driver": "file", "filename": disk.file}
    cd_bus = _CD_BUSES.get(disk.role)
    options = {"driver": disk.format, "node-name": node, "read-only": cd_bus is not None, "file": file}
    yield from ("-blockdev", json.dumps(options))
    if cd_bus is not None:  # boots after the root disk: what was installed there, and until then the CD
        second = {"bootindex": 2} if disk.role is DiskRole.CDROM and not is_rescued else {}
        yield from _device("ide-cd", id=node, drive=node, bus=cd_bus, **second)
    else:
        first = {"bootindex": 1} if disk.role is boots_first else {}
        yield from _device("virtio-blk-pci", id=node, drive=node, addr=_DISK_SLOTS[disk.role], serial=node, **first)


def _nic(place: int, nic: Nic) -> Iterator[str]:
    yield from ("-netdev", user_netdev(name_of(place), nic.address))
    yield from ("-device", json.dumps(device_of(place, nic)))
