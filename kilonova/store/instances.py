"""Reading instances. They are written in ``changes.py`` and nowhere else."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.exc import DBAPIError

from kilonova.domain.errors import Invalid, NotFound
from kilonova.domain.model import Instance, Instant
from kilonova.domain.quota import Usage
from kilonova.domain.states import PowerState, TaskState, VmState
from kilonova.store.database import Transaction
from kilonova.store.patterns import is_pattern
from kilonova.store.rows import first_tuple, tuples
from kilonova.store.schema import instances

_VM: Final[Mapping[str, VmState]] = {str(state): state for state in VmState}
_TASK: Final[Mapping[str | None, TaskState | None]] = {None: None, **{str(state): state for state in TaskState}}
_POWER: Final[Mapping[int, PowerState]] = {int(state): state for state in PowerState}
_VM_AT, _TASK_AT, _POWER_AT = map(Instance._fields.index, ("vm_state", "task_state", "power_state"))
_BY_UUID: Final = f"SELECT {', '.join(Instance._fields)} FROM instances WHERE uuid = ?"  # noqa: S608  all constants
_NAME_LENGTH: Final = 255
_NEWEST_FIRST: Final = (("created_at", True), ("id", True))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectUse:
    """What the flavors of a project's servers on one host add up to. Memory in MiB, disk in GiB."""

    project_id: str
    vcpus: int
    memory_mb: int
    disk_gb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InZone:
    """Where a server must be to be in a zone: on one of these hosts, or (``is_default``) on any but these.

    One that has no host yet is in the zone that it was asked for.
    """

    name: str
    hosts: frozenset[str]
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceQuery:
    """Which instances, in which order, and from where on (contract §6.5).

    ``deleted`` is False for living ones, True for deleted ones, None for both. A soft-deleted one counts as deleted
    unless ``soft_deleted`` says otherwise: True adds it to the living ones, False takes it from the deleted ones.
    ``equals`` maps columns to a value (None: has none; a set: any of them). ``name`` is a regular expression, with
    SQLite a part of the name. ``sort`` has columns and whether they descend; no value counts as the least one.
    ``marker`` is the uuid of the last instance of the page before.
    """

    project_id: str | None = None
    host: str | None = None
    deleted: bool | None = False
    soft_deleted: bool | None = None
    vm_states: frozenset[VmState] | None = None
    task_states: frozenset[TaskState] | None = None
    locked: bool | None = None
    equals: Mapping[str, Any] = field(default_factory=dict)
    zone: InZone | None = None
    name: str | None = None
    changes_since: Instant | None = None
    changes_before: Instant | None = None
    sort: tuple[tuple[str, bool], ...] = _NEWEST_FIRST
    marker: str | None = None
    limit: int | None = None


def get_instance(connection: Connection, uuid: str, *, include_deleted: bool = False) -> Instance:
    """The instance with this uuid. Raises ``NotFound`` in Nova's words."""
    found = find_instance(connection, uuid, include_deleted=include_deleted)
    if found is None:
        raise NotFound(f"Instance {uuid} could not be found.")
    return found


def find_instance(connection: Connection, uuid: str, *, include_deleted: bool = False) -> Instance | None:
    """The instance with this uuid, or None."""
    row = first_tuple(connection, _BY_UUID, (uuid,))
    if row is None:
        return None
    found = instance_of(row)
    return None if found.is_deleted and not include_deleted else found


def lock_instance(tx: Transaction, uuid: str) -> Instance | None:
    """The instance with this uuid, which nobody else writes until the transaction ends; None if it is not there."""
    table = instances.c
    tx.connection.execute(select(table.id).where(table.uuid == uuid).with_for_update(key_share=True))
    return find_instance(tx.connection, uuid)


