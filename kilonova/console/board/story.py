"""One server with all that is known of it: why it is as it is, its timeline, placing, diagnostics and usage."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from kilonova.console.board.heard import heard_of_server
from kilonova.console.board.look import Look, checked_id
from kilonova.console.board.samples import Samples, Series
from kilonova.console.board.servers import get_server
from kilonova.console.client import BEYOND_ALL, Client
from kilonova.console.explain import Evidence, Explanation, explain
from kilonova.console.intake import Notices
from kilonova.console.timeline import Entry, entries, from_journal, instant, merged

_DETAILED: Final = 50
"""Requests of a server whose steps are shown, the latest of them."""
_AT_ONCE: Final = 6
_JOURNAL_PAGES: Final = 3
_JOURNAL_PAGE: Final = 1000
_FAULTS: Final = 20
"""Faults of a server that are looked through for the newest of its own."""
_BEFORE_HOST: Final = 20
"""Turns of its host that are shown, the latest of them."""
_COUNTERS: Final = (
    ("disk_details", "read_bytes", "disk read, B/s"),
    ("disk_details", "write_bytes", "disk written, B/s"),
    ("nic_details", "rx_octets", "received, B/s"),
    ("nic_details", "tx_octets", "sent, B/s"),
)
_RATES: Final = (
    ("cpu_percent", "CPU, %"),
    ("disk_read_bytes_per_second", "disk read, B/s"),
    ("disk_write_bytes_per_second", "disk written, B/s"),
    ("rx_bytes_per_second", "received, B/s"),
    ("tx_bytes_per_second", "sent, B/s"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one server used within a time. Hours are the server's life in it; the others are as Nova reports them."""

    hours: float
    vcpu_hours: float
    memory_mb_hours: float
    disk_gb_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStory:
    """One server with all that is known of it. ``charts`` are rates by name; ``diagnostics`` what Nova's API told."""

    server: Mapping[str, Any]
    timeline: Sequence[Entry]
    explanation: Explanation
    decisions: Sequence[Mapping[str, Any]]
    conditions: Sequence[Mapping[str, Any]]
    migrations: Sequence[Mapping[str, Any]]
    diagnostics: Mapping[str, Any]
    charts: Sequence[Series]
    used: Used | None
    look: Look


def server_story(
    client: Client, server_id: str, samples: Samples | None = None, notices: Notices | None = None
) -> ServerStory:
    """One server, or one that is deleted, with what was seen and heard of it before. CloudError where there is none."""
    look = Look(client=client)
    server = get_server(client, checked_id(server_id))
    service = _service(look, server)
    timeline = _timeline(look, server_id, service, notices)
    evidence = gather_evidence(look, server, timeline, service)
    diagnostics, charts = _measured(look, server, samples or Samples())
    return ServerStory(
        server=server,
        timeline=timeline,
        explanation=explain(evidence),
        decisions=evidence.decisions,
        conditions=evidence.conditions,
        migrations=_migrations(look, server_id, timeline),
        diagnostics=diagnostics,
        charts=charts,
        used=_used(look, server),
        look=look,
    )


def gather_evidence(
    look: Look, server: Mapping[str, Any], timeline: Sequence[Entry], service: Mapping[str, Any] | None
) -> Evidence:
    """What explains the server, asked for where it is not at hand."""
    server_id = server["id"]
    told = look.state("faults", "/faults", {"faults": []}, server=server_id, limit=_FAULTS)["faults"]
    faults = [each for each in told if not each.get("attempt")]
    return Evidence(
        server=server,
        timeline=[entry for entry in timeline if entry.is_action],
        now=look.at,
        service=service,
        decisions=look.state("decisions", "/decisions", {"decisions": []}, server=server_id)["decisions"],
        conditions=_conditions(look, server),
        cause=_cause(server, timeline, faults),
        cause_host=faults[0].get("host") if faults else None,
    )


