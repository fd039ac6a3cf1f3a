"""Limits hold when requests come at once: who counts what a project has, and then adds to it, does so alone."""

from typing import Any, Final

from sqlalchemy import select

from kilonova.store.database import Transaction
from kilonova.store.schema import project_locks


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
