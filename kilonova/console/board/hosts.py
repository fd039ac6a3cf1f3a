"""Hosts: their services, conditions, zones, aggregates and load; and one of them with its servers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from kilonova.console.board.heard import heard_of_host, heard_of_hosts
from kilonova.console.board.look import Bar, Look
from kilonova.console.board.samples import Samples, Series
from kilonova.console.client import Client
from kilonova.console.errors import CloudError
from kilonova.console.explain import Explanation, HostEvidence, explain_host
from kilonova.console.intake import Notice, Notices
from kilonova.console.timeline import instant

_SIZED: Final = {"version": "2.87"}
"""The last version at which hypervisors tell what they have, and what is taken of it (contract §3.2)."""
_COMPUTE: Final = "nova-compute"
TROUBLES: Final = {
    "HostReachable": "down",
    "Suspect": "late",
    "HypervisorAnswers": "hypervisor silent",
    "ClockInStep": "clock off",
    "SoleAgent": "two agents",
    "ReportsMakeSense": "odd reports",
}
"""What is the matter where a condition of a service is not as it should be."""
_WELL_WHEN: Final = {"Suspect": "False"}
_UNITS: Final = (("vcpus", "vCPUs"), ("memory_mb", "memory, MiB"), ("local_gb", "disk, GiB"))
_LATELY: Final = timedelta(hours=1)
_SHOWN: Final = 200
_POINTS: Final = 96
"""Points of a host's history."""
_HEARD: Final = 20
"""Notifications of a host that are shown, the latest of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host. ``service`` is its compute service, ``bars`` what is taken of what may be promised there."""

    name: str
    zone: str
    aggregates: tuple[str, ...]
    service: Mapping[str, Any]
    bars: tuple[Bar, ...]
    servers: int
    trouble: str

    @property
    def load(self) -> float:
        """How much of what is scarcest is taken, in percent."""
        return max((bar.percent for bar in self.bars), default=0.0)

    @property
    def shade(self) -> int:
        """The load as one of five shades, 0 the lightest."""
        return min(4, int(self.load // 20))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """All hosts. ``services`` are all services of the cloud, those that are no host's among them.

    ``notices`` are what hosts told of themselves and of failures on the message bus.
    """

    hosts: Sequence[Host]
    services: Sequence[Mapping[str, Any]]
    look: Look
    notices: Sequence[Notice] = ()

    def capacity(self, zone: str | None = None) -> list[Bar]:
        """What is taken of what there is, in all or in one zone."""
        chosen = [host for host in self.hosts if zone in (None, host.zone)]
        return _summed(chosen)

    @property
    def zones(self) -> list[str]:
        """The zones that have hosts."""
        return sorted({host.zone for host in self.hosts})

    def by(self, grouping: str) -> list[tuple[str, list[Host]]]:
        """Hosts by zone, or by aggregate: a host of several is in each, one of none is in the group without name."""
        groups: dict[str, list[Host]] = {}
        for host in self.hosts:
            names = (host.aggregates or ("",)) if grouping == "aggregate" else (host.zone,)
            for name in names:
                groups.setdefault(name, []).append(host)
        return sorted(groups.items(), key=lambda pair: (not pair[0], pair[0]))

    def trouble(self, service: Mapping[str, Any]) -> str:
        """What is the matter with a service, empty where it is well."""
        return trouble_of(service)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStory:
    """One host with all that is known of it; ``history`` is what of it was taken before, in percent of what it has.

    ``hours`` is the time that a Kilonova was asked of; None where the history is from earlier looks of this console.
    ``turns`` are of its service, as a journal has them; ``notices`` what it told on the message bus.
    """

    host: Host
    explanation: Explanation
    servers: Sequence[Mapping[str, Any]]
    history: Sequence[Series]
    hours: int | None
    turns: Sequence[Mapping[str, Any]]
    notices: Sequence[Notice]
    look: Look


def hosts(client: Client, samples: Samples | None = None, notices: Notices | None = None) -> Hosts:
    """Every host, as far as this login may see them, with what was heard of them."""
    found = gather_hosts(Look(client=client))
    found.look.check_told("fleet", "services")
    if samples is not None:
        for host in found.hosts:
            samples.add(f"host/{host.name}", found.look.at, {bar.name: bar.percent for bar in host.bars})
    if not found.hosts:
        return found
    return replace(found, notices=heard_of_hosts(found.look, notices)[:_HEARD])


def list_hosts(client: Client) -> list[Mapping[str, Any]]:
    """Compute services with their hosts' load; empty where the login may not see them."""
    return [
        {**host.service, "servers": host.servers, "load": round(host.load, 1), "trouble": host.trouble}
        for host in hosts(client).hosts
    ]


def gather_hosts(look: Look) -> Hosts:
    """The same within a larger look."""
    if look.client.has_state():
        fleet = look.state("fleet", "/fleet", None)
        if fleet is not None:
            return _of_fleet(look, fleet["services"], fleet["nodes"], _aggregates(look))
        return Hosts(hosts=(), services=(), look=look)
    services = look.compute("services", "/os-services", {"services": []})["services"]
    nodes = look.compute("hypervisors", "/os-hypervisors/detail", {"hypervisors": []}, **_SIZED)["hypervisors"]
    return _of_fleet(look, services, [_node(each) for each in nodes], _aggregates(look) if services else {})


def host_story(
    client: Client, name: str, samples: Samples, notices: Notices | None = None, *, hours: int = 24
) -> HostStory:
    """One host, with what this console saw and heard of it before; what was taken of it over so many hours.

    CloudError where there is none, or the login may not see it.
    """
    look = Look(client=client)
    all_hosts = gather_hosts(look)
    look.check_told("fleet", "services")
    host = next((each for each in all_hosts.hosts if each.name == name), None)
    if host is None:
        raise CloudError(f"There is no host {name!r} that this login may see.", status=404)
    samples.add(f"host/{name}", look.at, {bar.name: bar.percent for bar in host.bars})
    query = {"all_tenants": 1, "host": name, "limit": _SHOWN}
    servers = look.compute("servers", "/servers/detail", {"servers": []}, **query)["servers"]
    fullest = max(host.bars, key=lambda bar: bar.percent, default=None)
    evidence = HostEvidence(
        service=host.service,
        servers=host.servers,
        fullest=(fullest.name, fullest.percent) if fullest else None,
        failed=_failed_lately(look, name),
    )
    history = _history(look, host, hours)
    return HostStory(
        host=host,
        explanation=explain_host(evidence),
        servers=servers,
        history=samples.series(f"host/{name}") if history is None else history,
        hours=None if history is None else hours,
        turns=_turns(look, host),
        notices=heard_of_host(look, notices, name)[:_HEARD],
        look=look,
    )


def _history(look: Look, host: Host, hours: int) -> list[Series] | None:
    """What servers took of it over time, as a Kilonova knows it also from before this console; None where none does."""
    told = look.state("history", f"/fleet/{host.name}/history", None, hours=hours, points=_POINTS)
    if told is None:
        return None
    points, totals = told["history"]["points"], {bar.name: bar.total for bar in host.bars}
    return [
        Series(name=title, points=[(instant(each["at"]), 100 * each[unit] / totals[title]) for each in points])
        for unit, title in _UNITS
        if totals.get(title)
    ]


def trouble_of(service: Mapping[str, Any]) -> str:
    """What is the matter with a service in a few words (each of ``TROUBLES``), empty where it is well."""
    if service.get("state") == "down":
        return "down"
    wrong = [
        TROUBLES.get(each["type"], str(each["type"]))
        for each in service.get("conditions") or ()
        if each["status"] != _WELL_WHEN.get(each["type"], "True") and each["type"] not in ("AcceptingWork", "Enabled")
    ]
    if wrong:
        return ", ".join(wrong)
    return "disabled" if service.get("status") == "disabled" else ""


def _of_fleet(
    look: Look,
    services: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
    aggregates: Mapping[str, Sequence[str]],
) -> Hosts:
    by_host: dict[str, list[Mapping[str, Any]]] = {}
    for node in nodes:
        by_host.setdefault(str(node["host"]), []).append(node)
    found = [
        Host(
            name=str(service["host"]),
            zone=str(service.get("zone") or ""),
            aggregates=tuple(aggregates.get(str(service["host"]), ())),
            service=service,
            bars=_bars(by_host.get(str(service["host"]), [])),
            servers=sum(node["servers"] or 0 for node in by_host.get(str(service["host"]), [])),
            trouble=trouble_of(service),
        )
        for service in services
        if service["binary"] == _COMPUTE
    ]
    return Hosts(hosts=sorted(found, key=lambda host: _natural(host.name)), services=services, look=look)


def _natural(name: str) -> tuple[str, int, str]:
    """``host-10`` after ``host-9``."""
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    return stem, int(digits or 0) if len(digits) < 18 else 0, name


def _aggregates(look: Look) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in look.compute("aggregates", "/os-aggregates", {"aggregates": []})["aggregates"]:
        for host in each["hosts"]:
            found.setdefault(host, []).append(each["name"])
    return found


def _node(hypervisor: Mapping[str, Any]) -> Mapping[str, Any]:
    """A hypervisor of any Nova in the shape of a Kilonova's node.

    What may be promised beyond what there is, is not known there.
    """
    capacity = {
        unit: {"capacity": hypervisor.get(unit) or 0, "used": hypervisor.get(f"{unit}_used") or 0} for unit, _ in _UNITS
    }
    host = (hypervisor.get("service") or {}).get("host")
    return {"host": host, "servers": hypervisor.get("running_vms") or 0, "capacity": capacity}


def _bars(nodes: Sequence[Mapping[str, Any]]) -> tuple[Bar, ...]:
    return tuple(
        Bar(
            name=title,
            used=float(sum(_promised(node["capacity"][unit]) for node in nodes if unit in node["capacity"])),
            total=float(sum(node["capacity"][unit]["capacity"] for node in nodes if unit in node["capacity"])),
        )
        for unit, title in _UNITS
        if nodes
    )


def _promised(resource: Mapping[str, Any]) -> int:
    return int(resource.get("allocated", resource.get("used")) or 0)


def _summed(chosen: Sequence[Host]) -> list[Bar]:
    sums: dict[str, Bar] = {}
    for host in chosen:
        for bar in host.bars:
            known = sums.get(bar.name)
            sums[bar.name] = replace(known, used=known.used + bar.used, total=known.total + bar.total) if known else bar
    return [bar for bar in sums.values() if bar.total]


def _failed_lately(look: Look, name: str) -> list[Mapping[str, Any]]:
    """What failed there within the last hour for a cause that lies with the host, and not with an image, say."""
    found = look.state("faults", "/faults", {"faults": []}, limit=1000)["faults"]
    mine = [each for each in found if each.get("host") == name and each.get("of_host", True)]
    return [each for each in mine if look.at - instant(each["created_at"]) < _LATELY]


def _turns(look: Look, host: Host) -> list[Mapping[str, Any]]:
    """When its service went down, came up, or was changed, the latest first."""
    if not host.service.get("id"):
        return []
    query = {"server": host.service["id"], "topic": "service", "limit": 1000}
    found = look.state("events", "/events", {"events": []}, **query)["events"]
    return [row for row in reversed(found) if row.get("operation")][:20]
