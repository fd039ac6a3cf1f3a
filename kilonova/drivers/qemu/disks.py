"""Disks: a cache of images, fetched once and never written again, and an overlay of one of them for each guest."""

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable, KilonovaError
from kilonova.domain.faults import FaultCause
from kilonova.drivers.protocol import GuestSpec, ImageSource
from kilonova.drivers.qemu import host
from kilonova.drivers.qemu.config_drive import config_drive, wants_config_drive
from kilonova.drivers.qemu.definition import Disk, DiskRole
from kilonova.drivers.qemu.formats import ImageFacts, check_image

_LOG = logging.getLogger(__name__)
RESCUE_DISK = "rescue.qcow2"
"""Its name in the guest's directory."""
_PART = ".part"
_CHUNK = 1 << 20
# A hostile image must not take the host's memory or processor while qemu-img looks at it.
_TOOL_MEMORY_KIB = 1 << 20
_TOOL_CPU_SECONDS = 60
_LIMITED = f'ulimit -v {_TOOL_MEMORY_KIB} && ulimit -t {_TOOL_CPU_SECONDS} && exec "$@"'
_PATIENT = f'ulimit -v {_TOOL_MEMORY_KIB} && exec "$@"'


class ImageCache:
    """Images by id and checksum; each is fetched once, checked, and then only read.

    One cache must be used by one process at a time (the driver's lock sees to that).
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._guards: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def sweep(self) -> None:
        """Remove what an interrupted fetch left."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for leftover in self.directory.glob(f"*{_PART}"):
            leftover.unlink()

    def forget_unused(self, used: frozenset[str], *, idle_seconds: float, now: float) -> None:
        """Remove images that no guest uses (``used`` has file names) and that nobody asked for lately.

        ``now`` is in seconds since the epoch.
        """
        for path in list(self.directory.iterdir()):
            with self._guards[path.name]:
                if path.name not in used and now - path.stat().st_mtime > idle_seconds:
                    _LOG.info("image %s is forgotten: no guest uses it", path.name)
                    path.unlink()

    def provide(self, image: ImageSource) -> tuple[Path, ImageFacts]:
        """The image's file in the cache, fetched if it is not there, and what it is. Raises GuestFailure."""
        path = self.directory / cache_key(image)
        with self._guards[path.name]:
            if not path.exists():
                self._fetch(image, path)
            os.utime(path)  # asked for just now
            return path, check_image(path, image_id=image.image_id, claimed=image.disk_format)

    def fetched(self, image: ImageSource) -> bool:
        """Have the image in the cache; True if it was fetched just now. Raises GuestFailure."""
        is_new = not (self.directory / cache_key(image)).exists()
        self.provide(image)
        return is_new

    def _fetch(self, image: ImageSource, path: Path) -> None:
        part = path.with_name(path.name + _PART)
        part.unlink(missing_ok=True)
        _see_room(self.directory, image.size_bytes)
        try:
            with disk_trouble():
                _download(image, part)
                _verify_bytes(image, part)
                if check_image(part, image_id=image.image_id, claimed=image.disk_format).disk_format == "qcow2":
                    _verify_qcow2(part, image.image_id)
                part.chmod(0o400)
                part.rename(path)
        finally:
            part.unlink(missing_ok=True)


def cache_key(image: ImageSource) -> str:
    """The file name of an image in the cache."""
    name = image.image_id if re.fullmatch(r"[0-9A-Za-z-]{1,64}", image.image_id) else _digest(image.image_id)
    return f"{name}.{image.sha512[:16] if image.sha512 else 'unchecked'}.{_digest(image.disk_format)[:4]}"


def make_disks(spec: GuestSpec, directory: Path, cache: ImageCache) -> tuple[Disk, ...]:
    """Make all disks of a guest in its directory, over whatever an interrupted attempt left there.

    Raises GuestFailure.
    """
    return tuple(_each_disk(spec, directory, cache))


def make_rescue_disk(image: ImageSource, directory: Path, cache: ImageCache) -> Disk:
    """Make the disk that a guest is rescued from, over whatever was there. Raises GuestFailure."""
    if image.disk_format == "iso":
        raise GuestFailure(FaultCause.IMAGE_REFUSED, f"image {image.image_id} is a CD, not a disk to boot from")
    base, facts = cache.provide(image)
    source = ("-b", _from(directory, base), "-F", facts.disk_format)
    made = _create(directory, RESCUE_DISK, DiskRole.RESCUE, (*source, RESCUE_DISK))
    return replace(made, base=base.name)


