"""What a QEMU does that waits for a guest: it listens for the guest's memory and for its disks."""

import time
from typing import Any, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.instances.definition import Definition
from kilonova.drivers.qemu.machine import Machine

MEMORY_SOCKET: Final = "arrival.sock"
DISK_SOCKET: Final = "disks.sock"
"""Names in the guest's directory."""

_ANSWER_SECONDS: Final = 120.0
_PATIENCE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.02


def open_reception(machine: Machine, definition: Definition) -> None:
    """Listen. Raises GuestFailure."""
    disks = [disk.role.value for disk in definition.disks if disk.is_writable]
    if disks:
        address = {"type": "unix", "data": {"path": DISK_SOCKET}}
        machine.command("nbd-server-start", {"addr": address, "max-connections": len(disks)})
        for name in disks:
            export = {"type": "nbd", "id": f"arrival-{name}", "node-name": name, "name": name, "writable": True}
            machine.command("block-export-add", export)
    machine.command("migrate-incoming", {"uri": f"unix:{MEMORY_SOCKET}"}, timeout_seconds=_ANSWER_SECONDS)


def await_arrival(machine: Machine) -> None:
    """Wait until all of the guest is there, and close the doors behind it. Raises GuestFailure."""
    until = time.monotonic() + _PATIENCE_SECONDS
    told: dict[str, Any] = {}
    while told.get("status") != "completed":
        told = machine.command("query-migrate", timeout_seconds=_ANSWER_SECONDS)
        if told.get("status") in ("failed", "cancelled") or time.monotonic() > until:
            raise GuestFailure(FaultCause.GUEST_CRASHED, "the server did not arrive on its new host", detail=str(told))
        machine.ended.wait(_LOOK_SECONDS)
    if machine.command("query-block-exports"):
        machine.command("nbd-server-stop")
