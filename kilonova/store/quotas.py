"""What projects, users and classes may have where it is not what the settings say; and that limits hold.

Limits hold when requests come at once: who counts what a project has, and then adds to it, does so alone.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Table, func, null, select, union_all

from kilonova.domain.model import Request
from kilonova.domain.quota import UNLIMITED, Limits
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.schema import project_locks
from kilonova.store.schema_quota import quota_class_limits, quota_limits

DEFAULT_CLASS: Final = "default"
"""The only class whose limits hold: for all projects without limits of their own (contract §4.4)."""

_PROJECT: Final = ""
_limits: Final = quota_limits.c
_classes: Final = quota_class_limits.c


def get_limits(
    connection: Connection, defaults: Mapping[str, int], project_id: str, user_id: str | None = None
) -> Limits:
    """What a project may have and what a user of it may: theirs, else the project's, the class's, or ``defaults``."""
    of_class = select(null().label("user_id"), _classes.resource, _classes.hard_limit).where(
        _classes.class_name == DEFAULT_CLASS
    )
    own = select(_limits.user_id, _limits.resource, _limits.hard_limit).where(
        _limits.project_id == project_id, _limits.user_id.in_({_PROJECT, user_id or _PROJECT})
    )
    found: dict[str | None, dict[str, int]] = {}
    for owner, resource, limit in connection.execute(union_all(of_class, own)):
        found.setdefault(owner, {})[resource] = limit
    project = {**defaults, **found.get(None, {}), **found.get(_PROJECT, {})}
    theirs = found.get(user_id) if user_id else None
    return Limits(project=project, user={**project, **theirs} if theirs else None)


def get_class_limits(connection: Connection, defaults: Mapping[str, int], name: str) -> dict[str, int]:
    """The limits of a class: what was set of it, and ``defaults``; a class that nobody knows has those alone."""
    statement = select(_classes.resource, _classes.hard_limit).where(_classes.class_name == name)
    return {**defaults, **{row.resource: row.hard_limit for row in connection.execute(statement)}}


def sum_user_limits(connection: Connection, project_id: str) -> dict[str, int]:
    """How much of each resource a project has handed to single users; who has no limit is not counted."""
    statement = (
        select(_limits.resource, func.sum(_limits.hard_limit))
        .where(_limits.project_id == project_id, _limits.user_id != _PROJECT, _limits.hard_limit != UNLIMITED)
        .group_by(_limits.resource)
    )
    return {resource: int(total) for resource, total in connection.execute(statement)}


def set_limits(
    tx: Transaction, project_id: str, limits: Mapping[str, int], *, request: Request, user_id: str | None = None
) -> None:
    """Give a project, or a user in it, limits by resource; what is not named stays. Lock the project before."""
    key = {"project_id": project_id, "user_id": user_id or _PROJECT}
    _replace(tx, quota_limits, key, limits)
    _announce(tx, "update", project_id, request, {**key, "limits": dict(limits)})


def remove_limits(tx: Transaction, project_id: str, *, request: Request, user_id: str | None = None) -> None:
    """Take back the limits of a project and of all its users, or those of one user; there may be none."""
    lock_project(tx, project_id)
    gone = quota_limits.delete().where(_limits.project_id == project_id)
    tx.connection.execute(gone if user_id is None else gone.where(_limits.user_id == user_id))
    _announce(tx, "delete", project_id, request, {"project_id": project_id, "user_id": user_id or _PROJECT})


def set_class_limits(tx: Transaction, name: str, limits: Mapping[str, int], *, request: Request) -> None:
    """Give a class limits by resource; what is not named stays."""
    lock_project(tx, name)  # no project, but its limits are as much written by one at a time
    _replace(tx, quota_class_limits, {"class_name": name}, limits)
    snapshot = {"class_name": name, "limits": dict(limits)}
    journal.append(
        tx,
        kind="quota_class",
        key=name,
        operation="update",
        request=request,
        occurred_at=request.received_at,
        snapshot=snapshot,
    )


def _replace(tx: Transaction, table: Table, key: Mapping[str, str], limits: Mapping[str, int]) -> None:
    if not limits:
        return
    former = [table.c[name] == value for name, value in key.items()]
    tx.connection.execute(table.delete().where(*former, table.c.resource.in_(list(limits))))
    rows = [{**key, "resource": resource, "hard_limit": limit} for resource, limit in limits.items()]
    tx.connection.execute(table.insert(), rows)


def _announce(tx: Transaction, operation: str, project_id: str, request: Request, snapshot: dict[str, Any]) -> None:
    journal.append(
        tx,
        kind="quota",
        key=project_id,
        project_id=project_id,
        operation=operation,
        request=request,
        occurred_at=request.received_at,
        snapshot=snapshot,
    )


def lock_project(tx: Transaction, project_id: str) -> None:
    """Wait for other transactions that hold this project, then hold it until this one ends.

    Take it before anything is counted, and before any other row is locked. With SQLite it is held already: there is
    one writer.
    """
    dialect = tx.connection.dialect.name
    if dialect == "sqlite":
        return
    mine = select(project_locks.c.project_id).where(project_locks.c.project_id == project_id).with_for_update()
    if tx.connection.scalar(mine) is None:
        tx.connection.execute(_INSERTS[dialect](project_id))
        tx.connection.execute(mine)


def _insert_on_postgresql(project_id: str) -> Any:
    from sqlalchemy.dialects.postgresql import insert

    return insert(project_locks).values(project_id=project_id).on_conflict_do_nothing()


def _insert_on_mariadb(project_id: str) -> Any:
    """As an update of the row that is there: that takes its exclusive lock, and two who insert cannot deadlock."""
    from sqlalchemy.dialects.mysql import insert

    return insert(project_locks).values(project_id=project_id).on_duplicate_key_update(project_id=project_id)


_INSERTS: Final = {
    "postgresql": _insert_on_postgresql,
    "mysql": _insert_on_mariadb,
    "mariadb": _insert_on_mariadb,
}
