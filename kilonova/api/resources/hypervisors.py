"""``/os-hypervisors``: what hosts have, and what is promised of it (contract §3)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kilonova.api.call import Call, Page
from kilonova.api.paging import page_limit, page_of
from kilonova.api.resources.services import state_of, status_of
from kilonova.api.routes import Many, One, Route, route
from kilonova.api.schemas.types import BOOLEAN, FQDN, MOST, NON_NEGATIVE, STRING, param, query, truth
from kilonova.api.schemas.validation import is_uuid
from kilonova.api.shape import ABSENT, Field, Shape, field, raw
from kilonova.domain.errors import Invalid, NotFound, NotSupported
from kilonova.domain.model import ComputeNode, Service
from kilonova.store import counts, fleet
from kilonova.store.counts import Hosted
from kilonova.store.database import Connection
from kilonova.wire.version import Versioned

_RULE: Final = "os_compute_api:os-hypervisors:"
_GENERIC: Final = "The server could not comply with the request since it is either malformed or otherwise incorrect."


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypervisor:
    """A compute node with the service that owns it.

    ``servers`` is None where nobody asked for them; ``workload`` is how many have something in progress.
    """

    node: ComputeNode
    service: Service
    servers: Sequence[Hosted] | None = None
    workload: int = 0


def _node(name: str) -> Callable[[Hypervisor], Any]:
    return lambda hypervisor: getattr(hypervisor.node, name)


def _service(key: str) -> Callable[[Hypervisor], Any]:
    return lambda hypervisor: {
        "id": getattr(hypervisor.service, key),
        "host": hypervisor.service.host,
        "disabled_reason": hypervisor.service.disabled_reason,
    }


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
# What Nova calls used is what is promised and what the host keeps for itself; its free ones know no overcommit (§3.2).
_CAPACITY: Final[dict[str, Callable[[Hypervisor], int | None]]] = {
    "vcpus": _node("vcpus"),
    "memory_mb": _node("memory_mb"),
    "local_gb": _node("local_gb"),
    "vcpus_used": _node("vcpus_used"),
    "memory_mb_used": lambda hypervisor: hypervisor.node.memory_mb_used + hypervisor.node.reserved_memory_mb,
    "local_gb_used": lambda hypervisor: hypervisor.node.local_gb_used + hypervisor.node.reserved_disk_gb,
    "free_ram_mb": lambda hypervisor: (
        hypervisor.node.memory_mb - hypervisor.node.memory_mb_used - hypervisor.node.reserved_memory_mb
    ),
    "free_disk_gb": lambda hypervisor: (
        hypervisor.node.local_gb - hypervisor.node.local_gb_used - hypervisor.node.reserved_disk_gb
    ),
    "current_workload": lambda hypervisor: hypervisor.workload,
    "running_vms": _node("running_vms"),
    "disk_available_least": _node("disk_available_least"),
}
_COUNTS_WORKLOAD: Final = Versioned(("2.1", True), ("2.88", False))


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
    *(field(name, count, until="2.87") for name, count in _CAPACITY.items()),
    field("cpu_info", _node("cpu_info_json"), until="2.27"),
    field("cpu_info", lambda hypervisor: raw(hypervisor.node.cpu_info_json or "{}"), since="2.28", until="2.87"),
    field("uptime", _uptime, since="2.88"),
    *_SERVERS,
)
UPTIME: Final = Shape("hypervisor", *_BRIEF, field("uptime", lambda hypervisor: hypervisor.node.uptime_text))


def index(call: Call) -> Page:
    """``GET /os-hypervisors`` and ``GET /os-hypervisors/detail``."""
    pattern = call.first("hypervisor_hostname_pattern")
    with_servers = truth(call.first("with_servers") or False)
    if pattern is not None:
        if "limit" in call.query or "marker" in call.query:
            raise Invalid(_GENERIC)
        return Page(records=_matching(call, pattern, with_servers=with_servers))
    limit = page_limit(call)
    with call.plane.database.read() as connection:
        start = _start(call, connection)
        # Nova knows a limit from 2.33 on, and until then lists them all.
        nodes = fleet.list_owned_nodes(connection, after_id=start, limit=limit if _PAGES.at(call.version) else None)
    found = _loaded(call, nodes, with_servers=with_servers)
    return page_of(found, limit, id_of=_id_at(call)) if _PAGES.at(call.version) else Page(records=found)


def show(call: Call) -> Hypervisor:
    """``GET /os-hypervisors/{id}``."""
    return _found(call, with_servers=truth(call.first("with_servers") or False))


def uptime(call: Call) -> Hypervisor:
    """``GET /os-hypervisors/{id}/uptime``: what its agent told last; no agent is asked."""
    found = _found(call)
    if state_of(found.service, call) == "down":
        raise Invalid(f"Service is unavailable at this time: {found.service.host} is down.")
    if found.node.uptime_text is None:
        raise NotSupported("The requested functionality is not supported.")
    return found


def search(call: Call) -> Page:
    """``GET /os-hypervisors/{pattern}/search``, until 2.52."""
    return Page(records=_matching(call, call.params["hypervisor_id"]))


def servers(call: Call) -> Page:
    """``GET /os-hypervisors/{pattern}/servers``, until 2.52."""
    return Page(records=_matching(call, call.params["hypervisor_id"], with_servers=True))


def statistics(call: Call) -> dict[str, Any]:
    """``GET /os-hypervisors/statistics``: sums over what enabled services have, up or not (contract §3.5)."""
    with call.plane.database.read() as connection:
        nodes = fleet.list_owned_nodes(connection)
    enabled = [each for each in _loaded(call, nodes) if not each.service.disabled]
    sums = {name: sum(count(each) or 0 for each in enabled) for name, count in _CAPACITY.items()}
    return {"hypervisor_statistics": {"count": len(enabled), **sums}}


_BY_UUID: Final = Versioned(("2.1", False), ("2.53", True))
_PAGES: Final = Versioned(("2.1", False), ("2.33", True))


def _id_at(call: Call) -> Callable[[Hypervisor], str]:
    if _BY_UUID.at(call.version):
        return lambda hypervisor: hypervisor.node.uuid
    return lambda hypervisor: str(hypervisor.node.id)


def _start(call: Call, connection: Connection) -> int:
    """The number after which the page begins. Invalid for an unknown marker."""
    marker = call.first("marker")
    if marker is None:
        return 0
    found = _find(call, connection, marker)
    if found is None:
        raise Invalid(f"marker [{marker}] not found")
    return found.id


def _find(call: Call, connection: Connection, text: str) -> ComputeNode | None:
    """The node that a caller means: by its number until 2.52, then by its uuid (contract §3.5)."""
    if _BY_UUID.at(call.version):
        return fleet.find_owned_node(connection, uuid=text)
    number = int(text[:20]) if text.isascii() and text.isdigit() else -1
    return fleet.find_owned_node(connection, id=number) if 0 <= number <= MOST else None


def _found(call: Call, *, with_servers: bool = False) -> Hypervisor:
    wanted = call.params["hypervisor_id"]
    if _BY_UUID.at(call.version) and not is_uuid(wanted):
        raise Invalid(f"Invalid uuid {wanted}")
    with call.plane.database.read() as connection:
        node = _find(call, connection, wanted)
    loaded = [] if node is None else _loaded(call, [node], with_servers=with_servers, host=node.host)
    if not loaded:
        raise NotFound(f"Hypervisor with ID '{wanted}' could not be found.")
    return loaded[0]


def _matching(call: Call, pattern: str, *, with_servers: bool = False) -> list[Hypervisor]:
    """Those whose names have the pattern in them, as SQL's LIKE has it: ``_`` is any character (contract §3.3)."""
    parts = ({"_": ".", "%": ".*"}.get(each, re.escape(each)) for each in pattern)
    is_like = re.compile("".join(parts), re.IGNORECASE | re.DOTALL).search
    with call.plane.database.read() as connection:
        nodes = [node for node in fleet.list_owned_nodes(connection) if is_like(node.hypervisor_hostname)]
    if not nodes:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return _loaded(call, nodes, with_servers=with_servers)


def _loaded(
    call: Call, nodes: Sequence[ComputeNode], *, with_servers: bool = False, host: str | None = None
) -> list[Hypervisor]:
    """The nodes with their services, and their servers if wanted; of one ``host`` only, where all are on it."""
    with call.plane.database.read() as connection:
        by_host = fleet.compute_services(connection, {node.host for node in nodes})
        hosted = counts.list_hosted(connection, host) if with_servers else {}
        busy = counts.workload_by_node(connection) if _COUNTS_WORKLOAD.at(call.version) else {}
    return [
        Hypervisor(
            node=node,
            service=by_host[node.host],
            servers=hosted.get((node.host, node.hypervisor_hostname), []) if with_servers else None,
            workload=busy.get((node.host, node.hypervisor_hostname), 0),
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
