"""What libvirt counts of guests that run, asked for one of them or for all in one call."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from kilonova.domain.diagnostics import Diagnostics, DiskCounters, NicCounters
from kilonova.drivers.instances.definition import Definition
from kilonova.drivers.libvirt.domains import sight_of
from kilonova.drivers.libvirt.words import translated

_EVERYTHING: Final = 1 | 2 | 4 | 8 | 16 | 32
"""virDomainStatsTypes: state, processors in total, balloon, each processor, cards, disks."""
_WITHOUT_WAITING: Final = 1 << 29  # for a guest that is busy or hangs: what can be had without its QEMU
_KIB_IN_MIB: Final = 1024


def diagnose(domain: Any, definition: Definition) -> Diagnostics | None:
    """Ask for one; None where it does not run any more. Raises GuestFailure, HypervisorUnavailable."""
    with translated("count what the server does"):
        found = domain.connect().domainListGetStats([domain], _EVERYTHING, 0)
        return next((_read(each, stats, definition) for each, stats in found), None)


def diagnose_all(handle: Any, definitions: Mapping[str, Definition]) -> Mapping[str, Diagnostics | None]:
    """Those of these guests that libvirt knows, by uuid; None for one that does not run."""
    with translated("count what all servers do"):
        found = handle.getAllDomainStats(_EVERYTHING, _WITHOUT_WAITING)
        ours = ((domain.UUIDString(), domain, stats) for domain, stats in found)
        return {uuid: _read(domain, stats, definitions[uuid]) for uuid, domain, stats in ours if uuid in definitions}


def _read(domain: Any, stats: Mapping[str, Any], definition: Definition) -> Diagnostics | None:
    if not sight_of(stats.get("state.state", 0), stats.get("state.reason", 0)).is_active:
        return None
    resident = stats.get("balloon.rss")
    macs = _macs(domain) if stats.get("net.count") else {}
    return Diagnostics(
        hypervisor="qemu",
        cpu_times=tuple(stats.get(f"vcpu.{number}.time") for number in range(stats.get("vcpu.current", 0))),
        disks=tuple(_disks(stats)),
        nics=tuple(_nics(stats, macs)),
        memory_maximum_mb=definition.memory_mb,
        memory_used_mb=None if resident is None else resident // _KIB_IN_MIB,
        memory_stats=dict(_memory(stats)),
    )


def _memory(stats: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """By the names that ``memoryStats`` gives them: a balloon that is full is the memory that the guest has."""
    for name, number in stats.items():
        if name.startswith("balloon."):
            known = name.removeprefix("balloon.").replace("-", "_")
            if known != "maximum":
                yield {"current": "actual"}.get(known, known), int(number)


def _rows(stats: Mapping[str, Any], what: str) -> Iterable[Mapping[str, Any]]:
    """Libvirt's ``block.0.name``, ... as one mapping for each number."""
    for number in range(stats.get(f"{what}.count", 0)):
        head = f"{what}.{number}."
        yield {name.removeprefix(head): value for name, value in stats.items() if name.startswith(head)}


def _disks(stats: Mapping[str, Any]) -> Iterator[DiskCounters]:
    for row in _rows(stats, "block"):
        yield DiskCounters(
            device=row["name"],
            read_bytes=row.get("rd.bytes"),
            read_requests=row.get("rd.reqs"),
            write_bytes=row.get("wr.bytes"),
            write_requests=row.get("wr.reqs"),
            errors=row.get("errors"),
        )


def _nics(stats: Mapping[str, Any], macs: Mapping[str, str]) -> Iterator[NicCounters]:
    for row in _rows(stats, "net"):
        name = row.get("name", "")
        if name not in macs or "rx.bytes" not in row:
            continue  # a card that the host counts nothing of
        counts = {
            f"{way}_{ours}": row.get(f"{way}.{theirs}", 0)
            for way in ("rx", "tx")
            for ours, theirs in (("octets", "bytes"), ("packets", "pkts"), ("errors", "errs"), ("drop", "drop"))
        }
        yield NicCounters(mac=macs[name], device=name, **counts)


def _macs(domain: Any) -> Mapping[str, str]:
    """MAC addresses by the name of the card's device on the host."""
    described = ET.fromstring(domain.XMLDesc(0))  # noqa: S314 - libvirt's own words
    found: dict[str, str] = {}
    for card in described.iterfind("devices/interface"):
        device, mac = card.find("target"), card.find("mac")
        if device is not None and mac is not None:
            found[device.get("dev", "")] = mac.get("address", "")
    return found
