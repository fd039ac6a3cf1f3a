"""What a hypervisor counts of one guest; None for what it does not know (contract §9)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskCounters:
    """Since the guest was switched on. ``device`` is its name in the guest, such as ``vda``."""

    device: str
    read_bytes: int | None = None
    read_requests: int | None = None
    write_bytes: int | None = None
    write_requests: int | None = None
    errors: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NicCounters:
    """Since the guest was switched on. ``device`` is its name on the host, such as ``vnet0``."""

    mac: str
    device: str
    rx_octets: int
    rx_packets: int
    rx_errors: int
    rx_drop: int
    tx_octets: int
    tx_packets: int
    tx_errors: int
    tx_drop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """One guest that runs. CPU times in nanoseconds, one for each of its processors; memory in MiB.

    ``nics`` has those only of which the host counts anything.
    """

    hypervisor: str
    cpu_times: tuple[int | None, ...]
    disks: tuple[DiskCounters, ...]
    nics: tuple[NicCounters, ...] = ()
    memory_maximum_mb: int
    memory_used_mb: int | None = None
    memory_stats: Mapping[str, int] = field(default_factory=dict)
    """What else the hypervisor tells of its memory, in KiB and by libvirt's names, such as ``actual``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was counted of a guest that ran then, and for how long that has been so: 0 where it was asked just now."""

    counted: Diagnostics
    age_seconds: float = 0.0
