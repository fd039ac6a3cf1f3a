"""What QEMU and the kernel count of a guest that runs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kilonova.domain.diagnostics import Diagnostics, DiskCounters
from kilonova.drivers.instances.definition import Definition
from kilonova.drivers.qemu.machine import Machine

_TICK_NANOSECONDS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_MIB: Final = 1024**2
_USER, _SYSTEM = 11, 12
"""Where the times stand in ``/proc/PID/stat``, behind the name in parentheses (proc(5))."""


def diagnose(machine: Machine, definition: Definition, *, timeout_seconds: float) -> Diagnostics:
    """Ask both. Raises GuestFailure where the guest's QEMU does not answer each question in time."""
    pid = machine.pid
    cpus = machine.command("query-cpus-fast", timeout_seconds=timeout_seconds)
    disks = machine.command("query-blockstats", timeout_seconds=timeout_seconds)
    return Diagnostics(
        hypervisor="qemu",
        cpu_times=tuple(_cpu_time(pid, int(cpu["thread-id"])) for cpu in sorted(cpus, key=_cpu_index)),
        disks=_disks(disks),
        memory_maximum_mb=definition.memory_mb,
        memory_used_mb=_resident_mb(pid),
    )


def _cpu_index(cpu: Mapping[str, Any]) -> int:
    return int(cpu["cpu-index"])


def _disks(found: Sequence[Mapping[str, Any]]) -> tuple[DiskCounters, ...]:
    """Those that were ever used as a disk, in the order in which the guest has them."""
    counted = [each["stats"] for each in found if each.get("qdev") or each.get("device")]
    return tuple(
        DiskCounters(
            device=f"vd{chr(ord('a') + number)}",
            read_bytes=stats.get("rd_bytes"),
            read_requests=stats.get("rd_operations"),
            write_bytes=stats.get("wr_bytes"),
            write_requests=stats.get("wr_operations"),
            errors=stats.get("failed_rd_operations", 0) + stats.get("failed_wr_operations", 0),
        )
        for number, stats in enumerate(counted)
    )


def _cpu_time(pid: int, thread: int) -> int | None:
    """What the processor's thread took of the host; None where the kernel does not say."""
    try:
        text = Path(f"/proc/{pid}/task/{thread}/stat").read_text("utf-8")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return (int(fields[_USER]) + int(fields[_SYSTEM])) * _TICK_NANOSECONDS


def _resident_mb(pid: int) -> int | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") // _MIB
