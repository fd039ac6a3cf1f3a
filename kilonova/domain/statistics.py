"""What a guest used from one moment to the next: points of a series, and the rates between two of them."""

from typing import Final, NamedTuple

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.model import SECOND, Instant

_MOST: Final = 2**63 - 1
_PERCENT: Final = 100.0
_NANOSECONDS: Final = 1_000_000_000


class Point(NamedTuple):
    """The sums of a guest's counters at one moment by the control plane's clock; None for what nobody counts.

    CPU time in nanoseconds over all processors, memory in MiB, disk and network in bytes and requests or packets, all
    since the guest was switched on.
    """

    at: Instant
    vcpus: int
    cpu_ns: int | None = None
    memory_used_mb: int | None = None
    disk_read_bytes: int | None = None
    disk_read_requests: int | None = None
    disk_write_bytes: int | None = None
    disk_write_requests: int | None = None
    rx_bytes: int | None = None
    rx_packets: int | None = None
    tx_bytes: int | None = None
    tx_packets: int | None = None


class Rates(NamedTuple):
    """What went on between two points. ``cpu_percent`` is 100 when every processor was busy all the time."""

    seconds: float
    cpu_percent: float | None
    disk_read_bytes: float | None
    disk_read_requests: float | None
    disk_write_bytes: float | None
    disk_write_requests: float | None
    rx_bytes: float | None
    rx_packets: float | None
    tx_bytes: float | None
    tx_packets: float | None


PER_SECOND: Final = tuple(name for name in Rates._fields if name not in ("seconds", "cpu_percent"))
"""The rates that are a counter's growth in a second; they have the names of their counters."""


def point_of(counted: Diagnostics, at: Instant) -> Point:
    """The sums of what was counted. A number that no counter can have becomes the nearest one that it can."""
    disks, nics = counted.disks, counted.nics
    return Point(
        at=at,
        vcpus=len(counted.cpu_times),
        cpu_ns=_sum(counted.cpu_times),
        memory_used_mb=_sum([counted.memory_used_mb]),
        disk_read_bytes=_sum([disk.read_bytes for disk in disks]),
        disk_read_requests=_sum([disk.read_requests for disk in disks]),
        disk_write_bytes=_sum([disk.write_bytes for disk in disks]),
        disk_write_requests=_sum([disk.write_requests for disk in disks]),
        rx_bytes=_sum([nic.rx_octets for nic in nics]),
        rx_packets=_sum([nic.rx_packets for nic in nics]),
        tx_bytes=_sum([nic.tx_octets for nic in nics]),
        tx_packets=_sum([nic.tx_packets for nic in nics]),
    )


def rates_between(earlier: Point, later: Point) -> Rates | None:
    """The rates from one point to a later one; None where no time passed, or the guest was switched on in between.

    That it was shows by a counter that is less than it was.
    """
    seconds = (later.at - earlier.at) / SECOND
    if seconds <= 0 or any(_fell(earlier, later, name) for name in ("cpu_ns", *PER_SECOND)):
        return None
    cpu = _growth(earlier, later, "cpu_ns", seconds)
    return Rates(
        seconds=seconds,
        cpu_percent=None if cpu is None or not later.vcpus else _PERCENT * cpu / _NANOSECONDS / later.vcpus,
        **{name: _growth(earlier, later, name, seconds) for name in PER_SECOND},
    )


def _sum(values: "list[int | None] | tuple[int | None, ...]") -> int | None:
    known = [value for value in values if value is not None]
    return min(max(sum(known), 0), _MOST) if known else None


def _fell(earlier: Point, later: Point, name: str) -> bool:
    was, is_ = getattr(earlier, name), getattr(later, name)
    return was is not None and is_ is not None and is_ < was


def _growth(earlier: Point, later: Point, name: str, seconds: float) -> float | None:
    was, is_ = getattr(earlier, name), getattr(later, name)
    return None if was is None or is_ is None else (is_ - was) / seconds
