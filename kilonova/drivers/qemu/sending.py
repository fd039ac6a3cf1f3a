"""How a QEMU sends its guest to another one: its disks while it goes on, then its memory, then the rest of both."""

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.disks.tool import disk_trouble
from kilonova.drivers.instances.definition import Definition
from kilonova.drivers.protocol import Tell
from kilonova.drivers.qemu import process
from kilonova.drivers.qemu.machine import Machine
from kilonova.drivers.qemu.reception import DISK_SOCKET, MEMORY_SOCKET

_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 120.0
_LOOK_SECONDS: Final = 0.05
_PATIENCE_LOOKS: Final = 1200  # a minute, for what ends by itself
_MOST_BYTES_A_SECOND: Final = 1 << 40
_MEMORY: Final = "sending"
_UNDER_WAY: Final = frozenset({"setup", "active", "pre-switchover", "device", "cancelling"})
_COUNTS: Final = {"total": "total", "processed": "transferred", "remaining": "remaining"}


class Sending:
    """One guest on its way. ``is_called_off`` and ``is_hurried`` may be set by anybody meanwhile."""

    def __init__(self) -> None:
        self.is_called_off = False
        self.is_hurried = False
        self.ran = True

    def carry_out(self, machine: Machine, definition: Definition, directory: Path, tell: Tell) -> None:
        """Send it to the QEMU that waits in the directory; returns once all of it is there.

        Raises GuestFailure, with ABORTED where it was called off.
        """
        call_back(machine, runs=self.ran)  # of an attempt that was cut off
        disks = [disk.role.value for disk in definition.disks if disk.is_writable]
        for name in disks:
            _mirror(machine, name, directory)
        while not all(each["ready"] for each in self._mirrors(machine, tell)):
            self._look(machine)
        with _handed_over(machine, directory, MEMORY_SOCKET, _MEMORY):
            _set_pause(machine, is_wanted=True)
            machine.command("migrate-set-parameters", {"max-bandwidth": _MOST_BYTES_A_SECOND})
            machine.command("migrate", {"uri": f"fd:{_MEMORY}"})
            self._send_memory(machine, disks, tell)

    def _send_memory(self, machine: Machine, disks: list[str], tell: Tell) -> None:
        has_let_go = False
        while True:
            told: dict[str, Any] = machine.command("query-migrate", timeout_seconds=_ANSWER_SECONDS)
            tell(_memory(told))
            status = told.get("status")
            if status == "completed":
                return
            if status in ("failed", "cancelled"):
                text = "the server's memory could not be sent to its new host"
                raise GuestFailure(FaultCause.DRIVER_ERROR, text, detail=str(told))
            if status == "pre-switchover" and not has_let_go:
                self._heed()  # a small guest may be here before anybody looked
                _end_mirrors(machine, disks)  # it stands still: both copies of its disks are the same now
                machine.command("migrate-continue", {"state": "pre-switchover"}, timeout_seconds=_ANSWER_SECONDS)
                has_let_go = True
            elif not has_let_go:
                self._look(machine)
            else:
                machine.ended.wait(_LOOK_SECONDS)

    def _mirrors(self, machine: Machine, tell: Tell) -> list[Mapping[str, Any]]:
        jobs: list[Mapping[str, Any]] = machine.command("query-block-jobs")
        mine = [job for job in jobs if str(job["device"]).startswith("send-")]
        failed = next((job for job in mine if job.get("error")), None)
        if failed is not None:
            text = "a disk of the server could not be sent to its new host"
            raise GuestFailure(FaultCause.DRIVER_ERROR, text, detail=str(failed))
        total, done = sum(job["len"] for job in mine), sum(job["offset"] for job in mine)
        tell({"disk_total_bytes": total, "disk_processed_bytes": done, "disk_remaining_bytes": total - done})
        return mine

    def _look(self, machine: Machine) -> None:
        """Wait for a moment; do what somebody wants."""
        self._heed()
        if machine.ended.wait(_LOOK_SECONDS):
            raise GuestFailure(FaultCause.GUEST_CRASHED, "the server's QEMU ended while it was sent")
        if self.is_hurried and machine.state is PowerState.RUNNING:
            machine.command("stop")  # so that it changes no more of what was sent

    def _heed(self) -> None:
        if self.is_called_off:
            raise GuestFailure(FaultCause.ABORTED, "the live migration was called off")


