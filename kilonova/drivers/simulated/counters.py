"""What simulated guests seem to do: numbers that follow from the guest and the time since it booted, and only grow."""

import hashlib
from typing import Final

from kilonova.domain.diagnostics import Diagnostics, DiskCounters, NicCounters
from kilonova.drivers.simulated.shelf import SimulatedGuest

HYPERVISOR: Final = "simulated"
_PAGE_BYTES: Final = 4096
_PACKET_BYTES: Final = 900
_BOOT_READS: Final = 112
"""Pages that a boot reads."""


def count(guest: SimulatedGuest, *, seconds: float) -> Diagnostics:
    """The counters of a guest that has run for so long.

    Each guest has a temper of its own, drawn from its uuid: between 2 and 65 % of its processors, up to 40 pages and
    200 packets a second. The same guest has the same numbers after the same time.
    """
    temper = hashlib.sha256(guest.uuid.encode()).digest()
    busy, pages, packets = 0.02 + temper[0] / 400, 1 + temper[1] % 40, 1 + temper[2] % 200
    written, read = int(seconds * pages), _BOOT_READS + int(seconds * pages / 4)
    disk = DiskCounters(
        device="vda",
        read_bytes=read * _PAGE_BYTES,
        read_requests=read,
        write_bytes=written * _PAGE_BYTES,
        write_requests=written,
        errors=0,
    )
    return Diagnostics(
        hypervisor=HYPERVISOR,
        cpu_times=tuple(int(seconds * busy * 1e9) for _ in range(guest.vcpus)),
        disks=(disk,),
        nics=tuple(_nic(mac, number, int(seconds * packets)) for number, mac in enumerate(guest.macs)),
        memory_maximum_mb=guest.memory_mb,
        memory_used_mb=max(1, guest.memory_mb * (40 + temper[3] % 50) // 100),
    )


def _nic(mac: str, number: int, packets: int) -> NicCounters:
    """A card that sends one packet for two that it gets."""
    return NicCounters(
        mac=mac,
        device=f"vnet{number}",
        rx_octets=packets * _PACKET_BYTES,
        rx_packets=packets,
        rx_errors=0,
        rx_drop=0,
        tx_octets=packets // 2 * _PACKET_BYTES,
        tx_packets=packets // 2,
        tx_errors=0,
        tx_drop=0,
    )
