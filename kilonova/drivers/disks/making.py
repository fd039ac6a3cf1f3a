"""The disks of one guest: an overlay of a cached image, blank ones, and the config drive."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.disks.config_drive import config_drive, wants_config_drive
from kilonova.drivers.disks.kernels import provide_boot
from kilonova.drivers.disks.tool import qemu_img
from kilonova.drivers.instances.definition import Disk, DiskRole
from kilonova.drivers.protocol import GuestSpec, ImageSource

RESCUE_DISK = "rescue.qcow2"
"""Its name in the guest's directory."""


def make_disks(spec: GuestSpec, directory: Path, cache: ImageCache) -> tuple[Disk, ...]:
    """Make all disks of a guest in its directory, over whatever an interrupted attempt left there.

    Raises GuestFailure.
    """
    return tuple(_each_disk(spec, directory, cache))


def make_rescue_disk(image: ImageSource, directory: Path, cache: ImageCache) -> Disk:
    """Make the disk that a guest is rescued from, over whatever was there. Raises GuestFailure."""
    if image.disk_format == "iso":
        raise GuestFailure(FaultCause.IMAGE_REFUSED, f"image {image.image_id} is a CD, not a disk to boot from")
    _require_disk(image)
    base, facts = cache.provide(image)
    source = ("-b", _from(directory, base), "-F", facts.disk_format)
    made = _create(directory, RESCUE_DISK, DiskRole.RESCUE, (*source, RESCUE_DISK))
    return replace(made, base=base.name, boot=provide_boot(image, cache))


def _each_disk(spec: GuestSpec, directory: Path, cache: ImageCache) -> Iterator[Disk]:
    if spec.image is None or spec.image.disk_format == "iso":
        if spec.root_gb:
            yield blank_disk(directory, "root.qcow2", DiskRole.ROOT, spec.root_gb * host.GIB)
    else:
        yield _overlay(spec.image, spec.root_gb, directory, cache)
    if spec.image is not None and spec.image.disk_format == "iso":
        base, _ = cache.provide(spec.image)
        yield Disk(role=DiskRole.CDROM, file=_from(directory, base), format="raw", base=base.name)
    if spec.ephemeral_gb:
        yield blank_disk(directory, "ephemeral.qcow2", DiskRole.EPHEMERAL, spec.ephemeral_gb * host.GIB)
    if spec.swap_mb:
        yield blank_disk(directory, "swap.qcow2", DiskRole.SWAP, spec.swap_mb * host.MIB)
    if wants_config_drive(spec):
        (directory / "config.iso").write_bytes(config_drive(spec))
        yield Disk(role=DiskRole.CONFIG, file="config.iso", format="raw")


def _require_disk(image: ImageSource) -> None:
    if image.disk_format in ("aki", "ari"):
        raise GuestFailure(FaultCause.IMAGE_REFUSED, f"image {image.image_id} is a part of a system, not a disk")


def _overlay(image: ImageSource, root_gb: int, directory: Path, cache: ImageCache) -> Disk:
    _require_disk(image)
    base, facts = cache.provide(image)
    size = facts.virtual_size
    if root_gb:
        if size > root_gb * host.GIB:
            raise GuestFailure(
                FaultCause.IMAGE_TOO_LARGE,
                f"image {image.image_id} needs a disk of {-(-size // host.GIB)} GB; the flavor has {root_gb} GB",
            )
        size = root_gb * host.GIB
    source = ("-b", _from(directory, base), "-F", facts.disk_format)
    made = _create(directory, "root.qcow2", DiskRole.ROOT, (*source, "root.qcow2", str(size)))
    return replace(made, base=base.name, boot=provide_boot(image, cache))


def blank_disk(directory: Path, name: str, role: DiskRole, size: int) -> Disk:
    """Make an empty disk of so many bytes. Raises GuestFailure."""
    return _create(directory, name, role, (name, str(size)))


def _create(directory: Path, name: str, role: DiskRole, arguments: Sequence[str]) -> Disk:
    qemu_img(("create", "-q", "-f", "qcow2", *arguments), cwd=directory)
    return Disk(role=role, file=name, format="qcow2")


def _from(directory: Path, base: Path) -> str:
    """The base's path as seen from the guest's directory: the state directory may be moved as a whole."""
    return os.path.relpath(base, directory)
