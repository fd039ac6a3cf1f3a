"""The fleet: services and their beats, compute nodes and what they have, and the claims on them."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NotRequired, TypedDict, Unpack
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, func, select, text
from sqlalchemy.exc import IntegrityError

from kilonova.domain.changes import Cause
from kilonova.domain.errors import Conflict, NotFound
from kilonova.domain.model import ComputeNode, Instance, Instant, Request, Service
from kilonova.store import conditions
from kilonova.store.database import Transaction
from kilonova.store.journal import Telling, append
from kilonova.store.rows import first_tuple, many, one, plain
from kilonova.store.schema import claims, compute_nodes, instances, services

_RECORD_BEATS: Final = {
    "sqlite": """
        UPDATE services SET report_count = report_count + added, last_seen_at = seen_at, updated_at = seen_at
        FROM (SELECT json_extract(value, '$[0]') AS service_id, json_extract(value, '$[1]') AS added,
                     json_extract(value, '$[2]') AS seen_at FROM json_each(:beats)) AS beats
        WHERE id = service_id""",
    "postgresql": """
        UPDATE services SET report_count = report_count + added, last_seen_at = seen_at, updated_at = seen_at
        FROM (SELECT CAST(value->>0 AS bigint) AS service_id, CAST(value->>1 AS bigint) AS added,
                     CAST(value->>2 AS bigint) AS seen_at FROM json_array_elements(CAST(:beats AS json))) AS beats
        WHERE id = service_id""",
    "mysql": """
        UPDATE services JOIN JSON_TABLE(:beats, '$[*]' COLUMNS (
            service_id BIGINT PATH '$[0]', added BIGINT PATH '$[1]', seen_at BIGINT PATH '$[2]')) AS beats
        ON id = service_id
        SET report_count = report_count + added, last_seen_at = seen_at, updated_at = seen_at""",
}
"""One parameter however large the fleet is, which every one of these databases takes apart by itself."""

_CAPACITY: Final = frozenset(
    {
        "vcpus",
        "memory_mb",
        "local_gb",
        "cpu_allocation_ratio",
        "ram_allocation_ratio",
        "disk_allocation_ratio",
        "reserved_memory_mb",
        "reserved_disk_gb",
    }
)
"""What of a node the world is told about; the rest is refreshed quietly."""


HOME: Final = "home"
"""The kind of claim that an instance has where it lives."""
AWAY: Final = "away"
"""The kind of claim that it has where it is moving to, until that is confirmed."""


class NodeValues(TypedDict):
    """What a node's host reports of it, and the overcommit that the settings grant; as in ``ComputeNode``."""

    hypervisor_hostname: str
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str
    vcpus: int
    memory_mb: int
    local_gb: int
    cpu_allocation_ratio: float
    ram_allocation_ratio: float
    disk_allocation_ratio: float
    reserved_memory_mb: int
    reserved_disk_gb: int
    disk_available_least: NotRequired[int | None]
    cpu_info_json: NotRequired[str]
    uptime_text: NotRequired[str | None]