@contextlib.contextmanager
def disk_trouble() -> Iterator[None]:
    """Turns what the operating system refused, such as space on a disk, into a GuestFailure."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise GuestFailure(FaultCause.DISK_FULL, "the host's disk is full", detail=str(error)) from error
        text = f"the host failed: {error.strerror or 'input or output error'}"
        raise GuestFailure(FaultCause.DRIVER_ERROR, text, detail=str(error)) from error


def _each_disk(spec: GuestSpec, directory: Path, cache: ImageCache) -> Iterator[Disk]:
    if spec.image is None or spec.image.disk_format == "iso":
        if spec.root_gb:
            yield _blank(directory, "root.qcow2", DiskRole.ROOT, spec.root_gb * host.GIB)
    else:
        yield _overlay(spec.image, spec.root_gb, directory, cache)
    if spec.image is not None and spec.image.disk_format == "iso":
        base, _ = cache.provide(spec.image)
        yield Disk(role=DiskRole.CDROM, file=_from(directory, base), format="raw", base=base.name)
    if spec.ephemeral_gb:
        yield _blank(directory, "ephemeral.qcow2", DiskRole.EPHEMERAL, spec.ephemeral_gb * host.GIB)
    if spec.swap_mb:
        yield _blank(directory, "swap.qcow2", DiskRole.SWAP, spec.swap_mb * host.MIB)
    if wants_config_drive(spec):
        (directory / "config.iso").write_bytes(config_drive(spec))
        yield Disk(role=DiskRole.CONFIG, file="config.iso", format="raw")


def _overlay(image: ImageSource, root_gb: int, directory: Path, cache: ImageCache) -> Disk:
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
    return replace(made, base=base.name)


def _blank(directory: Path, name: str, role: DiskRole, size: int) -> Disk:
    return _create(directory, name, role, (name, str(size)))


def _create(directory: Path, name: str, role: DiskRole, arguments: Sequence[str]) -> Disk:
    qemu_img(("create", "-q", "-f", "qcow2", *arguments), cwd=directory)
    return Disk(role=role, file=name, format="qcow2")


def _from(directory: Path, base: Path) -> str:
    """The base's path as seen from the guest's directory: the state directory may be moved as a whole."""
    return os.path.relpath(base, directory)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _see_room(directory: Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise GuestFailure(
            FaultCause.DISK_FULL,
            "the host's disk is full",
            detail=f"the image has {needed} bytes, {directory} has room for {free}",
        )


def _download(image: ImageSource, part: Path) -> None:
    try:
        image.fetch(part)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _unavailable(image, str(error)) from error
    except KilonovaError as error:
        raise _unavailable(image, error.detail or error.message) from error
    if not part.exists():
        raise _unavailable(image, "the image service delivered nothing")


def _unavailable(image: ImageSource, detail: str) -> GuestFailure:
    return GuestFailure(FaultCause.IMAGE_UNAVAILABLE, f"image {image.image_id} cannot be read", detail=detail)


def _verify_bytes(image: ImageSource, part: Path) -> None:
    size = part.stat().st_size
    if size != image.size_bytes:
        text = f"image {image.image_id} has {size} bytes, not the {image.size_bytes} it was registered with"
        raise GuestFailure(FaultCause.IMAGE_CORRUPT, text)
    if image.sha512 is None:
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha512").hexdigest()
        os.fsync(file.fileno())
    if found != image.sha512.lower():
        text = f"image {image.image_id} does not have the checksum it was registered with"
        raise GuestFailure(FaultCause.IMAGE_CORRUPT, text, detail=f"sha512 {found}, registered {image.sha512}")


def _verify_qcow2(part: Path, image_id: str) -> None:
    """Have qemu-img follow every table: only so a file is found out that was cut off behind its header."""
    try:
        qemu_img(("check", "-q", "-f", "qcow2", part.name), cwd=part.parent, good=(0, 3))
    except GuestFailure as failure:
        text = f"image {image_id} is a damaged or cut off qcow2"
        raise GuestFailure(FaultCause.IMAGE_CORRUPT, text, detail=failure.detail) from failure


def qemu_img(arguments: Sequence[str], *, cwd: Path, good: Sequence[int] = (0,), may_take_long: bool = False) -> None:
    """Run qemu-img within limits; with ``may_take_long`` its processor time, which grows with a disk, has none.

    Raises GuestFailure, or HypervisorUnavailable where there is no qemu-img.
    """
    command = ("/bin/sh", "-c", _PATIENT if may_take_long else _LIMITED, "sh", host.IMAGE_BINARY, *arguments)
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False
        )
    except OSError as error:
        raise HypervisorUnavailable("qemu-img cannot be run", detail=str(error)) from error
    if done.returncode == 127:
        raise HypervisorUnavailable(f"qemu-img is not installed; install it with: {host.INSTALL_LINE}")
    if done.returncode not in good:
        said = (done.stderr or done.stdout).strip() or f"qemu-img ended with status {done.returncode}"
        cause = FaultCause.DISK_FULL if "No space left" in said else FaultCause.DRIVER_ERROR
        text = "the host's disk is full" if cause is FaultCause.DISK_FULL else "a disk could not be made"
        raise GuestFailure(cause, text, detail=said)
