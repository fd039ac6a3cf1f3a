"""Kernels that QEMU starts by itself, with a ramdisk beside them: had from the image cache, and judged before QEMU is.

QEMU reads such a kernel into its own memory, whatever it is. What is no Linux kernel for these processors, or is far
larger than one, never gets there.
"""

import os
import struct
from pathlib import Path
from typing import Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.host import Accelerator
from kilonova.drivers.instances.definition import Boot
from kilonova.drivers.protocol import ImageSource

RAMDISK_TROUBLE: Final = ("initrd is too large", "the ramdisk does not fit into the server's memory")
"""QEMU's words, and ours."""

_MOST_KERNEL_BYTES: Final = 256 * host.MIB  # those of distributions have less than 20 MiB
_TELLS: Final = "root=/dev/vda console=tty0 console=ttyS0"
_SECTOR: Final = 512
# Linux's boot protocol for x86: boot flag at 0x1fe, "HdrS" and the protocol's version behind the jump at 0x200
_BOOT_FLAG_AT: Final = 0x1FE
_BOOT_FLAG: Final = b"\x55\xaa"
_HEADER_AT: Final = 0x202
_HEADER: Final = struct.Struct("<4sH")
_MAGIC: Final = b"HdrS"
_LEAST_PROTOCOL: Final = 0x202


def provide_boot(image: ImageSource, cache: ImageCache) -> Boot | None:
    """The kernel that goes with an image, and its ramdisk, in the cache; None for one that boots by itself.

    Raises GuestFailure.
    """
    if image.boot is None:
        return None
    kernel, _ = cache.provide(image.boot.kernel)
    _check_kernel(kernel, image.boot.kernel.image_id)
    ramdisk = cache.provide(image.boot.ramdisk)[0].name if image.boot.ramdisk is not None else None
    return Boot(kernel=kernel.name, ramdisk=ramdisk, command_line=image.boot.command_line)


def adopt_boot(images: Path, boot: Boot | None, cache: ImageCache) -> None:
    """Have what another host's cache on this machine has of a guest's kernel. Raises GuestFailure."""
    for name in boot.images if boot is not None else ():
        cache.adopt(images / name)


def file_of(image: str) -> str:
    """A cached image's path from a guest's directory."""
    return os.path.join("..", "..", "images", image)  # noqa: PTH118 - a path for QEMU, relative


def command_line_of(boot: Boot, accelerator: Accelerator) -> str:
    """What the kernel is told: where its root and its consoles are, unless its image says something else."""
    if boot.command_line:
        return boot.command_line
    # An emulated timer on a busy host comes late, and kernels take it for broken.
    return _TELLS if accelerator.kind == "kvm" else f"{_TELLS} no_timer_check"


def _check_kernel(path: Path, image_id: str) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(2 * _SECTOR)
    magic, protocol = _HEADER.unpack_from(head.ljust(2 * _SECTOR, b"\0"), _HEADER_AT)
    flag = head[_BOOT_FLAG_AT : _BOOT_FLAG_AT + len(_BOOT_FLAG)]
    if flag != _BOOT_FLAG or magic != _MAGIC or protocol < _LEAST_PROTOCOL:
        text = f"image {image_id} is not the kernel it claims to be: Linux for x86 is what boots here"
        raise GuestFailure(FaultCause.KERNEL_UNFIT, text)
    if size > _MOST_KERNEL_BYTES:
        text = f"image {image_id} is larger than a kernel may be: {_MOST_KERNEL_BYTES // host.MIB} MiB"
        raise GuestFailure(FaultCause.KERNEL_UNFIT, text, detail=f"it has {size} bytes")