def list_instances(connection: Connection, query: InstanceQuery) -> list[Instance]:
    """The instances that the query selects.

    Pages follow one another without repeating or leaving out an instance, whatever is created or deleted meanwhile;
    one whose sort keys change meanwhile moves to where it then belongs.
    Raises ``Invalid`` for an unknown marker or column, or a name that is no regular expression.
    """
    order = _complete(query.sort)
    statement = select(instances).where(*_conditions(query, connection.dialect.name))
    if query.marker is not None:
        statement = statement.where(_beyond(connection, query, order))
    statement = statement.order_by(*(_key(name).desc() if down else _key(name).asc() for name, down in order))
    try:
        return [instance_of(row) for row in tuples(connection, _limited(statement, query.limit))]
    except DBAPIError as error:
        if query.name is not None and _is_bad_pattern(error):
            raise Invalid(f"Invalid input received: {query.name!r} is not a regular expression") from error
        raise


def count_by_host(connection: Connection) -> dict[str, int]:
    """How many instances that are not deleted each host has."""
    statement = select(instances.c.host, func.count().label("number")).where(
        instances.c.deleted_at.is_(None), instances.c.host.is_not(None)
    )
    return {row.host: row.number for row in connection.execute(statement.group_by(instances.c.host))}


def list_project_uses(connection: Connection, host: str) -> list[ProjectUse]:
    """Who has servers on a host, and how much they take, by project (contract §2.1)."""
    columns = instances.c
    sums = [func.sum(each) for each in (columns.vcpus, columns.memory_mb, columns.root_gb + columns.ephemeral_gb)]
    statement = (
        select(columns.project_id, *sums)
        .where(columns.host == host, columns.deleted_at.is_(None))
        .group_by(columns.project_id)
        .order_by(columns.project_id)
    )
    return [
        ProjectUse(project_id=project_id, vcpus=int(vcpus), memory_mb=int(memory_mb), disk_gb=int(disk_gb))
        for project_id, vcpus, memory_mb, disk_gb in connection.execute(statement)
    ]


def project_usage(connection: Connection, project_id: str, user_id: str | None = None) -> Usage:
    """What counts against a project's limits: all but deleted and soft-deleted servers (contract §4.2)."""
    columns = instances.c
    statement = select(func.count(), func.sum(columns.vcpus), func.sum(columns.memory_mb)).where(
        columns.project_id == project_id,
        columns.deleted_at.is_(None),
        columns.vm_state != str(VmState.SOFT_DELETED),
    )
    if user_id is not None:
        statement = statement.where(columns.user_id == user_id)
    count, cores, ram = connection.execute(statement).one()
    return Usage(instances=count, cores=int(cores or 0), ram=int(ram or 0))


def instance_of(row: tuple[Any, ...]) -> Instance:
    """The instance in a row of all columns of its table, in their order."""
    values = list(row)
    values[_VM_AT] = _VM[row[_VM_AT]]
    values[_TASK_AT] = _TASK[row[_TASK_AT]]
    values[_POWER_AT] = _POWER[row[_POWER_AT]]
    return Instance._make(values)


def _limited(statement: Select[Any], limit: int | None) -> Select[Any]:
    return statement if limit is None else statement.limit(limit)


def _conditions(query: InstanceQuery, dialect: str) -> list[ColumnElement[bool]]:
    columns = instances.c
    found = [*_life(query)]
    if query.project_id is not None:
        found.append(columns.project_id == query.project_id)
    if query.host is not None:
        found.append(columns.host == query.host)
    if query.vm_states is not None:
        found.append(_any_of(columns.vm_state, query.vm_states))
    if query.task_states is not None:
        found.append(_any_of(columns.task_state, query.task_states))
    if query.locked is not None:
        found.append(columns.locked_by.is_not(None) if query.locked else columns.locked_by.is_(None))
    if query.changes_since is not None:
        found.append(columns.updated_at >= query.changes_since)
    if query.changes_before is not None:
        found.append(columns.updated_at <= query.changes_before)
    if query.name is not None:
        found.append(_named(query.name, dialect))
    if query.zone is not None:
        found.append(_in_zone(query.zone))
    return found + [_equal(name, value) for name, value in query.equals.items()]


