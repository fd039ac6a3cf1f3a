"""The guest's whole system: an archive that the kernel unpacks into memory."""

import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

MODULES: Final = (
    *("virtio_pci", "virtio_blk", "virtio_net", "virtio_balloon", "virtio_console", "virtio_rng", "virtio_scsi"),
    *("ext4", "sr_mod", "sd_mod", "ata_piix", "isofs", "vfat", "nls_ascii", "nls_cp437", "button", "evdev"),
)
"""What the guest loads if the kernel has not built it in."""

_ROOTFS: Final = Path(__file__).with_name("rootfs")
_PLACES: Final = {
    "init": "init",
    "dhcp-event": "etc/dhcp-event",
    "metadata": "etc/metadata",
    "agent": "etc/agent",
    "power-button": "etc/acpi/PWRF/00000080",
}
_DIRECTORIES: Final = (
    *("bin", "dev", "etc", "etc/acpi", "etc/acpi/PWRF", "lib", "lib/modules", "mnt", "proc", "run", "state"),
    *("sys", "tmp", "usr", "var"),
)
_DIRECTORY, _PROGRAM, _TEXT, _LINK, _CONSOLE = 0o040755, 0o100755, 0o100644, 0o120777, 0o020600


def build_initramfs(busybox: Path, kernel: Path) -> bytes:
    """The archive, compressed; ``kernel`` is the unpacked kernel package."""
    modules = list(_in_order(MODULES, kernel))
    archive = _Archive()
    for directory in _DIRECTORIES:
        archive.add(directory, _DIRECTORY)
    archive.add("bin/busybox", _PROGRAM, busybox.read_bytes())
    archive.add("bin/sh", _LINK, b"busybox")
    archive.add("dev/console", _CONSOLE, device=(5, 1))
    archive.add("etc/passwd", _TEXT, b"root::0:0:root:/:/bin/sh\n")
    archive.add("etc/group", _TEXT, b"root:x:0:\n")
    for name, place in _PLACES.items():
        archive.add(place, _PROGRAM, (_ROOTFS / name).read_bytes())
    for module in modules:
        archive.add(f"lib/modules/{module.name}", _TEXT, module.read_bytes())
    archive.add("lib/modules/order", _TEXT, "".join(f"{module.name}\n" for module in modules).encode())
    return gzip.compress(archive.finish(), 6, mtime=0)


def _in_order(wanted: Sequence[str], kernel: Path) -> Iterator[Path]:
    """The modules' files, each after those that it needs; what is built in has no file."""
    files = {_spelled(path.stem): path for path in (kernel / "lib" / "modules").rglob("*.ko")}
    done: set[str] = set()

    def visit(name: str) -> Iterator[Path]:
        if name in files and name not in done:
            done.add(name)
            for needed in _needs(files[name]):
                yield from visit(needed)
            yield files[name]

    for name in wanted:
        yield from visit(name)


def _needs(module: Path) -> list[str]:
    found = re.search(rb"\0depends=([^\0]*)\0", module.read_bytes())
    names = found.group(1).decode().split(",") if found else []
    return [_spelled(name) for name in names if name]


def _spelled(name: str) -> str:
    return name.replace("-", "_")


class _Archive:
    """cpio in its ``newc`` form, as the kernel reads it."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._number = 0

    def add(self, name: str, mode: int, data: bytes = b"", *, device: tuple[int, int] = (0, 0)) -> None:
        """Add a file, a directory, a link (the data are its target) or a device."""
        self._number += 1
        path = name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device of the file (2), device it stands for (2), name, checksum
        fields = (self._number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        self._put(b"070701" + b"".join(b"%08X" % field for field in fields) + path)
        self._put(data)

    def finish(self) -> bytes:
        """The whole archive."""
        self.add("TRAILER!!!", 0)
        return bytes(self._bytes)

    def _put(self, data: bytes) -> None:
        self._bytes += data
        self._bytes += bytes(-len(self._bytes) % 4)
