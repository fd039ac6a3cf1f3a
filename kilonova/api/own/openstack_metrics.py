"""Metrics under the names of the OpenStack exporter, so that dashboards made for it keep working. An opt-in.

These are one sample a host, so they cost as much as there are hosts; nothing of them grows with servers. What that
exporter asks of every server or project (``server_status``, limits, quotas) is not here.
"""

from collections.abc import Callable, Iterator
from typing import Final

from kilonova.api.own.exposition import Family, Sample
from kilonova.api.plane import Plane
from kilonova.domain.model import ComputeNode
from kilonova.store import aggregates, counts, flavors, fleet
from kilonova.store.database import Connection

_MIB: Final = 1024**2
_GIB: Final = 1024**3
_OF_NODES: Final[tuple[tuple[str, str, Callable[[ComputeNode], float]], ...]] = (
    ("running_vms", "Servers on the node.", lambda node: node.running_vms),
    ("vcpus_available", "Virtual CPUs of the node.", lambda node: node.vcpus),
    ("vcpus_used", "Virtual CPUs that are promised.", lambda node: node.vcpus_used),
    ("memory_available_bytes", "Memory of the node.", lambda node: node.memory_mb * _MIB),
    ("memory_used_bytes", "Memory promised or kept.", lambda node: node.capacity.memory_mb.used * _MIB),
    ("local_storage_available_bytes", "Disk of the node.", lambda node: node.local_gb * _GIB),
    ("local_storage_used_bytes", "Disk promised or kept.", lambda node: node.capacity.local_gb.used * _GIB),
    ("free_disk_bytes", "Disk that is neither.", lambda node: (node.local_gb - node.capacity.local_gb.used) * _GIB),
)


def families(plane: Plane, connection: Connection) -> Iterator[Family]:
    """All of them."""
    settings, zones = plane.settings, aggregates.zones_by_host(connection)
    default = settings.default_availability_zone
    yield _gauge("up", "Whether the API answers.", [Sample(1)])
    yield from _agents(plane, connection, zones)
    nodes = fleet.list_owned_nodes(connection)
    named: dict[str, list[str]] = {}
    for aggregate in aggregates.list_aggregates(connection):
        for host in aggregate.hosts:
            named.setdefault(host, []).append(aggregate.name)
    labels = [
        {
            "hostname": node.hypervisor_hostname,
            "availability_zone": zones.get(node.host, default),
            "aggregates": ",".join(named.get(node.host, ())),
        }
        for node in nodes
    ]
    for name, help_, value in _OF_NODES:
        yield _gauge(name, help_, [Sample(value(node), its) for node, its in zip(nodes, labels, strict=True)])
    busy = counts.workload_by_node(connection)
    workload = [
        Sample(busy.get((node.host, node.hypervisor_hostname), 0), its) for node, its in zip(nodes, labels, strict=True)
    ]
    yield _gauge("current_workload", "Servers with something in progress.", workload)
    yield _gauge("total_vms", "Living servers.", [Sample(sum(plane.monitor.tallies.servers.copy().values()))])
    yield _gauge("flavors", "Flavors.", [Sample(flavors.count_flavors(connection))])
    yield _gauge(
        "availability_zones", "Zones of compute hosts.", [Sample(len({its["availability_zone"] for its in labels}))]
    )


def _agents(plane: Plane, connection: Connection, zones: dict[str, str]) -> Iterator[Family]:
    settings, now = plane.settings, plane.now()
    samples = []
    for service in fleet.list_services(connection):
        is_compute = service.binary == "nova-compute"
        default = settings.default_availability_zone if is_compute else settings.internal_service_availability_zone
        labels = {
            "id": service.uuid,
            "hostname": service.host,
            "service": service.binary,
            "adminState": "disabled" if service.disabled else "enabled",
            "zone": zones.get(service.host, default) if is_compute else default,
            "disabledReason": service.disabled_reason or "",
        }
        samples.append(Sample(service.is_up(now, service_down_seconds=settings.service_down_seconds), labels))
    # A counter there, although it goes both ways: who reads it by name alone does not mind.
    yield Family("openstack_nova_agent_state", "counter", "Whether a service is up.", samples)


def _gauge(name: str, help_: str, samples: list[Sample]) -> Family:
    return Family(f"openstack_nova_{name}", "gauge", help_, samples)