class ServiceValues(TypedDict, total=False):
    """What an administrator decides of a service; as in ``Service``."""

    disabled: bool
    disabled_reason: str | None
    forced_down: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What is promised on a node, by its claims. Memory in MiB, disk in GiB."""

    instances: int
    vcpus: int
    memory_mb: int
    local_gb: int


_FEW: Final = 1000
"""Hosts that are asked for by their names; of more of them all services are read."""
_TRUTHS: Final = ("disabled", "forced_down", "was_up")
_SERVICE_FIELDS: Final = Service._fields
# Every name with its table: BINARY alone is a reserved word of MariaDB.
_BY_BINARY_AND_HOST: Final = (
    f"SELECT {', '.join(f'services.{name}' for name in _SERVICE_FIELDS)} FROM services "  # noqa: S608  all constants
    "WHERE services.binary = ? AND services.host = ?"
)


VERSION: Final = 73
"""The number that a service tells of its version (contract §1.5)."""


def ensure_service(
    tx: Transaction, *, binary: str, host: str, now: Instant, version: int = VERSION, disabled_reason: str | None = None
) -> Service:
    """The service of this binary on this host, registered if it is new; safe when several do so at once.

    A new one is disabled where there is a ``disabled_reason``.
    """
    found = find_service(tx.connection, binary, host)
    if found is not None and found.version == version:
        return found
    if found is not None:
        mine = services.c.id == found.id
        tx.connection.execute(services.update().where(mine).values(version=version, updated_at=now))
        return _service(tx.connection, mine)
    try:
        with tx.connection.begin_nested():
            tx.connection.execute(
                services.insert().values(
                    uuid=str(uuid4()),
                    binary=binary,
                    host=host,
                    report_count=0,
                    created_at=now,
                    version=version,
                    disabled=disabled_reason is not None,
                    disabled_reason=disabled_reason,
                )
            )
    except IntegrityError:
        return _service(tx.connection, _on(binary, host))  # somebody registered it in this moment
    made = _service(tx.connection, _on(binary, host))
    _announce_service(tx, made, operation="create", occurred_at=now, cause=Cause.OBSERVED)
    return made


def list_services(connection: Connection, *, host: str | None = None, binary: str | None = None) -> list[Service]:
    """The services in the order of their registration, of one host or binary if wanted (contract §1.2)."""
    statement = select(services).order_by(services.c.id)
    if host is not None:
        statement = statement.where(services.c.host == host)
    if binary is not None:
        statement = statement.where(services.c.binary == binary)
    return plain(connection, Service, statement, truths=_TRUTHS)


def list_down(connection: Connection, limit: int) -> list[Service]:
    """Services that were last announced as down, in the order of their registration."""
    down = select(services).where(~services.c.was_up).order_by(services.c.id).limit(limit)
    return plain(connection, Service, down, truths=_TRUTHS)


def compute_services(connection: Connection, hosts: Collection[str]) -> dict[str, Service]:
    """The nova-compute services of these hosts, by host; of a few of them without a look at the others."""
    statement = select(services).where(services.c.binary == "nova-compute")
    if len(hosts) <= _FEW:
        statement = statement.where(services.c.host.in_(list(hosts)))
    return {each.host: each for each in plain(connection, Service, statement, truths=_TRUTHS)}


def get_service(connection: Connection, uuid: str) -> Service:
    """The service with this uuid. Raises ``NotFound`` in Nova's words (contract §1.4)."""
    found = find_service_by_uuid(connection, uuid)
    if found is None:
        raise NotFound(f"Service {uuid} could not be found.")
    return found


def find_service_by_uuid(connection: Connection, uuid: str) -> Service | None:
    """The service with this uuid, or None."""
    return one(connection, Service, select(services).where(services.c.uuid == uuid))


def find_service_by_id(connection: Connection, id: int) -> Service | None:
    """The service with this number, by which clients knew it until 2.52, or None."""
    return one(connection, Service, select(services).where(services.c.id == id))


def find_service(connection: Connection, binary: str, host: str) -> Service | None:
    """The service of this binary on this host, or None. On the path of every server that is shown: ready SQL."""
    row = first_tuple(connection, _BY_BINARY_AND_HOST, (binary, host))
    if row is None:
        return None
    values = dict(zip(_SERVICE_FIELDS, row, strict=True))
    values.update({name: bool(values[name]) for name in _TRUTHS})
    return Service(**values)


def change_service(tx: Transaction, uuid: str, *, request: Request, **values: Unpack[ServiceValues]) -> Service:
    """Keep what an administrator decided of a service, and tell it, even where it was so before (contract §1.4).

    ``updated_at`` moves only with a real change. Raises ``NotFound`` in Nova's words.
    """
    mine = services.c.uuid == uuid
    tx.connection.execute(select(services.c.id).where(mine).with_for_update())
    before = get_service(tx.connection, uuid)
    previous = {name: getattr(before, name) for name, value in values.items() if getattr(before, name) != value}
    if previous:
        changed = services.update().where(mine).values(**values, updated_at=request.received_at)
        tx.connection.execute(changed)
    after = get_service(tx.connection, uuid)
    _announce_service(
        tx, after, operation="update", occurred_at=request.received_at, request=request, previous=previous
    )
    return after


