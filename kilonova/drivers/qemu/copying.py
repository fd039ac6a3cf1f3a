"""A copy of a guest's disk as it is at one instant: by the QEMU that runs it, or with qemu-img while none does."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.disks.tool import SNAPSHOT_FORMAT, qemu_img
from kilonova.drivers.instances.definition import DiskRole
from kilonova.drivers.qemu.machine import Machine

_JOB: Final = "kilonova-copy"
"""The name of the copy in its QEMU: job and target; a guest has one at a time."""
_PATIENCE_SECONDS: Final = 3600.0
_LOOK_SECONDS: Final = 0.05
_CANCEL_SECONDS: Final = 60.0
_OVER: Final = frozenset({"concluded", "null"})


def copy_live(machine: Machine, disk: Path, destination: Path, *, timeout_seconds: float = _PATIENCE_SECONDS) -> None:
    """Have QEMU copy the disk as it is now, while the guest goes on. Raises GuestFailure; nothing is left in QEMU."""
    _forget(machine)  # what an attempt left that was cut off
    size = _virtual_size(machine)
    destination.unlink(missing_ok=True)
    qemu_img(("create", "-q", "-f", SNAPSHOT_FORMAT, str(destination), str(size)), cwd=disk.parent)
    file = {"driver": "file", "filename": str(destination)}
    machine.command("blockdev-add", {"driver": SNAPSHOT_FORMAT, "node-name": _JOB, "file": file})
    try:
        machine.command(
            "blockdev-backup",
            {
                "job-id": _JOB,
                "device": DiskRole.ROOT.value,
                "target": _JOB,
                "sync": "full",
                "auto-dismiss": False,
            },
        )
        _await(machine, timeout_seconds)
    finally:
        with contextlib.suppress(GuestFailure):  # then QEMU has ended, and all that it had with it
            _forget(machine)


def _virtual_size(machine: Machine) -> int:
    nodes: list[dict[str, Any]] = machine.command("query-named-block-nodes", {"flat": True})
    for node in nodes:
        if node["node-name"] == DiskRole.ROOT.value:
            return int(node["image"]["virtual-size"])
    raise GuestFailure(FaultCause.DRIVER_ERROR, "the server has no disk of which an image could be made")


def _job(machine: Machine) -> Mapping[str, Any] | None:
    jobs: list[dict[str, Any]] = machine.command("query-jobs")
    return next((job for job in jobs if job["id"] == _JOB), None)


def _states(machine: Machine, timeout_seconds: float) -> Iterator[Mapping[str, Any]]:
    """How the job stands, looked at now and then, until it is over or the time is."""
    until = time.monotonic() + timeout_seconds
    while (job := _job(machine)) is not None:
        yield job
        if job["status"] in _OVER or time.monotonic() > until or machine.ended.wait(_LOOK_SECONDS):
            return


def _await(machine: Machine, timeout_seconds: float) -> None:
    job: Mapping[str, Any] | None = None
    for job in _states(machine, timeout_seconds):  # noqa: B007 - the last one counts
        pass
    if job is None or job["status"] not in _OVER:
        raise GuestFailure(FaultCause.GUEST_UNRESPONSIVE, "the copy of the server's disk did not end", detail=str(job))
    if "error" in job:
        full = "No space left" in job["error"]
        text = "the host's disk is full" if full else "the server's disk could not be copied"
        raise GuestFailure(FaultCause.DISK_FULL if full else FaultCause.DRIVER_ERROR, text, detail=json.dumps(job))


def _forget(machine: Machine) -> None:
    """Cancel the job if there is one, and let go of the target."""
    job = _job(machine)
    if job is not None:
        if job["status"] not in _OVER:
            machine.command("block-job-cancel", {"device": _JOB, "force": True})
            for _ in _states(machine, _CANCEL_SECONDS):
                pass  # it is over afterwards
        if _job(machine) is not None:  # one that QEMU was told to forget is gone by itself
            machine.command("job-dismiss", {"id": _JOB})
    nodes: list[dict[str, Any]] = machine.command("query-named-block-nodes", {"flat": True})
    if any(node["node-name"] == _JOB for node in nodes):
        machine.command("blockdev-del", {"node-name": _JOB})
