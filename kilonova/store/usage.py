"""Usage: segments, in which nothing that is billed changed; and what Nova's report says of servers (contract §5)."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
)

from kilonova.domain.errors import Invalid
from kilonova.domain.model import SECOND, Instance, Instant
from kilonova.domain.states import VmState
from kilonova.domain.usage import Billed, ProjectUsage, ServerUsage, Window, billed
from kilonova.store.database import Transaction
from kilonova.store.rows import tuples
from kilonova.store.schema import instances, usage_segments

_OPEN: Final = usage_segments.insert()
_IS_OPEN: Final = and_(usage_segments.c.instance_uuid == bindparam("of_instance"), usage_segments.c.ended_at.is_(None))
_CLOSE: Final = usage_segments.update().where(_IS_OPEN)
_BEGAN: Final = select(usage_segments.c.started_at).where(_IS_OPEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What was billed from ``started_at`` until ``ended_at``, which is None while it goes on."""

    id: int
    instance_uuid: str
    billed: Billed
    started_at: Instant
    ended_at: Instant | None


def record_usage(tx: Transaction, before: Instance | None, after: Instance, occurred_at: Instant) -> None:
    """Close the open segment and open another one, if what is billed changed.

    A clock that was set back makes a segment of no time, never one that is negative or overlaps the one before.
    """
    was, now = (None if before is None else billed(before)), billed(after)
    if was == now:
        return
    moment = occurred_at
    if was is not None:
        began = tx.connection.scalar(_BEGAN, {"of_instance": after.uuid})
        moment = max(occurred_at, began or occurred_at)
        tx.connection.execute(_CLOSE, {"of_instance": after.uuid, "ended_at": moment})
    if now is not None:
        values = {**now._asdict(), "vm_state": str(now.vm_state)}
        tx.connection.execute(_OPEN, {"instance_uuid": after.uuid, "started_at": moment, **values})


def list_segments(connection: Connection, instance_uuid: str) -> list[Segment]:
    """The segments of a server's life, oldest first; deleted servers keep theirs."""
    table = usage_segments
    statement = select(table).where(table.c.instance_uuid == instance_uuid).order_by(table.c.id)
    return [
        Segment(
            id=row.id,
            instance_uuid=row.instance_uuid,
            billed=Billed(
                project_id=row.project_id,
                flavor_name=row.flavor_name,
                vcpus=row.vcpus,
                memory_mb=row.memory_mb,
                disk_gb=row.disk_gb,
                vm_state=VmState(row.vm_state),
                host=row.host,
            ),
            started_at=row.started_at,
            ended_at=row.ended_at,
        )
        for row in connection.execute(statement)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """Which servers a usage report is about: those of a window, in the order of project and uuid.

    ``marker`` is the uuid of the server after which it starts; ``project_id`` None is for all projects.
    """

    window: Window
    limit: int
    project_id: str | None = None
    marker: str | None = None


def list_server_usages(connection: Connection, query: UsageQuery) -> list[ServerUsage]:
    """The servers of a report, each as such. Invalid for an unknown marker."""
    columns = [instances.c[name] for name in ServerUsage._fields]
    statement = select(*columns).where(*_selected(connection, query)).order_by(*_ORDER).limit(query.limit)
    return [ServerUsage._make(row) for row in tuples(connection, statement)]


def list_project_usages(connection: Connection, query: UsageQuery) -> list[ProjectUsage]:
    """The same servers added up by project, by the database; memory does not grow with their number.

    Invalid for an unknown marker. Sums of floating numbers are as exact as the order in which a database adds.
    """
    columns = instances.c
    chosen = (
        select(
            columns.project_id,
            columns.uuid,
            columns.vcpus,
            columns.memory_mb,
            (columns.root_gb + columns.ephemeral_gb).label("local_gb"),
            hours_within(query.window).label("hours"),
        )
        .where(*_selected(connection, query))
        .order_by(*_ORDER)
        .limit(query.limit)
        .subquery()
    )
    each = chosen.c
    statement = (
        select(
            each.project_id,
            func.count().label("count"),
            func.max(each.uuid).label("last_uuid"),
            func.sum(each.hours).label("hours"),
            func.sum(each.hours * each.local_gb).label("local_gb_hours"),
            func.sum(each.hours * each.memory_mb).label("memory_mb_hours"),
            func.sum(each.hours * each.vcpus).label("vcpu_hours"),
        )
        .group_by(each.project_id)
        .order_by(each.project_id)
    )
    return [ProjectUsage(**row) for row in connection.execute(statement).mappings()]


_ORDER: Final = (instances.c.project_id, instances.c.uuid)


def _selected(connection: Connection, query: UsageQuery) -> list[ColumnElement[bool]]:
    """``Window.selects`` in SQL, with what else the query names."""
    columns = instances.c
    found = [
        columns.launched_at < query.window.stop,
        or_(columns.terminated_at.is_(None), columns.terminated_at > query.window.start),
    ]
    if query.project_id is not None:
        found.append(columns.project_id == query.project_id)
    if query.marker is not None:
        found.append(_beyond(connection, query.marker))
    return found


def _beyond(connection: Connection, marker: str) -> ColumnElement[bool]:
    columns = instances.c
    project_id = connection.scalar(select(columns.project_id).where(columns.uuid == marker))
    if project_id is None:
        raise Invalid(f"Marker {marker} could not be found.")
    return or_(columns.project_id > project_id, and_(columns.project_id == project_id, columns.uuid > marker))


def hours_within(window: Window) -> ColumnElement[Any]:
    """``Window.hours`` in SQL, for servers that the window selects; by the same steps, hence to the last digit."""
    columns = instances.c
    start, stop = literal(window.start, BigInteger), literal(window.stop, BigInteger)
    begin = case((columns.launched_at > start, columns.launched_at), else_=start)
    end = case((columns.terminated_at < stop, columns.terminated_at), else_=stop)
    return cast(end - begin, Double) / float(SECOND) / 3600.0
