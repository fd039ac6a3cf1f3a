"""Images that guests' disks stand on: fetched once, checked, and never written again."""

import errno
import hashlib
import logging
import os
import re
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kilonova.domain.errors import GuestFailure, KilonovaError
from kilonova.domain.faults import FaultCause
from kilonova.drivers.disks.formats import ImageFacts, check_image
from kilonova.drivers.disks.tool import disk_trouble, qemu_img
from kilonova.drivers.protocol import ImageSource

_LOG = logging.getLogger(__name__)
_PART = ".part"
IMAGE_IDLE_SECONDS: Final = 24 * 3600.0
"""How long an image is kept that no guest uses (Nova's remove_unused_original_minimum_age_seconds)."""


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

    def forget_unused(self, used: Callable[[], frozenset[str] | None], *, idle_seconds: float, now: float) -> None:
        """Remove images that no guest uses and that nobody asked for lately; ``now`` is in seconds since the epoch.

        ``used`` gives the file names of those in use, or None while that cannot be told, and then nothing is removed.
        It is asked anew for each image, at a moment at which nobody can be handed it: whoever was handed it before
        must be telling so, or that it cannot be told.
        """
        for path in list(self.directory.iterdir()):
            if path.name.endswith(_PART) or now - path.stat().st_mtime <= idle_seconds:
                continue
            with self._guards[path.name]:
                needed = used()
                if needed is None:
                    return
                if path.name not in needed and now - path.stat().st_mtime > idle_seconds:
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

    def adopt(self, path: Path) -> Path:
        """Have an image that the cache of another host on this machine has already checked; gives its place here.

        Raises GuestFailure.
        """
        own = self.directory / path.name
        with self._guards[own.name], disk_trouble():
            if not own.exists():
                if not path.exists():
                    raise GuestFailure(FaultCause.IMAGE_UNAVAILABLE, "the server's image is missing on its host")
                part = own.with_name(own.name + _PART)
                part.unlink(missing_ok=True)
                _link_or_copy(path, part)
                part.rename(own)
            else:
                os.utime(own)  # asked for just now
        return own

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


def _link_or_copy(source: Path, destination: Path) -> None:
    """Neither is ever written again, so that one file may have both names."""
    try:
        destination.hardlink_to(source)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(source, destination)
        destination.chmod(0o400)


def cache_key(image: ImageSource) -> str:
    """The file name of an image in the cache."""
    name = image.image_id if re.fullmatch(r"[0-9A-Za-z-]{1,64}", image.image_id) else _digest(image.image_id)
    return f"{name}.{image.sha512[:16] if image.sha512 else 'unchecked'}.{_digest(image.disk_format)[:4]}"


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
