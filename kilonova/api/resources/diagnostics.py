"""``/servers/{id}/diagnostics``: what the hypervisor counts of a server (contract §9)."""

from collections.abc import Iterator
from typing import Any, Final

from kilonova.api.call import Aged, Call
from kilonova.api.routes import route
from kilonova.api.schemas.types import NOTHING
from kilonova.domain.diagnostics import Diagnostics, NicCounters, Reading
from kilonova.domain.errors import Conflict
from kilonova.domain.model import SECOND, Instance
from kilonova.domain.states import PowerState

_KIB_IN_MIB: Final = 1024
_NAMES: Final = {
    PowerState.NOSTATE: "pending",
    PowerState.RUNNING: "running",
    PowerState.PAUSED: "paused",
    PowerState.SHUTDOWN: "shutdown",
    PowerState.CRASHED: "crashed",
    PowerState.SUSPENDED: "suspended",
}
_UNKNOWN: Final = -1
"""What Nova's older form has for errors that nobody counts."""
_NIC_KEYS: Final = ("octets", "errors", "drop", "packets")


def flat(call: Call) -> Aged:
    """Until 2.47: names as libvirt's, and only what is known. Memory in KiB, CPU times in nanoseconds."""
    reading = _asked(call)
    return Aged(dict(_flat(reading.counted)), reading.age_seconds)


def standard(call: Call) -> Aged:
    """From 2.48 on: the same keys for all hypervisors, None for what is not known. Memory in MiB."""
    reading = _asked(call)
    return Aged(_standard(reading.counted, call), reading.age_seconds)


def _standard(found: Diagnostics, call: Call) -> dict[str, Any]:
    server = call.server
    nics = [_nic(nic["mac"], found) for nic in server.nics if "mac" in nic]
    return {
        "state": _NAMES[server.power_state],
        # The schema knows five drivers of Nova's; this is the one whose guests ours are.
        "driver": "libvirt",
        "hypervisor": found.hypervisor,
        "hypervisor_os": "linux",
        "uptime": _uptime(server, call),
        "config_drive": bool(server.config_drive),
        "num_cpus": len(found.cpu_times),
        "num_nics": len(nics),
        "num_disks": len(found.disks),
        "disk_details": [
            {
                "read_bytes": disk.read_bytes,
                "read_requests": disk.read_requests,
                "write_bytes": disk.write_bytes,
                "write_requests": disk.write_requests,
                "errors_count": disk.errors,
            }
            for disk in found.disks
        ],
        "cpu_details": [
            {"id": number, "time": time, "utilisation": None} for number, time in enumerate(found.cpu_times)
        ],
        "nic_details": nics,
        "memory_details": {"maximum": found.memory_maximum_mb, "used": found.memory_used_mb},
    }


def _asked(call: Call) -> Reading:
    """Conflict, in Nova's words, for a server without a host, or whose guest does not run at this moment."""
    found = call.plane.diagnose(call.server)
    if found is None:
        power = _NAMES[call.server.power_state]
        raise Conflict(f"Cannot 'get_diagnostics' instance {call.server.uuid} while it is in power state {power}")
    return found


def _flat(found: Diagnostics) -> Iterator[tuple[str, int]]:
    yield "memory", found.memory_maximum_mb * _KIB_IN_MIB
    if found.memory_used_mb is not None and "rss" not in found.memory_stats:
        yield "memory-rss", found.memory_used_mb * _KIB_IN_MIB
    yield from ((f"memory-{name}", number) for name, number in found.memory_stats.items())
    for number, time in enumerate(found.cpu_times):
        if time is not None:
            yield f"cpu{number}_time", time
    for disk in found.disks:
        counted = {
            "read_req": disk.read_requests,
            "read": disk.read_bytes,
            "write_req": disk.write_requests,
            "write": disk.write_bytes,
            "errors": _UNKNOWN if disk.errors is None else disk.errors,
        }
        yield from ((f"{disk.device}_{name}", value) for name, value in counted.items() if value is not None)
    for nic in found.nics:
        for way in ("rx", "tx"):
            yield f"{nic.device}_{way}", getattr(nic, f"{way}_octets")
            yield from ((f"{nic.device}_{way}_{name}", getattr(nic, f"{way}_{name}")) for name in _NIC_KEYS[1:])


def _nic(mac: str, found: Diagnostics) -> dict[str, Any]:
    """A card with its counters; all None where the host counts nothing of it, as in user mode."""
    known: NicCounters | None = next((nic for nic in found.nics if nic.mac == mac), None)
    told: dict[str, Any] = {"mac_address": mac}
    for way in ("rx", "tx"):
        told |= {f"{way}_{name}": getattr(known, f"{way}_{name}", None) for name in _NIC_KEYS}
        told[f"{way}_rate"] = None
    return told


def _uptime(server: Instance, call: Call) -> int | None:
    return None if server.launched_at is None else max(0, call.plane.now() - server.launched_at) // SECOND


_RULE: Final = "os_compute_api:os-server-diagnostics"
_PATH: Final = "/servers/{server_id}/diagnostics"

ROUTES: Final = (
    route("GET", _PATH, flat, policy=_RULE, until="2.47", query=NOTHING),
    route("GET", _PATH, standard, policy=_RULE, since="2.48", query=NOTHING),
)
