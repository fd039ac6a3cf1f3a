"""The read model: what each view needs, gathered from a cloud through its public contract.

What only a Kilonova tells (``/state/v1``) is asked for where it may be there, and left out where it is not; every
gathering says when it was made and what it could not learn.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from kilonova.console.client import Client
from kilonova.console.errors import CloudError
from kilonova.console.explain import Evidence, Explanation, explain
from kilonova.console.timeline import Entry, entries

_PAGE: Final = 1000
_SIZED: Final = {"version": "2.87"}
"""The last version at which hypervisors tell what they have, and what is taken of it (contract §3.2)."""
_DETAILED: Final = 50
"""Requests of a server whose steps are shown, the latest of them."""
_REFUSED: Final = frozenset({401, 403, 404, 405, 410, 501, None})


@dataclass(kw_only=True)
class Look:
    """One look at a cloud: asks, and remembers what it was not told."""

    client: Client
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    unknown: list[str] = field(default_factory=list)

    def compute(self, what: str, path: str, default: Any, **query: Any) -> Any:
        """A part of Nova's API that this login may not see, or this cloud may not have; then ``default``."""
        return self._tried(what, default, lambda: self.client.compute(path, **query))

    def state(self, what: str, path: str, default: Any, **query: Any) -> Any:
        """A part of Kilonova's own surface; ``default`` where there is none."""
        return self._tried(what, default, lambda: self.client.state(path, **query))

    def _tried(self, what: str, default: Any, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except CloudError as error:
            if error.status not in _REFUSED:
                raise
            self.unknown.append(what)
            return default


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """How much of something is taken."""

    name: str
    used: float
    total: float

    @property
    def percent(self) -> float:
        """0 to 100, whatever is promised beyond what there is."""
        return min(100.0, 100.0 * self.used / self.total) if self.total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Whether the cloud is well."""

    services: Sequence[Mapping[str, Any]]
    statuses: Sequence[tuple[str, int]]
    capacity: Sequence[Bar]
    failures: Sequence[tuple[str, int]]
    busy: Sequence[Mapping[str, Any]]
    look: Look

    @property
    def down(self) -> list[Mapping[str, Any]]:
        """Services that are down."""
        return [each for each in self.services if each.get("state") == "down"]

    @property
    def total(self) -> int:
        """Servers, all of them."""
        return sum(count for _, count in self.statuses)

    @property
    def verdict(self) -> str:
        """bad, wait or good."""
        if self.down:
            return "bad"
        return "wait" if dict(self.statuses).get("ERROR") else "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStory:
    """One server with all that is known of it."""

    server: Mapping[str, Any]
    timeline: Sequence[Entry]
    explanation: Explanation
    decisions: Sequence[Mapping[str, Any]]
    conditions: Sequence[Mapping[str, Any]]
    look: Look


def overview(client: Client, *, all_projects: bool) -> Overview:
    """The state of the cloud, as far as this login sees it."""
    look = Look(client=client)
    servers = _servers(look, all_projects=all_projects)
    counts = Counter(str(each.get("status")) for each in servers)
    failed = Counter(str((each.get("fault") or {}).get("message") or "no reason kept") for each in _failed(servers))
    hypervisors = look.compute("hypervisors", "/os-hypervisors/detail", {"hypervisors": []}, **_SIZED)["hypervisors"]
    return Overview(
        services=look.compute("services", "/os-services", {"services": []})["services"],
        statuses=counts.most_common(),
        capacity=_capacity(hypervisors),
        failures=failed.most_common(8),
        busy=[each for each in servers if each.get("OS-EXT-STS:task_state")][:20],
        look=look,
    )


def list_servers(client: Client, *, all_projects: bool, search: str = "", status: str = "") -> list[Mapping[str, Any]]:
    """Servers, the newest first; ``search`` is a part of a name, an id or an address."""
    found = _servers(Look(client=client), all_projects=all_projects, status=status)
    wanted = search.strip().lower()
    return [each for each in found if not wanted or wanted in _haystack(each)]


def server_story(client: Client, server_id: str) -> ServerStory:
    """One server. CloudError where there is none."""
    look = Look(client=client)
    server = client.compute(f"/servers/{server_id}")["server"]
    timeline = entries(_actions(look, server_id), now=look.at)
    decisions = look.state("decisions", "/decisions", {"decisions": []}, server=server_id)["decisions"]
    conditions = look.state("conditions", f"/servers/{server_id}/conditions", {"conditions": []})["conditions"]
    evidence = Evidence(
        server=server, timeline=timeline, now=look.at, service=_service(look, server), decisions=decisions
    )
    return ServerStory(
        server=server,
        timeline=timeline,
        explanation=explain(evidence),
        decisions=decisions,
        conditions=conditions,
        look=look,
    )


def get_server_id(client: Client, name: str) -> str:
    """The id of a server by its id or name. CloudError where there is none, or several are called so."""
    try:
        return str(client.compute(f"/servers/{quote(name, safe='')}")["server"]["id"])
    except CloudError as error:
        if error.status not in (400, 404):
            raise
    everyone: dict[str, Any] = {"all_tenants": 1} if "admin" in client.sign_in().roles else {}
    found = [each for each in client.compute("/servers", name=name, **everyone)["servers"] if each["name"] == name]
    if len(found) > 1:
        raise CloudError(f"Several servers are called {name!r}; say which by its id.")
    if not found:
        raise CloudError(f"There is no server {name!r} that this login may see.", status=404)
    return str(found[0]["id"])


def list_hosts(client: Client) -> list[Mapping[str, Any]]:
    """Hosts with their services, zone and load; empty where the login may not see them."""
    look = Look(client=client)
    services = look.compute("services", "/os-services", {"services": []}, binary="nova-compute")["services"]
    nodes = look.compute("hypervisors", "/os-hypervisors/detail", {"hypervisors": []})["hypervisors"]
    by_host: dict[str, list[Mapping[str, Any]]] = {}
    for node in nodes:
        by_host.setdefault(str((node.get("service") or {}).get("host")), []).append(node)
    return [{**service, "nodes": by_host.get(service["host"], [])} for service in services]


def list_failures(client: Client, *, all_projects: bool) -> list[Mapping[str, Any]]:
    """Servers in error, grouped by what their fault says, the largest group first."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for server in _failed(_servers(Look(client=client), all_projects=all_projects, status="ERROR")):
        message = str((server.get("fault") or {}).get("message") or "no reason kept")
        groups.setdefault(message, []).append(server)
    rows = [{"message": message, "count": len(members), "servers": members} for message, members in groups.items()]
    return sorted(rows, key=lambda row: -len(row["servers"]))


def _servers(look: Look, *, all_projects: bool, status: str = "") -> list[Mapping[str, Any]]:
    """Every server that the login sees, page by page."""
    found: list[Mapping[str, Any]] = []
    query: dict[str, Any] = {"limit": _PAGE}
    query |= {"all_tenants": 1} if all_projects else {}
    query |= {"status": status} if status else {}
    while True:
        page = look.client.compute("/servers/detail", **query)["servers"]
        found += page
        if len(page) < _PAGE:
            return found
        query["marker"] = page[-1]["id"]


def _failed(servers: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each for each in servers if each.get("status") == "ERROR"]


def _haystack(server: Mapping[str, Any]) -> str:
    addresses = [each.get("addr", "") for nets in (server.get("addresses") or {}).values() for each in nets]
    return " ".join([server.get("name", ""), server.get("id", ""), *addresses]).lower()


def _actions(look: Look, server_id: str) -> list[Mapping[str, Any]]:
    path = f"/servers/{server_id}/os-instance-actions"
    found = look.compute("actions", path, {"instanceActions": []})["instanceActions"]
    shown: list[Mapping[str, Any]] = [
        look.compute("events", f"{path}/{each['request_id']}", {"instanceAction": each})["instanceAction"]
        for each in found[:_DETAILED]
    ]
    return [*shown, *found[_DETAILED:]]


def _service(look: Look, server: Mapping[str, Any]) -> Mapping[str, Any] | None:
    host = server.get("OS-EXT-SRV-ATTR:host")
    if not host:
        return None
    query = {"binary": "nova-compute", "host": host}
    found = look.compute("services", "/os-services", {"services": []}, **query)["services"]
    return found[0] if found else None


def _capacity(hypervisors: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """Sums over the hypervisors."""
    pairs = (
        ("vCPUs", "vcpus_used", "vcpus"),
        ("memory, MiB", "memory_mb_used", "memory_mb"),
        ("disk, GiB", "local_gb_used", "local_gb"),
    )
    sums = [(name, _sum(hypervisors, used), _sum(hypervisors, total)) for name, used, total in pairs]
    return [Bar(name=name, used=used, total=total) for name, used, total in sums if total]


def _sum(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    return float(sum(row.get(key) or 0 for row in rows))
