"""The disks of a guest that is taken in: copies of those that another directory has, of the sizes that it is to have.

Both directories are on one machine, and each is as deep below its own image cache as the other: so an overlay finds the
image under it in the new place as in the old one, once the cache there has it.
"""

import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.disks.kernels import adopt_boot
from kilonova.drivers.disks.making import blank_disk
from kilonova.drivers.disks.tool import qemu_img
from kilonova.drivers.instances.definition import Definition, Disk, DiskRole
from kilonova.drivers.protocol import GuestSpec

_QCOW2_MAGIC: Final = b"QFI\xfb"
_QCOW2_SIZE_AT: Final = 24
_NAMES: Final = {DiskRole.ROOT: "root", DiskRole.EPHEMERAL: "ephemeral"}


def take_disks(
    source: Path, definition: Definition, spec: GuestSpec, directory: Path, cache: ImageCache
) -> tuple[Disk, ...]:
    """Make the guest's disks in its new directory; what is in the old one stays as it is.

    Root and ephemeral disk grow where the spec says so, and never shrink; swap comes empty, and the config drive is
    taken over. Raises GuestFailure(NOT_SUPPORTED) for a disk that would have to shrink, before anything is copied.
    """
    wanted = {DiskRole.ROOT: spec.root_gb, DiskRole.EPHEMERAL: spec.ephemeral_gb}
    for disk in definition.disks:
        _refuse_to_shrink(source, disk, wanted)
    return tuple(_each(source, definition, spec, directory, cache))


def receive_disks(source: Path, definition: Definition, directory: Path, cache: ImageCache) -> tuple[Disk, ...]:
    """Make disks of the same sizes and over the same images in the new directory, with nothing on them yet.

    What is never written to is there already. Raises GuestFailure.
    """
    return tuple(_received(source, disk, directory, cache) for disk in definition.disks)


def _received(source: Path, disk: Disk, directory: Path, cache: ImageCache) -> Disk:
    base = None if disk.base is None else cache.adopt(_cached(source, disk.base))
    adopt_boot(_images(source), disk.boot, cache)
    if disk.is_writable:
        below = () if base is None else ("-b", os.path.relpath(base, directory), "-F", _format_of(base))
        size = str(virtual_size(source / disk.file))
        qemu_img(("create", "-q", "-f", "qcow2", *below, disk.file, size), cwd=directory)
        return disk
    if base is not None:
        return replace(disk, file=os.path.relpath(base, directory))
    copy_file(source / disk.file, directory / disk.file)
    return disk


def _format_of(image: Path) -> str:
    """The format of an image that was checked when it came: only those two are below disks."""
    with image.open("rb") as file:
        return "qcow2" if file.read(len(_QCOW2_MAGIC)) == _QCOW2_MAGIC else "raw"


def copy_file(source: Path, destination: Path) -> None:
    """Copy a file with its holes, or share its blocks where the file system can; it is on the disk afterwards.

    Raises GuestFailure.
    """
    command = ("cp", "--reflink=auto", "--sparse=always", "--", str(source), str(destination))
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        is_full = "No space left" in done.stderr
        cause = FaultCause.DISK_FULL if is_full else FaultCause.DRIVER_ERROR
        text = "the host's disk is full" if is_full else "a disk of the server could not be copied"
        raise GuestFailure(cause, text, detail=done.stderr.strip())
    with destination.open("rb") as file:
        os.fsync(file.fileno())


def virtual_size(path: Path) -> int:
    """Bytes that a guest sees of a qcow2 file of our own making."""
    with path.open("rb") as file:
        file.seek(_QCOW2_SIZE_AT)
        (size,) = struct.unpack(">Q", file.read(8))
    return int(size)


def _refuse_to_shrink(source: Path, disk: Disk, wanted: dict[DiskRole, int]) -> None:
    if disk.role not in wanted:
        return
    has, gigabytes = virtual_size(source / disk.file), wanted[disk.role]
    is_free = disk.role is DiskRole.ROOT and not gigabytes  # as large as it is
    if has > gigabytes * host.GIB and not is_free:
        text = f"the {_NAMES[disk.role]} disk cannot shrink from {-(-has // host.GIB)} to {gigabytes} GiB"
        raise GuestFailure(FaultCause.NOT_SUPPORTED, text)


def _each(source: Path, definition: Definition, spec: GuestSpec, directory: Path, cache: ImageCache) -> Iterator[Disk]:
    root, ephemeral = definition.find_disk(DiskRole.ROOT), definition.find_disk(DiskRole.EPHEMERAL)
    cd, config = definition.find_disk(DiskRole.CDROM), definition.find_disk(DiskRole.CONFIG)
    if root is not None or spec.root_gb:
        yield _taken(source, root, DiskRole.ROOT, spec.root_gb, directory, cache)
    if cd is not None and cd.base is not None:
        base = cache.adopt(_cached(source, cd.base))
        yield replace(cd, file=os.path.relpath(base, directory))
    if spec.ephemeral_gb:
        yield _taken(source, ephemeral, DiskRole.EPHEMERAL, spec.ephemeral_gb, directory, cache)
    if spec.swap_mb:
        yield blank_disk(directory, "swap.qcow2", DiskRole.SWAP, spec.swap_mb * host.MIB)
    if config is not None:
        copy_file(source / config.file, directory / config.file)
        yield config


def _taken(source: Path, disk: Disk | None, role: DiskRole, gigabytes: int, directory: Path, cache: ImageCache) -> Disk:
    """A disk with what is on it, if there was one, and at least so large."""
    size = gigabytes * host.GIB
    if disk is None:
        return blank_disk(directory, f"{_NAMES[role]}.qcow2", role, size)
    if disk.base is not None:
        cache.adopt(_cached(source, disk.base))
    adopt_boot(_images(source), disk.boot, cache)
    copy_file(source / disk.file, directory / disk.file)
    if size > virtual_size(directory / disk.file):
        qemu_img(("resize", "-q", "-f", disk.format, disk.file, str(size)), cwd=directory)
    return disk


def _cached(source: Path, name: str) -> Path:
    """An image in the cache that the old directory's disks stand on."""
    return _images(source) / name


def _images(source: Path) -> Path:
    """The cache of the old directory's host."""
    return source.parent.parent / "images"