def _conditions(look: Look, server: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What is kept of the server as it is now: of one that is deleted nothing is."""
    if server.get("status") == "DELETED":
        return ()
    found: Sequence[Mapping[str, Any]] = look.state(
        "conditions", f"/servers/{server['id']}/conditions", {"conditions": []}
    )["conditions"]
    return found


def _cause(server: Mapping[str, Any], timeline: Sequence[Entry], faults: Sequence[Mapping[str, Any]]) -> str | None:
    """The code of the fault that still matters: of a server in error, or of the request that failed last."""
    if not faults:
        return None
    latest = next((entry for entry in timeline if entry.is_action), None)
    is_error = server.get("status") == "ERROR"
    if is_error or (latest and latest.outcome == "failed" and instant(faults[0]["created_at"]) >= latest.started_at):
        return str(faults[0]["code"])
    return None


def _timeline(look: Look, server_id: str, service: Mapping[str, Any] | None, notices: Notices | None) -> list[Entry]:
    told = entries(actions_of(look, server_id), now=look.at)
    rows = [*_journal(look, server_id), *_turns_of_host(look, service, told)]
    return merged(told, [*from_journal(rows), *heard_of_server(look, notices, server_id)])


def actions_of(look: Look, server_id: str) -> list[Mapping[str, Any]]:
    """The server's actions, the latest of them with their events."""
    path = f"/servers/{server_id}/os-instance-actions"
    found = look.compute("actions", path, {"instanceActions": []})["instanceActions"]

    def detailed(action: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = look.compute("steps", f"{path}/{action['request_id']}", {"instanceAction": action})
        shown: Mapping[str, Any] = answer["instanceAction"]
        return shown

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        shown = list(pool.map(detailed, found[:_DETAILED]))
    return [*shown, *found[_DETAILED:]]


def _journal(look: Look, server_id: str) -> list[Mapping[str, Any]]:
    """The journal's rows of a server, in order; of a very long story only its end."""
    found: list[Mapping[str, Any]] = []
    before = BEYOND_ALL
    for _ in range(_JOURNAL_PAGES):
        page = _latest(look, "journal", before=before, server=server_id)
        found = [*page, *found]
        if len(page) < _JOURNAL_PAGE:
            break
        before = page[0]["seq"]
    return found


def _latest(look: Look, what: str, **query: Any) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = look.state(what, "/events", {"events": []}, limit=_JOURNAL_PAGE, **query)["events"]
    return rows


def _turns_of_host(look: Look, service: Mapping[str, Any] | None, told: Sequence[Entry]) -> list[Mapping[str, Any]]:
    """When its present host went down or came up, since the server is there at all."""
    if service is None or not service.get("id") or not told:
        return []
    rows = _latest(look, "hosts", before=BEYOND_ALL, server=service["id"], topic="service")
    begin = told[-1].started_at
    turned = [row for row in rows if row.get("operation") in ("down", "up") and instant(row["occurred_at"]) > begin]
    return turned[-_BEFORE_HOST:]


def _service(look: Look, server: Mapping[str, Any]) -> Mapping[str, Any] | None:
    host = server.get("OS-EXT-SRV-ATTR:host")
    if not host:
        return None
    fleet = look.state("fleet", "/fleet", None, host=host)
    if fleet is not None:
        return next((each for each in fleet["services"] if each["binary"] == "nova-compute"), None)
    query = {"binary": "nova-compute", "host": host}
    found = look.compute("services", "/os-services", {"services": []}, **query)["services"]
    return found[0] if found else None


def _migrations(look: Look, server_id: str, timeline: Sequence[Entry]) -> list[Mapping[str, Any]]:
    moves = {"migrate", "resize", "live-migration", "evacuate"}
    if not any(entry.action in moves for entry in timeline):
        return []
    found: list[Mapping[str, Any]] = look.compute(
        "migrations", "/os-migrations", {"migrations": []}, instance_uuid=server_id
    )["migrations"]
    return found[:10]


def _measured(look: Look, server: Mapping[str, Any], samples: Samples) -> tuple[Mapping[str, Any], Sequence[Series]]:
    """What the hypervisor counts now, and rates over time: kept by the cloud, else from our own looks."""
    if server.get("OS-EXT-STS:vm_state") != "active":
        return {}, []
    path = f"/servers/{server['id']}"
    stats = look.state("statistics", f"{path}/stats", None)
    if stats is not None:
        found = _charted(stats["stats"]["points"])
        if found:
            return {}, found
    told = look.compute("diagnostics", f"{path}/diagnostics", {})
    if told:
        samples.add(f"server/{server['id']}", look.at, _counters(told))
    return told, [each for each in samples.rates(f"server/{server['id']}") if len(each.points) > 1]


def _charted(points: Sequence[Mapping[str, Any]]) -> list[Series]:
    found = []
    for key, title in _RATES:
        told = [
            (instant(point["at"]), float(point["rates"][key]))
            for point in points
            if point.get("rates") and point["rates"].get(key) is not None
        ]
        if len(told) > 1:
            found.append(Series(name=title, points=told))
    return found


def _counters(told: Mapping[str, Any]) -> dict[str, float]:
    """Counters that only grow, summed over devices; CPU time in hundredths of a second, so that its rate is percent."""
    found = {"CPU, %": sum(cpu.get("time") or 0 for cpu in told.get("cpu_details") or ()) / 1e7}
    for devices, key, title in _COUNTERS:
        if told.get(devices):
            found[title] = float(sum(device.get(key) or 0 for device in told[devices]))
    return found


def _used(look: Look, server: Mapping[str, Any]) -> Used | None:
    """What it used this month, as Nova's own report of its project says it."""
    begin = look.at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    query = {"start": begin.strftime("%Y-%m-%dT%H:%M:%S"), "end": look.at.strftime("%Y-%m-%dT%H:%M:%S")}
    if look.at - begin < timedelta(minutes=1):
        return None
    path = f"/os-simple-tenant-usage/{server['tenant_id']}"
    marker: dict[str, Any] = {}
    for _ in range(_JOURNAL_PAGES):
        answer = look.compute("usage", path, {"tenant_usage": {}}, **query, **marker)["tenant_usage"]
        rows = answer.get("server_usages") or []
        mine = next((row for row in rows if row["instance_id"] == server["id"]), None)
        if mine is not None:
            hours = float(mine["hours"])
            return Used(
                hours=hours,
                vcpu_hours=hours * mine["vcpus"],
                memory_mb_hours=hours * mine["memory_mb"],
                disk_gb_hours=hours * mine["local_gb"],
            )
        if not rows:
            break
        marker = {"marker": rows[-1]["instance_id"]}
    return None
