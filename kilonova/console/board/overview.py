"""Whether the cloud is well: services, servers by status, capacity, what is under way, and what failed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kilonova.console.board.hosts import Hosts, gather_hosts
from kilonova.console.board.look import Bar, Look
from kilonova.console.board.servers import count_servers, every_server
from kilonova.console.client import Client
from kilonova.console.timeline import instant

_LATE_SECONDS: Final = 300.0
_USUAL_SHARE: Final = 0.2
_FAILURE_DAYS: Final = 7
_SHOWN: Final = 20
_SCANNED: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An operation that goes on. ``request_id`` is None where the cloud does not tell it."""

    server_id: str
    name: str
    what: str
    request_id: str | None
    since: datetime
    is_late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Whether the cloud is well. ``busy`` are servers with a task, as Nova shows them."""

    hosts: Hosts
    statuses: Sequence[tuple[str, int]]
    capacity: Sequence[Bar]
    failures: Sequence[tuple[str, int]]
    busy: Sequence[Mapping[str, Any]]
    running: Sequence[Running]
    open_count: int
    journal: Mapping[str, Any]
    sinks: Sequence[Mapping[str, Any]]
    look: Look

    @property
    def services(self) -> Sequence[Mapping[str, Any]]:
        """Every service."""
        return self.hosts.services

    @property
    def down(self) -> list[Mapping[str, Any]]:
        """Services that are down."""
        return [each for each in self.services if each.get("state") == "down"]

    @property
    def unwell(self) -> list[Mapping[str, Any]]:
        """Services that are down, disabled, or have a condition that is not as it should be; the worst first."""
        found = [each for each in self.services if self.hosts.trouble(each)]
        return sorted(found, key=lambda each: each.get("state") != "down")

    @property
    def late(self) -> list[Running]:
        """Operations that take longer than usual."""
        return [each for each in self.running if each.is_late]

    @property
    def total(self) -> int:
        """Servers, all of them."""
        return sum(count for _, count in self.statuses)

    @property
    def are_counted(self) -> bool:
        """Whether the cloud told how many servers there are: where it did not, none is not known to be none."""
        return any(self.look.source(what) for what in ("counts", "servers"))

    @property
    def errors(self) -> int:
        """Servers that are in error."""
        return dict(self.statuses).get("ERROR", 0)

    @property
    def verdict(self) -> str:
        """bad, wait or good."""
        if self.down:
            return "bad"
        return "wait" if self.errors else "good"


def overview(client: Client, *, all_projects: bool) -> Overview:
    """The state of the cloud, as far as this login sees it."""
    look = Look(client=client)
    found = gather_hosts(look)
    statuses = count_servers(look, all_projects=all_projects)
    operations = look.state("operations", "/operations", {"operations": []}, limit=1000)["operations"]
    has_state = client.has_state()
    busy = [] if has_state else _busy(look, all_projects=all_projects)
    running = (
        [_running(each, look.at) for each in operations] if has_state else [_tasked(each, look.at) for each in busy]
    )
    look.check_told()
    late_first = sorted(running, key=lambda each: (not each.is_late, each.since))
    return Overview(
        hosts=found,
        statuses=statuses,
        capacity=found.capacity(),
        failures=_failures(look, statuses, all_projects=all_projects),
        busy=busy,
        running=_named(look, late_first[:_SHOWN]),
        open_count=len(running),
        journal=look.state("journal", "/journal", {"journal": {}})["journal"],
        sinks=look.state("sinks", "/sinks", {"sinks": []})["sinks"],
        look=look,
    )


def _busy(look: Look, *, all_projects: bool) -> list[Mapping[str, Any]]:
    query = {"all_tenants": 1} if all_projects else {}
    found = every_server(look, query, at_most=_SCANNED)
    return [each for each in found if each.get("OS-EXT-STS:task_state")]


def _running(operation: Mapping[str, Any], now: datetime) -> Running:
    since, until = instant(operation["started_at"]), instant(operation["deadline_at"])
    return Running(
        server_id=operation["server"],
        name="",
        what=operation["action"],
        request_id=operation["request_id"],
        since=since,
        is_late=now - since > (until - since) * _USUAL_SHARE,
    )


def _tasked(server: Mapping[str, Any], now: datetime) -> Running:
    since = instant(server["updated"])
    return Running(
        server_id=server["id"],
        name=server["name"],
        what=server["OS-EXT-STS:task_state"],
        request_id=None,
        since=since,
        is_late=(now - since).total_seconds() > _LATE_SECONDS,
    )


def _named(look: Look, running: Sequence[Running]) -> list[Running]:
    """With the names of their servers, which operations do not tell."""
    return [
        each
        if each.name
        else Running(
            server_id=each.server_id,
            name=look.compute("servers", f"/servers/{each.server_id}", {"server": {}})["server"].get("name", ""),
            what=each.what,
            request_id=each.request_id,
            since=each.since,
            is_late=each.is_late,
        )
        for each in running
    ]


def _failures(look: Look, statuses: Sequence[tuple[str, int]], *, all_projects: bool) -> list[tuple[str, int]]:
    """Causes of the last week with their counts; without a Kilonova, what servers that are in error say."""
    if look.client.has_state():
        since = (look.at - timedelta(days=_FAILURE_DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ")
        groups = look.state("faults", "/faults", {"faults": []}, group_by="code", since=since)["faults"]
        return [(str(group["title"]), int(group["count"])) for group in groups][:8]
    if not dict(statuses).get("ERROR"):
        return []
    query: dict[str, Any] = {"status": "ERROR"} | ({"all_tenants": 1} if all_projects else {})
    found = every_server(look, query, at_most=1000)
    told = Counter(str((each.get("fault") or {}).get("message") or "no reason kept") for each in found)
    return told.most_common(8)
