"""Faults beyond the newest one of a server: by the operation that they ended, grouped by cause, and kept in bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select

from kilonova.domain.model import Fault, Instant
from kilonova.store.database import Database, Transaction
from kilonova.store.schema import instance_faults as faults
from kilonova.store.schema import instances

_BATCH: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultGroup:
    """All faults of one cause: how many, of how many servers, on which hosts how often, and from when to when."""

    cause: str
    count: int
    servers: int
    hosts: Mapping[str, int]
    first_seen_at: Instant
    last_seen_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """A fault with the server and the action that it belongs to.

    ``is_attempt`` says that the operation was tried on another host after it, however that ended.
    """

    instance_uuid: str
    project_id: str
    action_id: int | None
    fault: Fault
    is_attempt: bool = False


def group_faults(
    connection: Connection, *, project_id: str | None = None, since: Instant | None = None, attempts: bool = True
) -> list[FaultGroup]:
    """The faults that are kept, by their causes, the most frequent first; of one project's servers if wanted.

    Without ``attempts`` those that are no server's own are left out.
    """
    conditions = _conditions(project_id, since, attempts=attempts)
    by_cause = (
        select(
            faults.c.cause,
            func.count().label("number"),
            func.count(faults.c.instance_uuid.distinct()).label("servers"),
            func.min(faults.c.created_at).label("first_seen"),
            func.max(faults.c.created_at).label("last_seen"),
        )
        .where(*conditions)
        .group_by(faults.c.cause)
    )
    by_host = select(faults.c.cause, faults.c.host, func.count().label("number")).where(
        *conditions, faults.c.host.is_not(None)
    )
    hosts: dict[str, dict[str, int]] = {}
    for row in connection.execute(by_host.group_by(faults.c.cause, faults.c.host).order_by(faults.c.host)):
        hosts.setdefault(row.cause, {})[row.host] = row.number
    found = [
        FaultGroup(
            cause=row.cause,
            count=row.number,
            servers=row.servers,
            hosts=hosts.get(row.cause, {}),
            first_seen_at=row.first_seen,
            last_seen_at=row.last_seen,
        )
        for row in connection.execute(by_cause)
    ]
    return sorted(found, key=lambda group: (-group.count, group.cause))


def list_faults(
    connection: Connection,
    *,
    project_id: str | None = None,
    instance_uuid: str | None = None,
    cause: str | None = None,
    attempts: bool = True,
    limit: int,
) -> list[FaultRow]:
    """The faults that are kept, newest first; of one project, server or cause if wanted, ``attempts`` as above."""
    statement = (
        select(faults, instances.c.project_id)
        .join(instances, instances.c.uuid == faults.c.instance_uuid)
        .order_by(faults.c.id.desc())
        .limit(limit)
    )
    wanted = ((instances.c.project_id, project_id), (faults.c.instance_uuid, instance_uuid), (faults.c.cause, cause))
    statement = statement.where(*(column == value for column, value in wanted if value is not None))
    if not attempts:
        statement = statement.where(~faults.c.is_attempt)
    return [_row(row) for row in connection.execute(statement).mappings()]


def prune_faults(database: Database, *, most: int) -> bool:
    """Keep the newest ``most`` faults of each server, for some servers that have more; True if any had."""
    crowded = select(faults.c.instance_uuid).group_by(faults.c.instance_uuid).having(func.count() > most).limit(_BATCH)

    def work(tx: Transaction) -> bool:
        uuids = tx.connection.scalars(crowded).all()
        for uuid in uuids:
            mine = select(faults.c.id).where(faults.c.instance_uuid == uuid).order_by(faults.c.id.desc())
            old = tx.connection.scalars(mine.offset(most)).all()
            tx.connection.execute(faults.delete().where(faults.c.id.in_(old)))
        return bool(uuids)

    return database.run(work)


def _conditions(project_id: str | None, since: Instant | None, *, attempts: bool) -> list[Any]:
    found: list[Any] = [] if attempts else [~faults.c.is_attempt]
    if project_id is not None:
        mine = select(instances.c.uuid).where(instances.c.project_id == project_id)
        found.append(faults.c.instance_uuid.in_(mine))
    if since is not None:
        found.append(faults.c.created_at >= since)
    return found


def _row(row: Mapping[Any, Any]) -> FaultRow:
    fault = Fault(**{name: row[name] for name in Fault.__slots__})
    return FaultRow(
        instance_uuid=row["instance_uuid"],
        project_id=row["project_id"],
        action_id=row["action_id"],
        fault=fault,
        is_attempt=bool(row["is_attempt"]),
    )
