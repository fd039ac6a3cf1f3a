"""The file: a message a line, for whoever reads files. What is written is on the disk before it counts as delivered.

``notifications.ndjson`` is the one that is written; once it is full it is named after the number that its last line
has, and only the newest of those are kept. A line is ``{"seq", "routing_key", "message"}``, or ``{"gap"}``.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Final

from kilonova.domain.options import option
from kilonova.sinks import Parcel, Undelivered, document

_NAME: Final = "notifications"
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSettings:
    """What a file sink can be told."""

    max_mb: int = option(50, "Megabytes after which a new file is begun.", least=1)
    keep: int = option(5, "Full files that are kept.", least=1)
    format: str = option("", "Which notifications: unversioned, versioned or both; empty for the general setting.")


class FileSink:
    """Writes below a directory of its own, which its owner alone may read."""

    keeps_log = False
    takes_gaps = True
    most_parcels = 1000

    def __init__(self, directory: Path, settings: FileSettings) -> None:
        self._directory = directory
        self._settings = settings
        self._file: BufferedWriter | None = None

    @property
    def path(self) -> Path:
        """The file that is written."""
        return self._directory / f"{_NAME}.ndjson"

    def deliver(self, parcels: Iterable[Parcel], *, timeout_seconds: float) -> str:
        """Write and sync. Undelivered where the disk does not take it: then nothing counts."""
        parcels = list(parcels)
        try:
            file = self._opened()
            file.write(b"".join(map(_line, parcels)))
            file.flush()
            os.fsync(file.fileno())
            if file.tell() >= self._settings.max_mb * _MB:
                self._begin_another(parcels[-1].seq)
        except OSError as error:
            self.close()
            raise Undelivered(f"{self.path} cannot be written: {error.strerror}") from error
        return f"{len(parcels)} lines"

    def idle(self) -> None:
        """Nothing is ever due."""

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:  # what could not be written is handed in again
                return

    def _opened(self) -> BufferedWriter:
        if self._file is None:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            _end_last_line(descriptor)
            self._file = os.fdopen(descriptor, "ab")
        return self._file

    def _begin_another(self, seq: int) -> None:
        self.close()
        self.path.rename(self._directory / f"{_NAME}.{seq:012d}.ndjson")
        full = sorted(self._directory.glob(f"{_NAME}.[0-9]*.ndjson"))
        for old in full[: -self._settings.keep]:
            old.unlink()


def _line(parcel: Parcel) -> bytes:
    return document(parcel) + b"\n"


def _end_last_line(descriptor: int) -> None:
    """A line that a crash cut off is taken out: it was not delivered, and comes again."""
    size = end = os.fstat(descriptor).st_size
    while end:
        begin = max(0, end - 65536)
        piece = os.pread(descriptor, end - begin, begin)
        newline = piece.rfind(b"\n")
        if newline >= 0:
            end = begin + newline + 1
            break
        end = begin
    if end != size:
        os.ftruncate(descriptor, end)
