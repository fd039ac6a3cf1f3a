"""Exact usage from segments: added up by the database, clipped to the window; memory does not grow with servers."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)

from kilonova.domain.exact_usage import DAY, NOTHING, Amount, Difference, ExactUsage, Promised, days_of
from kilonova.domain.model import SECOND, Instant
from kilonova.domain.states import VmState
from kilonova.domain.usage import Window
from kilonova.store.schema import instances, usage_segments
from kilonova.store.usage import hours_within

_SEGMENT: Final = usage_segments.c
_SERVER: Final = instances.c
_IDLE: Final = (VmState.STOPPED, VmState.SHELVED, VmState.SHELVED_OFFLOADED, VmState.SOFT_DELETED)
_COLUMNS: Final[dict[str, ColumnElement[Any]]] = {
    "project": _SEGMENT.project_id,
    "flavor": _SEGMENT.flavor_name,
    "state": _SEGMENT.vm_state,
}


def list_exact_usage(
    connection: Connection, window: Window, *, by: Sequence[str], project_id: str | None = None
) -> list[ExactUsage]:
    """What was used within the window, by groups of ``domain.exact_usage.GROUPS``, in their order.

    ``day`` is told as microseconds, its beginning in UTC. One query; a window of a year has 366 days at most.
    """
    days = _days(window) if "day" in by else None
    start, stop = _edges(window, days)
    columns = {**_COLUMNS, "day": literal(0) if days is None else days.c.begin}
    groups = [columns[name].label(name) for name in by]
    source: FromClause = usage_segments
    if days is not None:
        source = usage_segments.join(days, and_(_SEGMENT.started_at < stop, _not_ended_before(start)))
    statement = (
        select(*groups, func.count(func.distinct(_SEGMENT.instance_uuid)).label("servers"), *_sums(start, stop))
        .select_from(source)
        .where(*_within(window, project_id))
    )
    if groups:
        statement = statement.group_by(*(columns[name] for name in by)).order_by(*(columns[name] for name in by))
    return [
        ExactUsage(by={name: str(row[name]) for name in by}, servers=row["servers"], amount=_amount(row))
        for row in connection.execute(statement).mappings()
        if row["servers"]
    ]


def list_promised(connection: Connection, host: str, instants: Sequence[Instant]) -> list[Promised]:
    """What servers had of a host at each of the instants, in their order; at least one instant. One query."""
    at = union_all(*(select(literal(instant, BigInteger).label("moment")) for instant in instants)).subquery("instants")
    moment = at.c.moment
    statement = (
        select(
            moment,
            func.count().label("servers"),
            *(func.sum(_SEGMENT[name]).label(name) for name in ("vcpus", "memory_mb", "disk_gb")),
        )
        .select_from(usage_segments.join(at, and_(_SEGMENT.started_at <= moment, _not_ended_before(moment))))
        .where(_SEGMENT.host == host)
        .group_by(moment)
    )
    found = {row["moment"]: row for row in connection.execute(statement).mappings()}
    sizes = ("servers", "vcpus", "memory_mb", "disk_gb")
    return [Promised(**{name: int(found[at][name]) if at in found else 0 for name in sizes}) for at in instants]


def list_differences(connection: Connection, window: Window, *, project_id: str | None = None) -> list[Difference]:
    """Why Nova's figure of each project differs from the exact one, by project. One query over each of both."""
    nova = _nova(connection, window, project_id)
    exact: dict[str, dict[str, Amount]] = {}
    idle: dict[str, dict[str, Amount]] = {}
    for row in connection.execute(_explained(window, project_id)).mappings():
        project, state = row["project_id"], row["vm_state"]
        parts = exact.setdefault(project, {"exact": NOTHING, "before": NOTHING, "resized": NOTHING})
        for name in parts:
            parts[name] = _plus(parts[name], _amount(row, f"{name}_"))
        if state in _IDLE:
            idle.setdefault(project, {})[state] = _amount(row, "exact_")
    return [
        Difference(
            project_id=project,
            nova=nova.get(project, NOTHING),
            exact=exact.get(project, {}).get("exact", NOTHING),
            before_launch=exact.get(project, {}).get("before", NOTHING),
            resized=exact.get(project, {}).get("resized", NOTHING),
            idle=idle.get(project, {}),
        )
        for project in sorted({*nova, *exact})
    ]


def _days(window: Window) -> Any:
    rows = [select(literal(day, BigInteger).label("begin")) for day in days_of(window)]
    return union_all(*rows).subquery("days") if len(rows) > 1 else rows[0].subquery("days")


