"""``/os-hypervisors``: what hosts have, and what is promised of it (contract §3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kilonova.api.call import Call, Page
from kilonova.api.paging import cut
from kilonova.api.resources.services import state_of, status_of
from kilonova.api.routes import Many, One, Route, route
from kilonova.api.schemas.types import BOOLEAN, FQDN, NON_NEGATIVE, STRING, param, query, truth
from kilonova.api.schemas.validation import is_uuid
from kilonova.api.shape import ABSENT, Field, Shape, field, raw
from kilonova.domain.errors import Invalid, NotFound, NotSupported
from kilonova.domain.model import ComputeNode, Instance, Service
from kilonova.store import fleet, instances
from kilonova.store.instances import InstanceQuery
from kilonova.wire.version import Versioned

_RULE: Final = "os_compute_api:os-hypervisors:"
_COMPUTE: Final = "nova-compute"
_GENERIC: Final = "The server could not comply with the request since it is either malformed or otherwise incorrect."


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypervisor:
    """A compute node with the service that owns it; ``servers`` is None where nobody asked for them."""

    node: ComputeNode
    service: Service
    servers: Sequence[Instance] | None = None


def _node(name: str) -> Callable[[Hypervisor], Any]:
    return lambda hypervisor: getattr(hypervisor.node, name)


def _service(key: str) -> Callable[[Hypervisor], Any]:
    return lambda hypervisor: {
        "id": getattr(hypervisor.service, key),
        "host": hypervisor.service.host,
        "disabled_reason": hypervisor.service.disabled_reason,
    }


def memory_used(node: ComputeNode) -> int:
    """What is promised, and what the host keeps for itself, as Nova counts it (contract §3.2)."""
    return node.memory_mb_used + node.reserved_memory_mb


def disk_used(node: ComputeNode) -> int:
    """The same of its disk, in GiB."""
    return node.local_gb_used + node.reserved_disk_gb


def _servers(hypervisor: Hypervisor) -> Any:
    if not hypervisor.servers:
        return ABSENT
    return [{"name": server.name, "uuid": server.uuid} for server in hypervisor.servers]


def _servers_or_none(hypervisor: Hypervisor) -> Any:
    return [] if hypervisor.servers is not None and not hypervisor.servers else _servers(hypervisor)


_BRIEF: Final[tuple[Field, ...]] = (
    field("id", _node("id"), until="2.52"),
    field("id", _node("uuid"), since="2.53"),
    field("hypervisor_hostname", _node("hypervisor_hostname")),
    field("state", lambda hypervisor, call: state_of(hypervisor.service, call)),
    field("status", lambda hypervisor: status_of(hypervisor.service)),
)
_SERVERS: Final[tuple[Field, ...]] = (
    field("servers", _servers, until="2.74"),
    field("servers", _servers_or_none, since="2.75"),
)
_CAPACITY: Final[dict[str, Callable[[ComputeNode], int | None]]] = {
    "vcpus": lambda node: node.vcpus,
    "memory_mb": lambda node: node.memory_mb,
    "local_gb": lambda node: node.local_gb,
    "vcpus_used": lambda node: node.vcpus_used,
    "memory_mb_used": memory_used,
    "local_gb_used": disk_used,
    "free_ram_mb": lambda node: node.memory_mb - memory_used(node),
    "free_disk_gb": lambda node: node.local_gb - disk_used(node),
    "current_workload": lambda _: 0,
    "running_vms": lambda node: node.running_vms,
    "disk_available_least": lambda node: node.disk_available_least,
}


def _capacity(name: str) -> Callable[[Hypervisor], Any]:
    count = _CAPACITY[name]
    return lambda hypervisor: count(hypervisor.node)


def _uptime(hypervisor: Hypervisor, call: Call) -> str | None:
    return hypervisor.node.uptime_text if state_of(hypervisor.service, call) == "up" else None


BRIEF: Final = Shape("hypervisor", *_BRIEF, *_SERVERS)
FULL: Final = Shape(
    "hypervisor",
    *_BRIEF,
    field("hypervisor_type", _node("hypervisor_type")),
    field("hypervisor_version", _node("hypervisor_version")),
    field("host_ip", _node("host_ip")),
    field("service", _service("id"), until="2.52"),
    field("service", _service("uuid"), since="2.53"),
    *(field(name, _capacity(name), until="2.87") for name in _CAPACITY),
    field("cpu_info", _node("cpu_info_json"), until="2.27"),
    field("cpu_info", lambda hypervisor: raw(hypervisor.node.cpu_info_json or "{}"), since="2.28", until="2.87"),
    field("uptime", _uptime, since="2.88"),
    *_SERVERS,
)
UPTIME: Final = Shape("hypervisor", *_BRIEF, field("uptime", lambda hypervisor: hypervisor.node.uptime_text))


def index(call: Call) -> Page:
    """``GET /os-hypervisors`` and ``GET /os-hypervisors/detail``."""
    pattern = call.first("hypervisor_hostname_pattern")
    if pattern is None:
        return cut(call, _loaded(call), id_of=_id_at(call))
    if "limit" in call.query or "marker" in call.query:
        raise Invalid(_GENERIC)
    return Page(records=_matching(_loaded(call), pattern))


def show(call: Call) -> Hypervisor:
    """``GET /os-hypervisors/{id}``."""
    return _found(call, _loaded(call))


def uptime(call: Call) -> Hypervisor:
    """``GET /os-hypervisors/{id}/uptime``."""
    found = _found(call, _loaded(call))
    if state_of(found.service, call) == "down":
        raise Invalid(f"Service is unavailable at this time: {found.service.host} is down.")
    if found.node.uptime_text is None:
        raise NotSupported("The requested functionality is not supported.")
    return found


def search(call: Call) -> Page:
    """``GET /os-hypervisors/{pattern}/search``, until 2.52."""
    return Page(records=_matching(_loaded(call), call.params["hypervisor_id"]))


def servers(call: Call) -> Page:
    """``GET /os-hypervisors/{pattern}/servers``, until 2.52."""
    return Page(records=_matching(_loaded(call, with_servers=True), call.params["hypervisor_id"]))


def statistics(call: Call) -> dict[str, Any]:
    """``GET /os-hypervisors/statistics``: sums over what enabled services have, up or not (contract §3.5)."""
    nodes = [hypervisor.node for hypervisor in _loaded(call) if not hypervisor.service.disabled]
    sums = {name: sum(count(node) or 0 for node in nodes) for name, count in _CAPACITY.items()}
    return {"hypervisor_statistics": {"count": len(nodes), **sums}}


_BY_UUID: Final = Versioned(("2.1", False), ("2.53", True))


def _id_at(call: Call) -> Callable[[Hypervisor], str]:
    if _BY_UUID.at(call.version):
        return lambda hypervisor: hypervisor.node.uuid
    return lambda hypervisor: str(hypervisor.node.id)


def _found(call: Call, hypervisors: list[Hypervisor]) -> Hypervisor:
    wanted = call.params["hypervisor_id"]
    if _BY_UUID.at(call.version) and not is_uuid(wanted):
        raise Invalid(f"Invalid uuid {wanted}")
    id_of = _id_at(call)
    found = next((each for each in hypervisors if id_of(each) == wanted), None)
    if found is None:
        raise NotFound(f"Hypervisor with ID '{wanted}' could not be found.")
    return found


def _matching(hypervisors: list[Hypervisor], pattern: str) -> list[Hypervisor]:
    found = [each for each in hypervisors if pattern in each.node.hypervisor_hostname]
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return found


def _loaded(call: Call, *, with_servers: bool | None = None) -> list[Hypervisor]:
    """All hypervisors, with their servers if the call asks for them; those whose service is gone are left out."""
    if with_servers is None:
        with_servers = truth(call.first("with_servers") or False)
    with call.plane.database.read() as connection:
        nodes = fleet.list_nodes(connection)
        by_host = {each.host: each for each in fleet.list_services(connection, binary=_COMPUTE)}
        hosted = instances.list_instances(connection, InstanceQuery()) if with_servers else []
    on: dict[tuple[str | None, str | None], list[Instance]] = {}
    for server in hosted:
        on.setdefault((server.host, server.node), []).append(server)
    return [
        Hypervisor(
            node=node,
            service=by_host[node.host],
            servers=on.get((node.host, node.hypervisor_hostname), []) if with_servers else None,
        )
        for node in nodes
        if node.host in by_host
    ]


_LIST: Final = query(
    param("limit", NON_NEGATIVE, since="2.33"),
    param("marker", STRING, since="2.33"),
    param("hypervisor_hostname_pattern", FQDN, since="2.53"),
    param("with_servers", BOOLEAN, since="2.53"),
    strict="2.53",
)
_SHOW: Final = query(param("with_servers", BOOLEAN, since="2.53"), strict="2.53")
_ONE: Final = "/os-hypervisors/{hypervisor_id}"

ROUTES: Final[tuple[Route, ...]] = (
    route(
        "GET",
        "/os-hypervisors",
        index,
        policy=_RULE + "list",
        query=_LIST,
        returns=Many(shape=BRIEF, key="hypervisors"),
    ),
    route(
        "GET",
        "/os-hypervisors/detail",
        index,
        policy=_RULE + "list-detail",
        query=_LIST,
        returns=Many(shape=FULL, key="hypervisors"),
    ),
    route("GET", "/os-hypervisors/statistics", statistics, policy=_RULE + "statistics", until="2.87"),
    route("GET", _ONE, show, policy=_RULE + "show", query=_SHOW, returns=One(shape=FULL)),
    route("GET", _ONE + "/uptime", uptime, policy=_RULE + "uptime", until="2.87", returns=One(shape=UPTIME)),
    route(
        "GET",
        _ONE + "/search",
        search,
        policy=_RULE + "search",
        until="2.52",
        returns=Many(shape=BRIEF, key="hypervisors"),
    ),
    route(
        "GET",
        _ONE + "/servers",
        servers,
        policy=_RULE + "servers",
        until="2.52",
        returns=Many(shape=BRIEF, key="hypervisors"),
    ),
)
