"""The tiny kernel: tells by serial what it was given, a command line and a ramdisk, and boots the first disk.

It is for QEMU's ``-kernel`` what the tiny guest is for its disks: an image of format ``aki`` with which a disk is
booted whose ``kernel_id`` names it. Its source is ``tiny_kernel.S``, beside this file.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from kilonova.images.guests import assembly

TOLD: Final = "kilonova-kernel: told "
"""What it writes before its command line."""

RAMDISK_SAYS: Final = "kilonova-kernel: ramdisk says "
"""What it writes before the first line of its ramdisk."""

_HEADER_AT: Final = 0x1F0
_BYTES: Final = 0x800
"""A boot sector, two more with the code, and one for the part that other kernels have above 1 MiB."""

_CODE: Final = bytes.fromhex(
    """
    000200002000000000000000000055aaeb664864725302020000000000000000000100000000100000000000000000000000
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
    0000000000000000000000000000000000000000fc8cc883e8208ed8fbbafb03b080eeb001baf803ee4230c0eeb003b2fbee
    be7203e88d0066a128026689c366c1e80483e30f89de1e8ed8e877001fbed103e8700066a11c026685c0744b66a11802a354
    0366c1e810a25603882659036631c08cd866c1e0046605d4030000a35c0366c1e810a25e038cd88ec0be4203b92000b487cd
    15be8903e82800bed403e82200bed103e81c00be3203b8804288c2cd137207b280ea007c0000bea803e80300f4ebfdac3c00
    741388c4bafd03eca82074fb88e0b2f8ee3c0a75e8c310000100007c00000000000000000000000000000000000000000000
    00000000ffff000000930000ffff000000930000000000000000000000000000000000006b696c6f6e6f76612d6b65726e65
    6c3a20746f6c6420006b696c6f6e6f76612d6b65726e656c3a2072616d6469736b207361797320006b696c6f6e6f76612d6b
    65726e656c3a206e6f206469736b20746f20676f206f6e20776974680d0a000d0a
    """
)
_SOURCE: Final = Path(__file__).with_suffix(".S")


def image() -> bytes:
    """The kernel."""
    return (bytes(_HEADER_AT) + _CODE).ljust(_BYTES, b"\0")


def assemble() -> bytes:
    """Its bytes from the header on, as the assembler makes them from the source; needs binutils."""
    return assembly.assemble(_SOURCE, at=0)[_HEADER_AT:].rstrip(b"\0")


def main() -> int:
    """Write the kernel, or rebuild its bytes from the source."""
    words = argparse.ArgumentParser(prog="python -m kilonova.images.guests.tiny_kernel", description=main.__doc__)
    words.add_argument("out", nargs="?", type=Path, help="where to write the kernel")
    words.add_argument("--rebuild", action="store_true", help="assemble tiny_kernel.S and update this module")
    asked = words.parse_args()
    if asked.rebuild:
        sys.stdout.write(assembly.rebuild(Path(__file__), assemble()) + "\n")
    if asked.out:
        asked.out.write_bytes(image())
    return 0


if __name__ == "__main__":
    sys.exit(main())
