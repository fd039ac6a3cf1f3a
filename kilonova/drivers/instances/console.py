"""What a guest writes to its first serial port: a file that QEMU appends to and that we keep from growing for ever."""

import os
import shutil
from pathlib import Path
from typing import Final

KEPT_BYTES: Final = 512 << 10
"""What is left of a log that was cut."""
LIMIT_BYTES: Final = 1 << 20
"""A log longer than this is cut."""


def read_console(log: Path, *, lines: int | None) -> str:
    """The last lines (None: all that is kept), with line ends as in a text file. A missing file is an empty log."""
    try:
        text = _tail(log, LIMIT_BYTES).decode("utf-8", errors="replace").replace("\r\n", "\n")
    except FileNotFoundError:
        return ""
    if lines is None:
        return text
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else ""


def trim_console(log: Path) -> None:
    """Cut a log that became too long; also while QEMU writes it.

    QEMU has it open for appending, so after the cut its next bytes follow ours; what it writes in the instant between
    our two steps stands before the kept lines instead of behind them.
    """
    try:
        if log.stat().st_size <= LIMIT_BYTES:
            return
    except FileNotFoundError:
        return
    kept = _tail(log, KEPT_BYTES)
    kept = kept[kept.find(b"\n") + 1 :]
    os.truncate(log, 0)
    with log.open("ab") as file:
        file.write(kept)


def _tail(log: Path, size: int) -> bytes:
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - size))
        return file.read(size)


def take_console(log: Path, directory: Path) -> None:
    """Let a guest that moved go on with what it wrote before, if it wrote anything. Raises OSError."""
    if log.exists():
        shutil.copyfile(log, directory / log.name)


def put_before(earlier: Path, log: Path) -> None:
    """Put what another log has before what this one has, also while QEMU writes this one. Raises OSError.

    What QEMU writes in the instant between our two steps stands before the rest, as with ``trim_console``.
    """
    if not earlier.exists():
        return
    whole = _tail(earlier, KEPT_BYTES) + (_tail(log, KEPT_BYTES) if log.exists() else b"")
    if log.exists():
        os.truncate(log, 0)
    with log.open("ab") as file:
        file.write(whole)
