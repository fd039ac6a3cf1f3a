"""The data of images, in files of one directory.

A file gets its final name only when every byte of it is on the disk, so a file without ``.part`` is whole. Which
of them count is for the records to say: ``sweep`` removes the others.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from kilonova.domain.errors import NotFound, TooLarge, Unavailable

HASH: Final = "sha512"
"""Glance's default ``hashing_algorithm``."""

_PART: Final = ".part"


class ImageFiles:
    """The directory, which is made if need be, readable only by its owner."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, image_id: str) -> Path:
        """Where the data of an image is, or would be."""
        return self._directory / image_id

    def begin(self, image_id: str) -> "PartFile":
        """A new, empty file for data that arrives; what an earlier attempt left is gone."""
        return PartFile(self.path(image_id))

    def open(self, image_id: str) -> BinaryIO:
        """The data, for reading. NotFound where there is none."""
        try:
            return self.path(image_id).open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"The data of image {image_id} is not there") from error

    def fetch(self, image_id: str, destination: Path) -> None:
        """Link the data to ``destination``, or copy it to another file system; whole or not at all."""
        source = self.path(image_id)
        if not source.exists():
            raise NotFound(f"The data of image {image_id} is not there")
        try:
            os.link(source, destination)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
            _copy(source, destination)

    def remove(self, image_id: str) -> None:
        """Take the data away; those who have it open keep reading it."""
        self.path(image_id).unlink(missing_ok=True)

    def sweep(self, keep: Collection[str]) -> list[str]:
        """Remove every file but those of the images named; the names of what was removed."""
        strays = [path for path in self._directory.iterdir() if path.is_file() and path.name not in keep]
        for path in strays:
            path.unlink(missing_ok=True)
        return sorted(path.name for path in strays)


class PartFile:
    """Data that arrives: written, counted and hashed on the way."""

    def __init__(self, final: Path) -> None:
        self._final = final
        self._part = final.with_name(final.name + _PART)
        with _told():
            self._file = self._part.open("wb")
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._hash = hashlib.new(HASH)
        self.size = 0

    @property
    def checksum(self) -> str:
        """MD5 so far, in hex."""
        return self._md5.hexdigest()

    @property
    def hash_value(self) -> str:
        """SHA-512 so far, in hex."""
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray) -> None:
        """Append. TooLarge where the disk is full."""
        with _told():
            self._file.write(data)
        self._md5.update(data)
        self._hash.update(data)
        self.size += len(data)

    def finish(self) -> None:
        """Bring every byte to the disk and give the file its final name. TooLarge where the disk is full."""
        with _told():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.chmod(0o400)
            self._part.replace(self._final)
            _sync_directory(self._final.parent)

    def abort(self) -> None:
        """Take away what was written; harmless after ``finish``, which left nothing to take."""
        with suppress(OSError):  # what could not be flushed to a full disk is not wanted any more
            self._file.close()
        self._part.unlink(missing_ok=True)


@contextmanager
def _told() -> Iterator[None]:
    """Failures of the disk, in a sentence for whoever uploads."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise TooLarge("There is no room left on the disk that keeps the images.", detail=str(error)) from error
        raise Unavailable("The disk that keeps the images cannot be written to.", detail=str(error)) from error


def _copy(source: Path, destination: Path) -> None:
    part = destination.with_name(destination.name + _PART)
    try:
        shutil.copyfile(source, part)
        part.replace(destination)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
