"""``/state/v1/fleet``: services, nodes, capacity and conditions in one answer, from what is kept; no agent is asked."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.own.parts import moment
from kilonova.api.resources.zones import COMPUTE, Zones, zones_of
from kilonova.api.routes import Route, route
from kilonova.api.schemas.types import BOOLEAN, param, query, truth
from kilonova.domain.capacity import Resource
from kilonova.domain.conditions import (
    ACCEPTING_WORK,
    SUSPECT,
    Condition,
    Status,
    Watch,
    node_conditions,
    service_conditions,
    shown,
)
from kilonova.domain.model import SECOND, ComputeNode, Instant, Service
from kilonova.store import conditions, fleet
from kilonova.wire.times import zulu_micros

_BAD_WHEN: Final = {SUSPECT: Status.TRUE}
"""All other conditions are bad when they are not true."""


def show_fleet(call: Call) -> dict[str, Any]:
    """``GET /state/v1/fleet?host=&unwell=``: every service and node with its conditions, and the sums of capacity.

    With ``unwell`` only what has a condition that is not as it should be; the sums are always of the whole fleet. A
    host that is dead, or a node whose service is gone, is a row with a condition.
    """
    host, only_unwell = call.first("host"), truth(call.first("unwell") or False)
    with call.plane.database.read() as connection:
        services, nodes = fleet.list_services(connection), fleet.list_nodes(connection)
        noted = conditions.list_conditions(connection, "service")
    now, watch = call.plane.now(), _watch(call)
    found = {each.uuid: service_conditions(each, watch, noted.get(each.uuid, ()), now=now) for each in services}
    of_host = {each.host: found[each.uuid] for each in services if each.binary == COMPUTE}
    wanted_services = [each for each in services if host in (None, each.host)]
    wanted_nodes = [(each, node_conditions(of_host.get(each.host))) for each in nodes if host in (None, each.host)]
    zones = zones_of(call)
    return {
        "services": [
            _service(each, found[each.uuid], zones, now)
            for each in wanted_services
            if not only_unwell or _is_unwell(found[each.uuid])
        ],
        "nodes": [_node(each, its) for each, its in wanted_nodes if not only_unwell or _is_unwell(its)],
        "totals": _totals(services, nodes, found.values()),
        "taken_at": zulu_micros(now),
    }


def _watch(call: Call) -> Watch:
    settings = call.plane.settings
    return Watch(late_seconds=settings.service_late_seconds, down_seconds=settings.service_down_seconds)


def _is_unwell(found: Iterable[Condition]) -> bool:
    return any(each.status is not Status.TRUE if each.type not in _BAD_WHEN else _is_bad(each) for each in found)


def _is_bad(condition: Condition) -> bool:
    return condition.status is _BAD_WHEN[condition.type]


def _service(service: Service, found: Sequence[Condition], zones: Zones, now: Instant) -> dict[str, Any]:
    seen = service.last_seen_at
    return {
        "id": service.uuid,
        "binary": service.binary,
        "host": service.host,
        "zone": zones.of(service),
        "status": "disabled" if service.disabled else "enabled",
        "state": "up" if found[0].status is Status.TRUE else "down",
        "disabled_reason": service.disabled_reason,
        "forced_down": service.forced_down,
        "last_seen_at": moment(seen),
        "age_seconds": None if seen is None else round((now - seen) / SECOND, 3),
        "turned_at": moment(service.turned_at),
        "conditions": _shown(found),
    }


def _node(node: ComputeNode, found: Sequence[Condition]) -> dict[str, Any]:
    return {
        "id": node.uuid,
        "hypervisor_hostname": node.hypervisor_hostname,
        "host": node.host,
        "hypervisor_type": node.hypervisor_type,
        "servers": node.running_vms,
        "capacity": {each.name: _resource(each) for each in node.capacity.resources},
        "conditions": _shown(found),
    }


def _resource(resource: Resource) -> dict[str, Any]:
    return {
        "total": resource.total,
        "reserved": resource.reserved,
        "allocated": resource.allocated,
        "used": resource.used,
        "ratio": resource.ratio,
        "capacity": resource.capacity,
        "free": resource.free,
    }


def _shown(found: Iterable[Condition]) -> list[dict[str, Any]]:
    return [shown(each, moment=zulu_micros) for each in found]


def _totals(
    services: Sequence[Service], nodes: Sequence[ComputeNode], found: Iterable[Sequence[Condition]]
) -> dict[str, Any]:
    every = list(found)
    up = sum(each[0].status is Status.TRUE for each in every)
    accepting = sum(c.type == ACCEPTING_WORK and c.status is Status.TRUE for each in every for c in each)
    sums: dict[str, dict[str, int]] = {}
    for node in nodes:
        for resource in node.capacity.resources:
            total = sums.setdefault(resource.name, dict.fromkeys(_SUMMED, 0))
            for name in _SUMMED:
                total[name] += getattr(resource, name)
    return {
        "services": len(services),
        "services_up": up,
        "hosts_accepting_work": accepting,
        "nodes": len(nodes),
        "servers": sum(node.running_vms for node in nodes),
        "capacity": sums,
    }


_SUMMED: Final = ("total", "reserved", "allocated", "used", "capacity", "free")

ROUTES: Final[tuple[Route, ...]] = (
    route(
        "GET",
        "/fleet",
        show_fleet,
        policy="kilonova:fleet:show",
        query=query(param("host"), param("unwell", BOOLEAN), strict="2.1"),
    ),
)