def call_back(machine: Machine, *, runs: bool) -> None:
    """End whatever was begun to send the guest, and have it go on if it ``runs``. Raises GuestFailure."""
    if machine.command("query-migrate").get("status") in _UNDER_WAY:
        machine.command("migrate_cancel")
        _until(machine, lambda: machine.command("query-migrate").get("status") not in _UNDER_WAY)
    jobs = [job["id"] for job in machine.command("query-jobs") if str(job["id"]).startswith("send-")]
    for job in jobs:
        with contextlib.suppress(GuestFailure):  # it may end by itself just now
            machine.command("block-job-cancel", {"device": job, "force": True})
        _dismiss(machine, job)
    for node in machine.command("query-named-block-nodes", {"flat": True}):
        if str(node["node-name"]).startswith("there-"):
            machine.command("blockdev-del", {"node-name": node["node-name"]})
    _set_pause(machine, is_wanted=False)
    status = machine.find_state()
    if runs and status in ("paused", "postmigrate", "finish-migrate"):
        machine.command("cont")


def _set_pause(machine: Machine, *, is_wanted: bool) -> None:
    """Whether a migration stops before its last part, until it is told to go on."""
    capability = {"capability": "pause-before-switchover", "state": is_wanted}
    machine.command("migrate-set-capabilities", {"capabilities": [capability]})


def _mirror(machine: Machine, name: str, directory: Path) -> None:
    """Begin to copy a disk, and all that is written to it from now on."""
    descriptor = f"disk-{name}"
    with _handed_over(machine, directory, DISK_SOCKET, descriptor):
        server = {"type": "fd", "str": descriptor}
        node = {"driver": "nbd", "node-name": f"there-{name}", "server": server, "export": name}
        machine.command("blockdev-add", node, timeout_seconds=_ANSWER_SECONDS)
    job = {"job-id": f"send-{name}", "device": name, "target": f"there-{name}", "sync": "top", "auto-dismiss": False}
    machine.command("blockdev-mirror", job)


def _end_mirrors(machine: Machine, disks: list[str]) -> None:
    for name in disks:
        machine.command("block-job-cancel", {"device": f"send-{name}"})
    for name in disks:
        _dismiss(machine, f"send-{name}")
        machine.command("blockdev-del", {"node-name": f"there-{name}"})


def _dismiss(machine: Machine, job: str) -> None:
    """Wait for the end of a job, and forget it. Raises GuestFailure where it failed."""

    def found() -> Mapping[str, Any] | None:
        return next((each for each in machine.command("query-jobs") if each["id"] == job), None)

    _until(machine, lambda: (each := found()) is None or each["status"] == "concluded")
    if found() is not None:
        machine.command("job-dismiss", {"id": job})


def _until(machine: Machine, is_so: Any) -> None:
    for _ in range(_PATIENCE_LOOKS):
        if is_so():
            return
        machine.ended.wait(_LOOK_SECONDS)
    raise GuestFailure(FaultCause.GUEST_UNRESPONSIVE, "the server's QEMU does not end what it was told to end")


def _memory(told: Mapping[str, Any]) -> Mapping[str, int]:
    ram = told.get("ram", {})
    return {f"memory_{ours}_bytes": int(ram[its]) for ours, its in _COUNTS.items() if its in ram}


@contextlib.contextmanager
def _handed_over(machine: Machine, directory: Path, name: str, descriptor: str) -> Iterator[None]:
    """Give QEMU a connection to a socket in the directory, whose path may be too long for it, by this name."""
    with disk_trouble(), contextlib.closing(_connected(directory, name)) as line:
        machine.command("getfd", {"fdname": descriptor}, descriptors=(line.fileno(),))
        yield


def _connected(directory: Path, name: str) -> socket.socket:
    line = process.connect(directory, name, timeout_seconds=_CONNECT_SECONDS)
    line.settimeout(None)  # QEMU has the same one, and must not find it non-blocking by surprise
    return line