def remove_service(tx: Transaction, service: Service, *, request: Request) -> None:
    """Forget a service, which comes back only by registering anew; of a compute service remove the nodes first."""
    tx.connection.execute(services.delete().where(services.c.id == service.id))
    conditions.forget(tx, "service", service.uuid)
    _announce_service(tx, service, operation="delete", occurred_at=request.received_at, request=request)


def remove_nodes(tx: Transaction, host: str, *, request: Request) -> bool:
    """Forget the nodes of a host; False, and nothing done, where there are instances on it or on their way to it.

    The nodes' rows are the lock: whoever claims of one of them meanwhile waits, and then finds it gone.
    """
    nodes = many(
        tx.connection,
        ComputeNode,
        select(compute_nodes).where(compute_nodes.c.host == host).order_by(compute_nodes.c.id).with_for_update(),
    )
    uuids = [node.uuid for node in nodes]
    living = select(instances.c.uuid).where(instances.c.host == host, instances.c.deleted_at.is_(None)).limit(1)
    promised = select(claims.c.instance_uuid).where(claims.c.node_uuid.in_(uuids)).limit(1)
    if tx.connection.scalar(living) is not None or tx.connection.scalar(promised) is not None:
        return False
    tx.connection.execute(compute_nodes.delete().where(compute_nodes.c.uuid.in_(uuids)))
    for node in nodes:
        _announce_node(tx, node, operation="delete", occurred_at=request.received_at, request=request)
    return True


def record_beats(connection: Connection, beats: Mapping[int, tuple[int, Instant]]) -> None:
    """Add beats to services by their ids: how many, and when the last one was. One statement for the whole fleet."""
    if not beats:
        return
    rows = sorted((id_, added, seen_at) for id_, (added, seen_at) in beats.items())
    name = connection.dialect.name
    statement = _RECORD_BEATS["mysql" if name == "mariadb" else name]
    connection.execute(text(statement), {"beats": json.dumps(rows)})


def save_node(tx: Transaction, host: str, *, now: Instant, **values: Unpack[NodeValues]) -> ComputeNode:
    """Keep what a host reports of one of its nodes; what is claimed of it stays as it is.

    A new node and a changed capacity are journalled, a mere refresh is not.
    """
    row: dict[str, Any] = {"disk_available_least": None, "cpu_info_json": "{}", "uptime_text": None, **values}
    found = find_node(tx.connection, host, values["hypervisor_hostname"])
    if found is None:
        return _add_node(tx, host, now, row)
    changed = {name: value for name, value in row.items() if getattr(found, name) != value}
    if not changed:
        return found
    mine = compute_nodes.c.id == found.id
    tx.connection.execute(compute_nodes.update().where(mine).values(**changed, updated_at=now))
    node = get_node(tx.connection, found.uuid)
    if changed.keys() & _CAPACITY:
        previous = {name: getattr(found, name) for name in changed}
        _announce_node(tx, node, operation="update", occurred_at=now, cause=Cause.OBSERVED, previous=previous)
    return node


def list_nodes(connection: Connection) -> list[ComputeNode]:
    """The nodes in the order of their first report (contract §3.2)."""
    return plain(connection, ComputeNode, select(compute_nodes).order_by(compute_nodes.c.id))


def list_owned_nodes(connection: Connection, *, after_id: int = 0, limit: int | None = None) -> list[ComputeNode]:
    """The same, without those whose service is gone; beyond a number, and no more than ``limit``, if wanted."""
    owner = select(services.c.id).where(services.c.host == compute_nodes.c.host, services.c.binary == "nova-compute")
    statement = select(compute_nodes).where(owner.exists(), compute_nodes.c.id > after_id)
    return plain(connection, ComputeNode, statement.order_by(compute_nodes.c.id).limit(limit))


def find_owned_node(connection: Connection, *, id: int | None = None, uuid: str | None = None) -> ComputeNode | None:
    """The node with this number, or else with this uuid; None where there is none, or its service is gone."""
    owner = select(services.c.id).where(services.c.host == compute_nodes.c.host, services.c.binary == "nova-compute")
    wanted = compute_nodes.c.uuid == uuid if id is None else compute_nodes.c.id == id
    return one(connection, ComputeNode, select(compute_nodes).where(owner.exists(), wanted))


