"""A guest's memory on disk: written when it is suspended, read when it goes on. It is QEMU's migration, to a file."""

import logging
import os
import time
from pathlib import Path
from typing import Any, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.disks.tool import disk_trouble
from kilonova.drivers.qemu.machine import Machine

MEMORY_FILE: Final = "memory.state"
"""The name of saved memory in the guest's directory."""

_LOG = logging.getLogger(__name__)
_PART: Final = ".part"
_DESCRIPTOR: Final = "memory"  # what the monitor calls the file that it was handed
_MOST_BYTES_A_SECOND: Final = 1 << 40  # there is nobody to be spared: the guest stands still
_ANSWER_SECONDS: Final = 120.0  # while QEMU reads or writes it may not look at its monitor
_PATIENCE_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.02
_UNDER_WAY: Final = frozenset({"setup", "active", "pre-switchover", "device", "cancelling"})
_DONE: Final = frozenset({"completed", "failed", "cancelled"})


def save_memory(machine: Machine, directory: Path, *, timeout_seconds: float = _PATIENCE_SECONDS) -> None:
    """Freeze the guest and write all that it is into ``MEMORY_FILE``, which is there whole or not at all.

    Raises GuestFailure; then the guest goes on, if it can.
    """
    part = directory / (MEMORY_FILE + _PART)
    _end_earlier_attempt(machine)
    ran = machine.state is PowerState.RUNNING
    machine.command("stop")
    try:
        with disk_trouble(), part.open("wb") as file:
            machine.command("migrate-set-parameters", {"max-bandwidth": _MOST_BYTES_A_SECOND})
            machine.command("getfd", {"fdname": _DESCRIPTOR}, descriptors=(file.fileno(),))
            machine.command("migrate", {"uri": f"fd:{_DESCRIPTOR}"})
            _await_migration(machine, timeout_seconds)
            os.fsync(file.fileno())
        with disk_trouble():
            part.rename(directory / MEMORY_FILE)
    except BaseException:
        part.unlink(missing_ok=True)
        if ran and not machine.ended.is_set():
            _let_go_on(machine)
        raise


def load_memory(machine: Machine, directory: Path, *, timeout_seconds: float = _PATIENCE_SECONDS) -> None:
    """Read it into a QEMU that was started for that; the guest then stands still. Raises GuestFailure."""
    with disk_trouble(), (directory / MEMORY_FILE).open("rb") as file:
        machine.command("getfd", {"fdname": _DESCRIPTOR}, descriptors=(file.fileno(),))
        machine.command("migrate-incoming", {"uri": f"fd:{_DESCRIPTOR}"}, timeout_seconds=_ANSWER_SECONDS)
        _await_migration(machine, timeout_seconds)
    machine.find_state()


def forget_memory(directory: Path) -> None:
    """Remove it."""
    (directory / MEMORY_FILE).unlink(missing_ok=True)


def _end_earlier_attempt(machine: Machine) -> None:
    """Of a driver that was killed meanwhile: QEMU may still be writing, or have given its disks out of its hands."""
    if machine.command("query-migrate").get("status") in _UNDER_WAY:
        machine.command("migrate_cancel")
        while machine.command("query-migrate", timeout_seconds=_ANSWER_SECONDS).get("status") not in _DONE:
            machine.ended.wait(_LOOK_SECONDS)
    if machine.find_state() == "postmigrate":
        machine.command("cont")


def _let_go_on(machine: Machine) -> None:
    try:
        machine.command("cont")
    except GuestFailure as failure:
        _LOG.warning("a guest that could not be suspended does not go on either: %s", failure.detail)


def _await_migration(machine: Machine, timeout_seconds: float) -> None:
    until = time.monotonic() + timeout_seconds
    while True:
        told: dict[str, Any] = machine.command("query-migrate", timeout_seconds=_ANSWER_SECONDS)
        if told.get("status") in _DONE:
            break
        if time.monotonic() >= until:
            machine.command("migrate_cancel")
            text = "the server's memory could not be written or read in time"
            raise GuestFailure(FaultCause.GUEST_UNRESPONSIVE, text, detail=str(told))
        machine.ended.wait(_LOOK_SECONDS)
    if told["status"] != "completed":
        why = str(told.get("error-desc", told["status"]))
        cause = FaultCause.DISK_FULL if "No space left" in why else FaultCause.DRIVER_ERROR
        text = "the host's disk is full" if cause is FaultCause.DISK_FULL else "the server's memory could not be moved"
        raise GuestFailure(cause, text, detail=why)
