"""The disk: boot sector, FAT partition (syslinux, kernel, system), ext4 partition for what must last."""

import os
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kilonova.images.guests.mini.packages import search_path

_MIB: Final = 1 << 20
_STATE_MIB: Final = 8
_FIRST: Final = _MIB
_COMMAND_LINE: Final = (
    "console=tty0 console=ttyS0,115200 quiet mitigations=off nokaslr no_timer_check tsc=reliable "
    "cryptomgr.notests random.trust_cpu=on audit=0 panic=5"
)
_SYSLINUX_CFG: Final = f"""SERIAL 0 115200
DEFAULT mini
PROMPT 0
TIMEOUT 0
LABEL mini
  KERNEL vmlinuz
  INITRD initrd.img
  APPEND {_COMMAND_LINE}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the disk is made of."""

    kernel: bytes
    initramfs: bytes
    syslinux: Path
    """The unpacked packages."""
    syslinux_common: Path
    mtools: Path


def write_disk(out: Path, parts: Parts) -> None:
    """Write the raw image."""
    fat_mib = (len(parts.kernel) + len(parts.initramfs)) // _MIB + 4
    state_at = _FIRST + fat_mib * _MIB
    library = parts.syslinux_common / "usr/lib/syslinux"
    with out.open("wb") as file:
        file.truncate(state_at + _STATE_MIB * _MIB)
        file.write(_boot_sector((library / "mbr/mbr.bin").read_bytes(), fat_mib))
    _fill_fat(out, fat_mib, parts, library)
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch, "state")
        with state.open("wb") as file:
            file.truncate(_STATE_MIB * _MIB)
        _run("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-L", "state", state)
        with out.open("r+b") as file:
            file.seek(state_at)
            file.write(state.read_bytes())


def _boot_sector(loader: bytes, fat_mib: int) -> bytes:
    sector = bytearray(loader[:440].ljust(512, b"\0"))
    sector[440:444] = b"kmin"
    sector[446:462] = _partition(active=True, kind=0x0E, first=_FIRST, size=fat_mib * _MIB)
    sector[462:478] = _partition(active=False, kind=0x83, first=_FIRST + fat_mib * _MIB, size=_STATE_MIB * _MIB)
    sector[510:512] = b"\x55\xaa"
    return bytes(sector)


def _partition(*, active: bool, kind: int, first: int, size: int) -> bytes:
    nowhere = b"\xfe\xff\xff"  # in cylinders, heads and sectors; nobody reads that
    return struct.pack("<B3sB3sII", 0x80 * active, nowhere, kind, nowhere, first // 512, size // 512)


def _fill_fat(disk: Path, fat_mib: int, parts: Parts, library: Path) -> None:
    volume = f"{disk}@@{_FIRST}"
    tools = f"{parts.mtools / 'usr/bin'}:{parts.syslinux / 'usr/bin'}"
    sectors, heads, track = fat_mib * _MIB // 512, "16", "63"
    geometry = ("-T", str(sectors), "-h", heads, "-s", track, "-H", str(_FIRST // 512))
    _run("mformat", "-i", volume, *geometry, "-v", "MINI", "::", tools=tools)
    with tempfile.TemporaryDirectory() as scratch:
        files = {
            "vmlinuz": parts.kernel,
            "initrd.img": parts.initramfs,
            "syslinux.cfg": _SYSLINUX_CFG.encode(),
            "ldlinux.c32": (library / "modules/bios/ldlinux.c32").read_bytes(),
        }
        for name, data in files.items():
            Path(scratch, name).write_bytes(data)
            _run("mcopy", "-o", "-i", volume, Path(scratch, name), "::", tools=tools)
    _run("syslinux", "--install", "--offset", str(_FIRST), disk, tools=tools)


def _run(*command: str | Path, tools: str = "") -> None:
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "PATH": f"{tools}:{search_path()}"}
    subprocess.run(command, check=True, env=environment)