def _edges(window: Window, days: Any) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The window's edges, or the day's where they lie within it."""
    start, stop = literal(window.start, BigInteger), literal(window.stop, BigInteger)
    if days is None:
        return start, stop
    begin, end = days.c.begin, days.c.begin + DAY
    return case((begin > start, begin), else_=start), case((end < stop, end), else_=stop)


def _within(window: Window, project_id: str | None) -> list[ColumnElement[bool]]:
    found = [_SEGMENT.started_at < window.stop, _not_ended_before(literal(window.start, BigInteger))]
    return found if project_id is None else [*found, _SEGMENT.project_id == project_id]


def _not_ended_before(start: ColumnElement[Any]) -> ColumnElement[bool]:
    return or_(_SEGMENT.ended_at.is_(None), _SEGMENT.ended_at > start)


def _hours(start: ColumnElement[Any], stop: ColumnElement[Any]) -> ColumnElement[Any]:
    """The hours of a segment between two instants; never negative, whatever the clock did."""
    begin = case((_SEGMENT.started_at > start, _SEGMENT.started_at), else_=start)
    end = case((_SEGMENT.ended_at < stop, _SEGMENT.ended_at), else_=stop)
    return case((end > begin, cast(end - begin, Double) / float(SECOND) / 3600.0), else_=0.0)


def _sums(start: ColumnElement[Any], stop: ColumnElement[Any], prefix: str = "") -> list[ColumnElement[Any]]:
    hours = _hours(start, stop)
    sizes = (
        ("vcpu_hours", _SEGMENT.vcpus),
        ("memory_mb_hours", _SEGMENT.memory_mb),
        ("disk_gb_hours", _SEGMENT.disk_gb),
    )
    return [
        func.sum(hours).label(f"{prefix}hours"),
        *(func.sum(hours * size).label(f"{prefix}{name}") for name, size in sizes),
    ]


def _amount(row: Any, prefix: str = "") -> Amount:
    return Amount(
        **{name: row[f"{prefix}{name}"] or 0.0 for name in ("hours", "vcpu_hours", "memory_mb_hours", "disk_gb_hours")}
    )


def _plus(one: Amount, other: Amount) -> Amount:
    return one.minus(NOTHING.minus(other))


def _explained(window: Window, project_id: str | None) -> Any:
    """Exact amounts by project and state; of them those before the last launch; and what a later size adds."""
    start, stop = _edges(window, None)
    launched = func.coalesce(_SERVER.launched_at, stop)
    split = case((launched < stop, launched), else_=stop)
    since = case((launched > start, launched), else_=start)
    later = _hours(since, stop)
    growth = (
        ("hours", literal(0.0, Double)),
        ("vcpu_hours", _SERVER.vcpus - _SEGMENT.vcpus),
        ("memory_mb_hours", _SERVER.memory_mb - _SEGMENT.memory_mb),
        ("disk_gb_hours", _SERVER.root_gb + _SERVER.ephemeral_gb - _SEGMENT.disk_gb),
    )
    return (
        select(
            _SEGMENT.project_id,
            _SEGMENT.vm_state,
            *_sums(start, stop, "exact_"),
            *_sums(start, split, "before_"),
            *(func.sum(later * more).label(f"resized_{name}") for name, more in growth),
        )
        .select_from(usage_segments.join(instances, _SERVER.uuid == _SEGMENT.instance_uuid))
        .where(*_within(window, project_id))
        .group_by(_SEGMENT.project_id, _SEGMENT.vm_state)
    )


def _nova(connection: Connection, window: Window, project_id: str | None) -> dict[str, Amount]:
    """Nova's totals by project, of all servers and not of a page."""
    hours = hours_within(window)
    sizes = (
        ("vcpu_hours", _SERVER.vcpus),
        ("memory_mb_hours", _SERVER.memory_mb),
        ("disk_gb_hours", _SERVER.root_gb + _SERVER.ephemeral_gb),
    )
    statement = (
        select(
            _SERVER.project_id,
            func.sum(hours).label("hours"),
            *(func.sum(hours * size).label(name) for name, size in sizes),
        )
        .where(
            _SERVER.launched_at < window.stop,
            or_(_SERVER.terminated_at.is_(None), _SERVER.terminated_at > window.start),
            *(() if project_id is None else (_SERVER.project_id == project_id,)),
        )
        .group_by(_SERVER.project_id)
    )
    return {row["project_id"]: _amount(row) for row in connection.execute(statement).mappings()}