def _in_zone(zone: InZone) -> ColumnElement[bool]:
    host, wanted = instances.c.host, instances.c.availability_zone
    named = host.in_(sorted(zone.hosts))
    placed = and_(host.is_not(None), ~named) if zone.is_default else named
    return or_(placed, and_(host.is_(None), wanted == zone.name))


def _life(query: InstanceQuery) -> Iterable[ColumnElement[bool]]:
    is_living = instances.c.deleted_at.is_(None)
    is_soft = instances.c.vm_state == str(VmState.SOFT_DELETED)
    if query.deleted is None:
        return ()
    if query.deleted:
        return (~is_living,) if query.soft_deleted is False else (or_(~is_living, is_soft),)
    return (is_living,) if query.soft_deleted else (is_living, ~is_soft)


def _named(pattern: str, dialect: str) -> ColumnElement[bool]:
    """A name is looked for by regular expression; each database has its own idea of them (contract §6.5.3)."""
    if not _is_pattern(pattern, dialect):
        raise Invalid(f"Invalid input received: {pattern[:_NAME_LENGTH]!r} is not a regular expression")
    return instances.c.display_name.regexp_match(pattern)


def _is_pattern(text: str, dialect: str) -> bool:
    if dialect == "sqlite":
        return is_pattern(text)
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _is_bad_pattern(error: DBAPIError) -> bool:
    """PostgreSQL's 2201B, MariaDB's 1139: a pattern that Python takes and the database does not."""
    first = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return getattr(error.orig, "sqlstate", None) == "2201B" or first == 1139


def _equal(name: str, value: Any) -> ColumnElement[bool]:
    column = _column(name)
    if isinstance(value, (set, frozenset, list, tuple)):
        return _any_of(column, value)
    return column.is_(None) if value is None else column == value


def _any_of(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    wanted = sorted(str(value) if isinstance(value, str) else value for value in values)
    return column.in_(wanted) if wanted else false()


def _column(name: str) -> ColumnElement[Any]:
    if name not in instances.c:
        raise Invalid(f"Invalid input received: servers have no {name}")
    return instances.c[name]


def _complete(sort: tuple[tuple[str, bool], ...]) -> tuple[tuple[str, bool], ...]:
    """The order, made total by the id, which goes the way of the last key."""
    if any(name == "id" for name, _ in sort):
        return sort
    return (*sort, ("id", sort[-1][1] if sort else True))


def _key(name: str) -> ColumnElement[Any]:
    """What is sorted by: every database has its own idea of where no value belongs, so there is always one."""
    column = instances.c[name] if name in instances.c else _column(name)
    if not column.nullable:
        return column
    return func.coalesce(column, literal("" if column.type.python_type is str else -1, literal_execute=True))


def _beyond(connection: Connection, query: InstanceQuery, order: tuple[tuple[str, bool], ...]) -> ColumnElement[bool]:
    """The condition of coming after the marker: lexicographic, with a plain bound on the first key for the index."""
    keys = [_key(name) for name, _ in order]
    marker = select(*keys).where(instances.c.uuid == query.marker)
    if query.project_id is not None:
        marker = marker.where(instances.c.project_id == query.project_id)
    row = connection.execute(marker).first()
    if row is None:
        raise Invalid(f"marker [{query.marker}] not found")
    values: list[BindParameter[Any]] = [bindparam(None, value) for value in row]
    condition: ColumnElement[bool] = false()
    for key, value, (_, down) in reversed(list(zip(keys, values, order, strict=True))):
        condition = or_(key < value if down else key > value, and_(key == value, condition))
    first, value, down = keys[0], values[0], order[0][1]
    return and_(first <= value if down else first >= value, condition)
