"""Room for guests on their host: directories that come and go whole, and memory that must be free."""

import shutil
from pathlib import Path
from typing import Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers import host

GONE: Final = ".gone-"
"""How the names of directories begin that are being removed."""

_OWN_MEMORY_MB: Final = 32  # what QEMU needs beside the guest's memory


def make_open_directory(directory: Path) -> None:
    """Make a directory, unless it is there, that another user's QEMU may walk through and not look around in.

    A daemon that runs guests as a user of its own takes over the files that it is told of, and needs to get there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)  # whatever the umask is


def remove_directory(directory: Path) -> None:
    """Remove a guest's directory: it is there, or it is not, whenever somebody looks."""
    if directory.exists():
        gone = directory.with_name(f"{GONE}{directory.name}")
        shutil.rmtree(gone, ignore_errors=True)
        directory.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def require_memory(asked_mb: int) -> None:
    """See that the host has this much to give. Raises GuestFailure(MEMORY_SHORT)."""
    free_mb = host.memory_mb("MemAvailable")
    if asked_mb + _OWN_MEMORY_MB > free_mb:
        text = f"the host has not enough free memory: {asked_mb} MB asked, {free_mb} MB free"
        raise GuestFailure(FaultCause.MEMORY_SHORT, text)
