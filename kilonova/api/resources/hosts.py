"""``/os-hosts``: hosts as they were seen until 2.42, before ``os-services`` and ``os-hypervisors`` (contract §2.1)."""

from collections.abc import Iterator
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.resources.services import listed
from kilonova.api.resources.zones import COMPUTE, zones_of
from kilonova.api.routes import Route, route
from kilonova.api.schemas.hosts import LIST, UPDATE
from kilonova.domain.errors import NotFound, NotSupported
from kilonova.domain.model import ComputeNode
from kilonova.store import fleet, instances
from kilonova.store.instances import ProjectUse

_RULE: Final = "os_compute_api:os-hosts:"
_LAST: Final = "2.42"


def index(call: Call) -> dict[str, Any]:
    """``GET /os-hosts``: a row for each service that is enabled; a zone without a name is any."""
    zones, wanted = zones_of(call), call.first("zone")
    rows = [
        {"host_name": service.host, "service": service.binary.removeprefix("nova-"), "zone": zones.of(service)}
        for service in listed(call)
        if not service.disabled
    ]
    return {"hosts": [row for row in rows if not wanted or wanted == row["zone"]]}


def show(call: Call) -> dict[str, Any]:
    """``GET /os-hosts/{host}``: what its first node has, what is used of it, and by which project."""
    host = _mapped(call)
    with call.plane.database.read() as connection:
        node = next((node for node in fleet.list_nodes(connection) if node.host == host), None)
        uses = instances.list_project_uses(connection, host)
    if node is None:
        raise NotFound(f"Compute host {host} could not be found.")
    return {"host": [{"resource": row} for row in _resources(node, uses)]}


def refuse(call: Call) -> None:
    """Power and maintenance of hosts, through the API: no driver of Kilonova does it, as libvirt's in Nova."""
    _mapped(call)
    raise NotSupported("The requested functionality is not supported.")


def _mapped(call: Call) -> str:
    """The host of the path. NotFound where it is no compute host."""
    host = call.params["host"]
    with call.plane.database.read() as connection:
        if fleet.find_service(connection, COMPUTE, host) is None:
            raise NotFound(f"Host '{host}' is not mapped to any cell")
    return host


def _resources(node: ComputeNode, uses: list[ProjectUse]) -> Iterator[dict[str, Any]]:
    yield _row(node.host, "(total)", node.vcpus, node.memory_mb, node.local_gb)
    yield _row(node.host, "(used_now)", *(each.used for each in node.capacity.resources))
    totals = (sum(use.vcpus for use in uses), sum(use.memory_mb for use in uses), sum(use.disk_gb for use in uses))
    yield _row(node.host, "(used_max)", *totals)
    for use in uses:
        yield _row(node.host, use.project_id, use.vcpus, use.memory_mb, use.disk_gb)


def _row(host: str, project: str, cpu: int, memory_mb: int, disk_gb: int) -> dict[str, Any]:
    return {"host": host, "project": project, "cpu": cpu, "memory_mb": memory_mb, "disk_gb": disk_gb}


ROUTES: Final[tuple[Route, ...]] = (
    route("GET", "/os-hosts", index, policy=_RULE + "list", until=_LAST, query=LIST),
    route("GET", "/os-hosts/{host}", show, policy=_RULE + "show", until=_LAST),
    route("PUT", "/os-hosts/{host}", refuse, policy=_RULE + "update", until=_LAST, body=UPDATE),
    route("GET", "/os-hosts/{host}/reboot", refuse, policy=_RULE + "reboot", until=_LAST),
    route("GET", "/os-hosts/{host}/shutdown", refuse, policy=_RULE + "shutdown", until=_LAST),
    route("GET", "/os-hosts/{host}/startup", refuse, policy=_RULE + "start", until=_LAST),
)
