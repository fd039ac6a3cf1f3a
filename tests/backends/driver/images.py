"""Images that boot, and images that must not."""

import struct
import subprocess
from pathlib import Path

from kilonova.images.guests import tiny

_BLOCK = 2048


def bootable_cd() -> bytes:
    """The tiny guest on a CD: an ISO 9660 image with nothing on it but an El Torito boot entry."""
    blocks: dict[int, bytes] = {
        16: _descriptor(1, b"\0" + b"LINUX".ljust(32) + b"TINY".ljust(32)),
        17: b"\0CD001\1EL TORITO SPECIFICATION".ljust(71, b"\0") + struct.pack("<I", 19),
        18: _descriptor(255, b""),
        19: _boot_catalog(entry_block=20),
        20: tiny.boot_sector(),
    }
    return b"".join(blocks.get(number, b"").ljust(_BLOCK, b"\0") for number in range(32))


def _descriptor(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + b"CD001\1" + body


def _boot_catalog(entry_block: int) -> bytes:
    validation = struct.pack("<BBH24sH2s", 1, 0, 0, b"", 0, b"\x55\xaa")
    checksum = -sum(struct.unpack("<16H", validation)) & 0xFFFF
    validation = struct.pack("<BBH24sH2s", 1, 0, 0, b"", checksum, b"\x55\xaa")
    return validation + struct.pack("<BBHBBHI", 0x88, 0, 0, 0, 0, 1, entry_block)


def qcow2_with_backing_file(scratch: Path, secret: Path) -> bytes:
    """An image that would show a file of the host to its guest."""
    return _made(scratch, "-b", str(secret), "-F", "raw", "1M")


def qcow2_with_data_file(scratch: Path) -> bytes:
    """An image that keeps its data in a file of the host."""
    return _made(scratch, "-o", f"data_file={scratch / 'data.raw'},data_file_raw=on", "1M")


def qcow2_of_size(scratch: Path, size: str) -> bytes:
    """An empty image."""
    return _made(scratch, size)


def cut_off_qcow2(scratch: Path) -> bytes:
    """An image whose header and tables are whole, and whose data are not all there."""
    raw = scratch / "full.raw"
    raw.write_bytes(b"\1" * (4 << 20))
    path = scratch / "full.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    whole = path.read_bytes()
    return whole[: len(whole) - (2 << 20)]


def _made(scratch: Path, *arguments: str) -> bytes:
    path = scratch / "made.qcow2"
    size = arguments[-1]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *arguments[:-1], path, size], check=True)
    return path.read_bytes()
