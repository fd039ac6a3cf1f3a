"""Records of migrations: written by the steps of workflows, in the transactions of their changes (contract §11.4)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from kilonova.domain.errors import Invalid
from kilonova.domain.migrations import AWAITING, OVER, Migration, MigrationType
from kilonova.domain.model import Instant, Request
from kilonova.store.database import Transaction
from kilonova.store.rows import many, one
from kilonova.store.schema import migrations


class MigrationValues(TypedDict, total=False):
    """What is known of a migration; fields of ``Migration``."""

    status: str
    source_compute: str | None
    source_node: str | None
    dest_compute: str | None
    dest_node: str | None
    dest_host: str | None
    old_flavor_json: str | None
    new_flavor_json: str | None
    memory_total_bytes: int | None
    memory_processed_bytes: int | None
    memory_remaining_bytes: int | None
    disk_total_bytes: int | None
    disk_processed_bytes: int | None
    disk_remaining_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationQuery:
    """What is listed: filters (None for all), a page, and the order. ``host`` is either end."""

    instance_uuid: str | None = None
    host: str | None = None
    source_compute: str | None = None
    status: str | None = None
    migration_type: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    hidden: bool | None = False
    statuses: Collection[str] | None = None
    changes_since: Instant | None = None
    changes_before: Instant | None = None
    newest_first: bool = True
    marker: str | None = None
    limit: int | None = None


def add_migration(
    tx: Transaction,
    *,
    instance_uuid: str,
    action_id: int,
    kind: MigrationType,
    request: Request,
    now: Instant,
    **values: Unpack[MigrationValues],
) -> Migration:
    """Record that a server is going to move; ``status`` is where that begins."""
    row = {
        "uuid": str(uuid4()),
        "instance_uuid": instance_uuid,
        "action_id": action_id,
        "migration_type": str(kind),
        "hidden": False,
        "user_id": request.user_id,
        "project_id": request.project_id,
        "created_at": now,
        **values,
    }
    key = tx.connection.execute(migrations.insert().values(**row)).inserted_primary_key
    if not key:
        raise RuntimeError("the database gave the new migration no id")
    return get_migration(tx.connection, int(key[0]))


def change_migration(tx: Transaction, migration_id: int, *, now: Instant, **values: Unpack[MigrationValues]) -> None:
    """Record how far a migration is."""
    mine = migrations.c.id == migration_id
    tx.connection.execute(migrations.update().where(mine).values(**values, updated_at=now))


def end_migrations(tx: Transaction, instance_uuid: str, *, now: Instant, status: str = "error") -> None:
    """Record that whatever move of this server was begun, or waits for its confirmation, comes to nothing."""
    table = migrations.c
    mine = (table.instance_uuid == instance_uuid, table.status.not_in(OVER))
    tx.connection.execute(migrations.update().where(*mine).values(status=status, updated_at=now))


def complete_evacuations(tx: Transaction, host: str, instance_uuids: Collection[str], *, now: Instant) -> None:
    """Record that a host that is back removes what these servers left there when they were evacuated from it."""
    mine = (migrations.c.instance_uuid.in_(list(instance_uuids)), *_evacuated_from(host))
    tx.connection.execute(migrations.update().where(*mine).values(status="completed", updated_at=now))


def has_left_guests(connection: Connection, host: str) -> bool:
    """Whether servers were evacuated from the host whose guests it has not removed yet."""
    return connection.scalar(select(migrations.c.id).where(*_evacuated_from(host)).limit(1)) is not None


def list_left_guests(connection: Connection, host: str) -> set[str]:
    """The servers that were evacuated from the host, as long as it has not said that their guests are gone."""
    return set(connection.scalars(select(migrations.c.instance_uuid).where(*_evacuated_from(host))))


def _evacuated_from(host: str) -> tuple[ColumnElement[bool], ...]:
    table = migrations.c
    return table.source_compute == host, table.migration_type == "evacuation", table.status == "done"


def get_migration(connection: Connection, migration_id: int) -> Migration:
    """The migration of this number; it must be there."""
    found = find_migration(connection, migration_id)
    if found is None:
        raise RuntimeError(f"migration {migration_id} is not there")
    return found


def find_migration(connection: Connection, migration_id: int) -> Migration | None:
    """The migration of this number, or None."""
    return one(connection, Migration, select(migrations).where(migrations.c.id == migration_id))


def find_newest(connection: Connection, instance_uuid: str, *, status: str) -> Migration | None:
    """The newest migration of a server in this status, or None."""
    table = migrations.c
    mine = select(migrations).where(table.instance_uuid == instance_uuid, table.status == status)
    return one(connection, Migration, mine.order_by(table.id.desc()).limit(1))


def list_migrations(connection: Connection, query: MigrationQuery) -> list[Migration]:
    """The migrations that a query selects. Raises ``Invalid``, in Nova's words, for an unknown marker."""
    table = migrations.c
    statement = select(migrations).where(*_conditions(query))
    if query.marker is not None:
        statement = statement.where(_beyond(connection, query.marker))
    order = (table.created_at.desc(), table.id.desc()) if query.newest_first else (table.id,)
    return many(connection, Migration, statement.order_by(*order).limit(query.limit))


def list_awaiting(connection: Connection, *, until: Instant, limit: int) -> list[Migration]:
    """Resizes that have waited for their confirmation since an instant or longer, the longest first."""
    table = migrations.c
    waiting = select(migrations).where(table.status == AWAITING, table.updated_at <= until)
    return many(connection, Migration, waiting.order_by(table.updated_at, table.id).limit(limit))


def _conditions(query: MigrationQuery) -> list[ColumnElement[bool]]:
    table = migrations.c
    named = ("instance_uuid", "source_compute", "status", "migration_type", "user_id", "project_id", "hidden")
    found: list[ColumnElement[bool]] = [
        table[name] == value for name in named if (value := getattr(query, name)) is not None
    ]
    if query.host is not None:
        found.append(or_(table.source_compute == query.host, table.dest_compute == query.host))
    if query.statuses is not None:
        found.append(table.status.in_(list(query.statuses)))
    if query.changes_since is not None:
        found.append(_changed() >= query.changes_since)
    if query.changes_before is not None:
        found.append(_changed() <= query.changes_before)
    return found


def _changed() -> ColumnElement[Any]:
    """When it last changed: the moment of its making, where nothing happened since."""
    return func.coalesce(migrations.c.updated_at, migrations.c.created_at)


def _beyond(connection: Connection, marker: str) -> ColumnElement[bool]:
    table = migrations.c
    last = one(connection, Migration, select(migrations).where(table.uuid == marker))
    if last is None:
        raise Invalid(f"Marker {marker} could not be found.")
    older = table.created_at < last.created_at
    return or_(older, and_(table.created_at == last.created_at, table.id < last.id))
