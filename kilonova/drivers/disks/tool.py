"""qemu-img, run within limits, and what goes wrong with disks in words."""

import contextlib
import errno
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.drivers import host
from kilonova.drivers.instances.definition import Disk

SNAPSHOT_FORMAT: Final = "qcow2"
"""Of copies of disks."""

# A hostile image must not take the host's memory or processor while qemu-img looks at it.
_TOOL_MEMORY_KIB = 1 << 20
_TOOL_CPU_SECONDS = 60
_LIMITED = f'ulimit -v {_TOOL_MEMORY_KIB} && ulimit -t {_TOOL_CPU_SECONDS} && exec "$@"'
_PATIENT = f'ulimit -v {_TOOL_MEMORY_KIB} && exec "$@"'


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


def copy_at_rest(directory: Path, disk: Disk, destination: Path) -> None:
    """Copy the disk of a guest that no QEMU runs. Raises GuestFailure."""
    destination.unlink(missing_ok=True)
    source = ("-f", disk.format, disk.file)
    qemu_img(("convert", "-q", *source, "-O", SNAPSHOT_FORMAT, str(destination)), cwd=directory, may_take_long=True)