def get_node(connection: Connection, uuid: str) -> ComputeNode:
    """The node with this uuid. Raises ``NotFound`` in Nova's words."""
    found = one(connection, ComputeNode, select(compute_nodes).where(compute_nodes.c.uuid == uuid))
    if found is None:
        raise NotFound(f"Compute host {uuid} could not be found.")
    return found


def find_node(connection: Connection, host: str, node: str) -> ComputeNode | None:
    """The node of this host with this hypervisor hostname, or None."""
    table = compute_nodes
    mine = select(table).where(table.c.host == host, table.c.hypervisor_hostname == node)
    return one(connection, ComputeNode, mine)


def claim(tx: Transaction, *, node_uuid: str, instance: Instance, kind: str = HOME) -> bool:
    """Promise the instance what it needs of a node; False, and nothing done, where that is no longer free.

    An instance has one claim of each kind: one where it lives, and one where it is moving to. True and nothing done
    when it has this one there already; raises ``Conflict`` when it has it elsewhere: release that first. The node's
    row is the lock, so that no two claims see the same free capacity.
    """
    mine = (claims.c.instance_uuid == instance.uuid, claims.c.kind == kind)
    held = tx.connection.scalar(select(claims.c.node_uuid).where(*mine))
    if held is not None and held != node_uuid:
        raise Conflict(f"Instance {instance.uuid} has a claim on another node", detail=f"claimed on node {held}")
    if held is not None:
        return True
    wanted = {"vcpus": instance.vcpus, "memory_mb": instance.memory_mb, "local_gb": instance.disk_gb}
    taken = tx.connection.execute(
        compute_nodes.update().where(compute_nodes.c.uuid == node_uuid, *_fits(wanted)).values(_used(wanted, sign=1))
    )
    if taken.rowcount != 1:
        return False
    tx.connection.execute(claims.insert().values(instance_uuid=instance.uuid, kind=kind, node_uuid=node_uuid, **wanted))
    return True


def release_claim(tx: Transaction, instance_uuid: str, *, kind: str | None = None) -> None:
    """Give back what was promised to the instance, if anything was; the claims of one kind, or all."""
    mine = claims.c.instance_uuid == instance_uuid
    if kind is not None:
        mine &= claims.c.kind == kind
    for held in tx.connection.execute(select(claims).where(mine).with_for_update()).mappings().all():
        tx.connection.execute(claims.delete().where(mine, claims.c.kind == held["kind"]))
        given = {name: held[name] for name in ("vcpus", "memory_mb", "local_gb")}
        tx.connection.execute(
            compute_nodes.update().where(compute_nodes.c.uuid == held["node_uuid"]).values(_used(given, sign=-1))
        )


def settle_claim(tx: Transaction, instance_uuid: str) -> None:
    """Where the instance was moving to is from now on where it lives; what it had before is given back.

    Nothing is done for one that was not moving.
    """
    table = claims.c
    moving = (table.instance_uuid == instance_uuid, table.kind == AWAY)
    if tx.connection.scalar(select(table.node_uuid).where(*moving)) is None:
        return
    release_claim(tx, instance_uuid, kind=HOME)
    tx.connection.execute(claims.update().where(*moving).values(kind=HOME))


def settle_claims(tx: Transaction, instance: Instance) -> None:
    """Leave an instance that moves no more the one claim that is right where it now is, of its flavor."""
    table, node = claims.c, compute_nodes.c
    columns = (node.host, node.hypervisor_hostname, table.vcpus, table.memory_mb, table.local_gb)
    joined = claims.join(compute_nodes, node.uuid == table.node_uuid)
    moving = (table.instance_uuid == instance.uuid, table.kind == AWAY)
    away = tx.connection.execute(select(*columns).select_from(joined).where(*moving)).first()
    if away is None:
        return
    here = (instance.host, instance.node, instance.vcpus, instance.memory_mb, instance.disk_gb)
    if tuple(away) == here:
        settle_claim(tx, instance.uuid)
    else:
        release_claim(tx, instance.uuid, kind=AWAY)


