"""The tiny guest: boots in a quarter second, needs 4 MB, and proves what a compute service must keep true.

It counts its boots on its disk (so that persistence shows), writes a line by serial, obeys the power button and
Ctrl-D (off) and Ctrl-R (reset), and repeats what else comes in by serial. Its source is ``tiny.S``, beside this
file; what boots are the bytes below, so nobody needs an assembler to have a guest.
"""

import argparse
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

READY: Final = "kilonova-tiny: READY boots="
"""What the guest writes at every boot; the number of the boot follows."""

VIRTUAL_SIZE: Final = 1 << 20
"""Bytes of its disk."""

MIN_MEMORY_MB: Final = 4

_CODE: Final = bytes.fromhex(
    """
    fa31c08ed88ec08ed0bc007cfbfc8816887dbafb03b080eeb001baf803ee4230c0eeb003b2fbeeb442e87d0066ff06007eb8
    0043e87200be047de8760066a1007ee87900be857de86900befc7c66adbaf80c66efb2fc66ed6683f8ff74ef83e0c089c58d
    5602b80001eff489eaedbe207da90001751ebafd03eca80174ecb2f8ecbe437d3c04740cbe657d3c127411e84300ebe2e81c
    008d5604b80020efebcae81000b0fee664ebc1beec7c8a16887dcd13c3ac84c07433e81a00ebf66631d266b90a00000066f7
    f1526685c07403e8ebff58043050bafd03eca82074fb58b2f8ee55b40ebb0700cd105dc310000100007e0000010000000000
    0000400b008040f800806b696c6f6e6f76612d74696e793a20524541445920626f6f74733d006b696c6f6e6f76612d74696e
    793a20706f77657220627574746f6e2c206f66660d0a006b696c6f6e6f76612d74696e793a2061736b656420746f20676f2c
    206f66660d0a006b696c6f6e6f76612d74696e793a2061736b656420746f2072657365740d0a000d0a
    """
)
_SOURCE: Final = Path(__file__).with_suffix(".S")
_CLUSTER: Final = 512


def boot_sector() -> bytes:
    """The 512 bytes that are the whole system."""
    return _CODE.ljust(510, b"\0") + b"\x55\xaa"


def image() -> bytes:
    """The disk as raw bytes, 1 MiB, with a boot counter of zero."""
    return boot_sector().ljust(VIRTUAL_SIZE, b"\0")


def qcow2_image() -> bytes:
    """The same disk as qcow2: 3 KiB, for it has one cluster (of the smallest size) that is not empty."""
    reftable, refblock, l1_table, l2_table, data, end = (number * _CLUSTER for number in range(1, 7))
    l1_entries = VIRTUAL_SIZE // _CLUSTER // (_CLUSTER // 8)
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 0, 0, 9, VIRTUAL_SIZE, 0, l1_entries, l1_table, reftable, 1, 0, 0
    )
    header += struct.pack(">QQQII", 0, 0, 0, 4, 104)
    copied = 1 << 63
    clusters = (
        header,
        struct.pack(">Q", refblock),
        struct.pack(">6H", *(1,) * (end // _CLUSTER)),
        struct.pack(">Q", copied | l2_table),
        struct.pack(">Q", copied | data),
        boot_sector(),
    )
    return b"".join(cluster.ljust(_CLUSTER, b"\0") for cluster in clusters)


def assemble() -> bytes:
    """The boot sector as the assembler makes it from the source; needs binutils."""
    with tempfile.TemporaryDirectory() as scratch:
        parts = Path(scratch, "tiny.o"), Path(scratch, "tiny.bin")
        linked = ("-m", "elf_i386", "-Ttext", "0x7c00", "-e", "start", "--oformat", "binary")
        subprocess.run(("as", "--32", "-o", parts[0], _SOURCE), check=True)  # noqa: S607 - binutils are on the PATH
        subprocess.run(("ld", *linked, "-o", parts[1], parts[0]), check=True)  # noqa: S607
        return parts[1].read_bytes()


def _rebuild() -> str:
    """Put what the assembler makes into this very file; says what it did."""
    made = assemble()
    if made == boot_sector():
        return "tiny: the bytes are those of the source"
    text = Path(__file__).read_text()
    before, rest = text.split('bytes.fromhex(\n    """\n', 1)
    after = rest.split('    """', 1)[1]
    digits = made[:510].rstrip(b"\0").hex()
    lines = "".join(f"    {digits[at : at + 100]}\n" for at in range(0, len(digits), 100))
    Path(__file__).write_text(f'{before}bytes.fromhex(\n    """\n{lines}    """{after}')
    return f"tiny: rebuilt, {len(digits) // 2} bytes of code"


def main() -> int:
    """Write the image (raw, or qcow2 by its name's ending), or rebuild the bytes from the source."""
    words = argparse.ArgumentParser(prog="python -m kilonova.images.guests.tiny", description=main.__doc__)
    words.add_argument("out", nargs="?", type=Path, help="where to write the image")
    words.add_argument("--rebuild", action="store_true", help="assemble tiny.S and update this module")
    asked = words.parse_args()
    if asked.rebuild:
        sys.stdout.write(_rebuild() + "\n")
    if asked.out:
        asked.out.write_bytes(qcow2_image() if asked.out.suffix == ".qcow2" else image())
    return 0


if __name__ == "__main__":
    sys.exit(main())
