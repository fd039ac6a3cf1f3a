"""The tiny guest: boots in a quarter second, needs 4 MB, and proves what a compute service must keep true.

It counts its boots on its disk (so that persistence shows), writes a line by serial, obeys the power button and
Ctrl-D (off) and Ctrl-R (reset), lets go of cards that are to be taken out, and repeats what else comes in by serial.
Its source is ``tiny.S``, beside this file; what boots are the bytes below, so nobody needs an assembler to have a
guest.
"""

import argparse
import struct
import sys
from pathlib import Path
from typing import Final

from kilonova.images.guests import assembly

READY: Final = "kilonova-tiny: READY boots="
"""What the guest writes at every boot; the number of the boot follows."""

VIRTUAL_SIZE: Final = 1 << 20
"""Bytes of its disk."""

_CODE: Final = bytes.fromhex(
    """
    fa31c08ed88ec08ed0bc007cfbfc8816ec7dbafb03b080eeb001baf803ee4230c0eeb003b2fbeeb442e8940066ff06007eb8
    0043e88900be1b7de88d0066a1007ee89000bebb7de88000be137d66adbaf80c66efb2fc66ed6683f8ff74ef83e0c089c58d
    5602b80001eff489eaedbe377da900017535ba04ae66ed6640740e6648740ab20866efbe9c7de83d00bafd03eca80174d5b2
    f8ecbe5a7d3c04740cbe7c7d3c127411e84300ebe2e81c008d5604b80020efebb3e81000b0fee664ebaabe037d8a16ec7dcd
    13c3ac84c07433e81a00ebf66631d266b90a00000066f7f1526685c07403e8ebff58043050bafd03eca82074fb58b2f8ee55
    b40ebb0700cd105dc310000100007e00000100000000000000400b008040f800806b696c6f6e6f76612d74696e793a205245
    41445920626f6f74733d006b696c6f6e6f76612d74696e793a20706f77657220627574746f6e2c206f66660d0a006b696c6f
    6e6f76612d74696e793a2061736b656420746f20676f2c206f66660d0a006b696c6f6e6f76612d74696e793a2061736b6564
    20746f2072657365740d0a006b696c6f6e6f76612d74696e793a206c65742061206361726420676f0d0a000d0a2020736572
    69616c204374726c2d443a206f66660d0a202073657269616c204374726c2d523a2072657365740d0a
    """
)
_SOURCE: Final = Path(__file__).with_suffix(".S")
_ADDRESS: Final = 0x7C00
_CODE_BYTES: Final = 510
_CLUSTER: Final = 512


def boot_sector() -> bytes:
    """The 512 bytes that are the whole system."""
    return _CODE.ljust(_CODE_BYTES, b"\0") + b"\x55\xaa"


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
    return assembly.assemble(_SOURCE, at=_ADDRESS)


def main() -> int:
    """Write the image (raw, or qcow2 by its name's ending), or rebuild the bytes from the source."""
    words = argparse.ArgumentParser(prog="python -m kilonova.images.guests.tiny", description=main.__doc__)
    words.add_argument("out", nargs="?", type=Path, help="where to write the image")
    words.add_argument("--rebuild", action="store_true", help="assemble tiny.S and update this module")
    asked = words.parse_args()
    if asked.rebuild:
        code = assemble()[:_CODE_BYTES].rstrip(b"\0")
        sys.stdout.write(assembly.rebuild(Path(__file__), code) + "\n")
    if asked.out:
        asked.out.write_bytes(qcow2_image() if asked.out.suffix == ".qcow2" else image())
    return 0


if __name__ == "__main__":
    sys.exit(main())