def claimed_hosts(connection: Connection, instance_uuids: Collection[str]) -> set[tuple[str, str]]:
    """Pairs of an instance and a host that has promised it something: there it may have a guest."""
    columns = (claims.c.instance_uuid, compute_nodes.c.host)
    joined = claims.join(compute_nodes, compute_nodes.c.uuid == claims.c.node_uuid)
    statement = select(*columns).select_from(joined).where(claims.c.instance_uuid.in_(list(instance_uuids)))
    return {(row[0], row[1]) for row in connection.execute(statement)} if instance_uuids else set()


def claims_of(connection: Connection, node_uuid: str) -> Claimed:
    """The sum of the claims on a node, which its ``*_used`` always equal."""
    columns = claims.c
    sums = (func.sum(columns.vcpus), func.sum(columns.memory_mb), func.sum(columns.local_gb))
    counted = func.count(columns.instance_uuid.distinct())
    count, *totals = connection.execute(select(counted, *sums).where(columns.node_uuid == node_uuid)).one()
    vcpus, memory_mb, local_gb = (int(total or 0) for total in totals)
    return Claimed(instances=count, vcpus=vcpus, memory_mb=memory_mb, local_gb=local_gb)


def _fits(wanted: Mapping[str, int]) -> list[ColumnElement[bool]]:
    """The same arithmetic as ``ComputeNode.*_free``; who asks for nothing of a kind fits, however full it is."""
    node = compute_nodes.c
    capacity: dict[str, ColumnElement[Any]] = {
        "vcpus": node.vcpus * node.cpu_allocation_ratio,
        "memory_mb": (node.memory_mb - node.reserved_memory_mb) * node.ram_allocation_ratio,
        "local_gb": (node.local_gb - node.reserved_disk_gb) * node.disk_allocation_ratio,
    }
    return [capacity[name] >= node[f"{name}_used"] + asked for name, asked in wanted.items() if asked > 0]


def _used(amounts: Mapping[str, int], *, sign: int) -> dict[str, ColumnElement[Any]]:
    node = compute_nodes.c
    used = {f"{name}_used": node[f"{name}_used"] + sign * amount for name, amount in amounts.items()}
    return {**used, "running_vms": node.running_vms + sign}


def _on(binary: str, host: str) -> ColumnElement[bool]:
    return (services.c.binary == binary) & (services.c.host == host)


def _service(connection: Connection, condition: ColumnElement[bool]) -> Service:
    found = one(connection, Service, select(services).where(condition))
    if found is None:
        raise RuntimeError("a service that was just written is not there")
    return found


def _announce_service(tx: Transaction, service: Service, *, occurred_at: Instant, **telling: Unpack[Telling]) -> None:
    snapshot = {name: getattr(service, name) for name in services.c.keys()}  # noqa: SIM118  not a dictionary
    append(tx, kind="service", key=service.uuid, occurred_at=occurred_at, snapshot=snapshot, **telling)


def _add_node(tx: Transaction, host: str, now: Instant, row: dict[str, Any]) -> ComputeNode:
    name = row["hypervisor_hostname"]
    unused = dict.fromkeys(("vcpus_used", "memory_mb_used", "local_gb_used", "running_vms"), 0)
    made = {**row, **unused, "uuid": str(uuid4()), "host": host, "created_at": now}
    try:
        with tx.connection.begin_nested():
            tx.connection.execute(compute_nodes.insert().values(**made))
    except IntegrityError:
        node = find_node(tx.connection, host, name)  # somebody reported it in this moment, and knew the same
        if node is None:
            raise
        return node
    node = get_node(tx.connection, made["uuid"])
    _announce_node(tx, node, operation="create", occurred_at=now, cause=Cause.OBSERVED)
    return node


def _announce_node(tx: Transaction, node: ComputeNode, *, occurred_at: Instant, **telling: Unpack[Telling]) -> None:
    snapshot = {name: getattr(node, name) for name in compute_nodes.c.keys()}  # noqa: SIM118  not a dictionary
    append(tx, kind="compute_node", key=node.uuid, occurred_at=occurred_at, snapshot=snapshot, **telling)
