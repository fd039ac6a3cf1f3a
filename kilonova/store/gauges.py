"""Figures for monitoring: each one aggregate query over what is bounded by the hosts or by what is open.

Nothing here walks servers, projects or users.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, case, func, select

from kilonova.domain.conditions import Status
from kilonova.domain.model import SECOND, Instant
from kilonova.store.schema import compute_nodes, instance_actions, journal, services
from kilonova.store.schema_conditions import conditions

_KINDS: Final = (
    ("vcpus", compute_nodes.c.vcpus, None, compute_nodes.c.vcpus_used, compute_nodes.c.cpu_allocation_ratio),
    (
        "memory_mb",
        compute_nodes.c.memory_mb,
        compute_nodes.c.reserved_memory_mb,
        compute_nodes.c.memory_mb_used,
        compute_nodes.c.ram_allocation_ratio,
    ),
    (
        "local_gb",
        compute_nodes.c.local_gb,
        compute_nodes.c.reserved_disk_gb,
        compute_nodes.c.local_gb_used,
        compute_nodes.c.disk_allocation_ratio,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCount:
    """How many services of a binary are alike."""

    binary: str
    is_up: bool
    is_enabled: bool
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """One kind of resource over all nodes; as in ``domain.capacity.Resource``, ``capacity`` with the overcommit."""

    total: int
    reserved: int
    allocated: int
    capacity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWork:
    """Open operations of one kind: how many, how many past their deadline, and since when the oldest is open."""

    operation: str
    number: int
    overdue: int
    oldest_at: Instant


def count_services(connection: Connection, now: Instant, *, down_seconds: float) -> list[ServiceCount]:
    """The services by binary, by whether they are up (as ``Service.is_up`` says) and by whether they are enabled."""
    seen = func.coalesce(services.c.last_seen_at, services.c.created_at)
    is_up = case((services.c.forced_down, 0), (func.abs(now - seen) <= round(down_seconds * SECOND), 1), else_=0)
    counted = select(services.c.binary, is_up.label("up"), services.c.disabled, func.count()).group_by(
        services.c.binary, is_up, services.c.disabled
    )
    return [
        ServiceCount(binary=binary, is_up=bool(up), is_enabled=not disabled, number=number)
        for binary, up, disabled, number in connection.execute(counted)
    ]


def sum_capacity(connection: Connection) -> dict[str, Sum]:
    """What all nodes have together, by kind of resource."""
    columns: list[Any] = []
    for _, total, reserved, allocated, ratio in _KINDS:
        kept = 0 if reserved is None else reserved
        columns += [func.sum(total), func.sum(kept), func.sum(allocated), func.sum((total - kept) * ratio)]
    sums = connection.execute(select(*columns)).one()
    found = {}
    for place, (name, *_) in enumerate(_KINDS):
        all_of, kept, promised, most = (each or 0 for each in sums[place * 4 : place * 4 + 4])
        found[name] = Sum(total=int(all_of), reserved=int(kept), allocated=int(promised), capacity=float(most))
    return found


def count_nodes(connection: Connection) -> int:
    """How many compute nodes there are."""
    return connection.scalar(select(func.count()).select_from(compute_nodes)) or 0


def count_orphans(connection: Connection) -> int:
    """How many compute nodes have no service any more."""
    owner = select(services.c.id).where(services.c.host == compute_nodes.c.host, services.c.binary == "nova-compute")
    return connection.scalar(select(func.count()).select_from(compute_nodes).where(~owner.exists())) or 0


def list_open_work(connection: Connection, now: Instant) -> list[OpenWork]:
    """What is under way, by operation."""
    table = instance_actions
    overdue = func.sum(case((table.c.deadline_at < now, 1), else_=0))
    counted = (
        select(table.c.operation, func.count(), overdue, func.min(table.c.started_at))
        .where(table.c.finished_at.is_(None))
        .group_by(table.c.operation)
    )
    return [
        OpenWork(operation=operation, number=number, overdue=int(late or 0), oldest_at=Instant(oldest))
        for operation, number, late, oldest in connection.execute(counted)
    ]


def oldest_pending_at(connection: Connection) -> Instant | None:
    """When the oldest journal row that has no number yet occurred, None where all have one."""
    oldest: Instant | None = connection.scalar(select(func.min(journal.c.occurred_at)).where(journal.c.seq.is_(None)))
    return oldest


def count_conditions(connection: Connection) -> dict[tuple[str, str], tuple[int, Instant]]:
    """How many kept conditions of services are not as they should be, and since when, by type and reason."""
    bad = (
        select(conditions.c.type, conditions.c.reason, func.count(), func.min(conditions.c.since))
        .where(conditions.c.about == "service", conditions.c.status != str(Status.TRUE))
        .group_by(conditions.c.type, conditions.c.reason)
    )
    return {(type_, reason): (number, Instant(since)) for type_, reason, number, since in connection.execute(bad)}
