"""What the journal forgets: what is old, or what is beyond its size, a batch at a time, oldest first.

The newest row of every living object stays, so that there is always something that says how it came to be what it is.
Rows without a number stay too. Numbers are never given again, and the newest one that was forgotten is kept: whoever
reads from before it can be told that rows are missing.
"""

from typing import Any, Final

from sqlalchemy import Select, and_, func, or_, select

from kilonova.domain.model import Instant
from kilonova.store.database import Database, Transaction
from kilonova.store.journal import size_of
from kilonova.store.schema import instances, journal, journal_head

_MOMENTS: Final = ("decision", "exists", "audit")
"""Kinds that are no objects: each row stands for itself."""


def forget(database: Database, *, before: Instant | None, up_to_seq: int | None = None, limit: int = 500) -> int:
    """Remove up to ``limit`` rows, oldest first; returns how many.

    Only what happened before ``before`` (None: whenever) and has a number up to ``up_to_seq`` (None: any) goes.
    """
    old = _forgettable(before, up_to_seq).limit(limit)

    def work(tx: Transaction) -> int:
        # The head first, as the sequencer does: they follow one another.
        tx.connection.execute(select(journal_head.c.seq).with_for_update())
        ids = tx.connection.scalars(old).all()
        if ids:
            _remove(tx, list(ids))
        return len(ids)

    return database.run(work)


def _forgettable(before: Instant | None, up_to_seq: int | None) -> Select[Any]:
    newer = journal.alias()
    has_newer = select(newer.c.id).where(
        newer.c.kind == journal.c.kind, newer.c.key == journal.c.key, newer.c.seq > journal.c.seq
    )
    is_deleted = select(instances.c.id).where(instances.c.uuid == journal.c.key, instances.c.deleted_at.is_not(None))
    is_over = or_(journal.c.operation == "delete", journal.c.kind.in_(_MOMENTS))
    may_go = or_(
        has_newer.exists(),
        and_(journal.c.kind != "instance", is_over),
        and_(journal.c.kind == "instance", is_deleted.exists()),
    )
    bounds = [journal.c.seq.is_not(None) if up_to_seq is None else journal.c.seq <= up_to_seq]
    if before is None:
        return select(journal.c.id).where(*bounds, may_go).order_by(journal.c.seq)
    old = journal.c.occurred_at < before
    return select(journal.c.id).where(old, *bounds, may_go).order_by(journal.c.occurred_at)


def _remove(tx: Transaction, ids: list[int]) -> None:
    connection, doomed = tx.connection, journal.c.id.in_(ids)
    rows, size = connection.execute(size_of(doomed)).one()
    newest, newest_at = connection.execute(
        select(func.max(journal.c.seq), func.max(journal.c.occurred_at)).where(doomed)
    ).one()
    connection.execute(journal.delete().where(doomed))
    known = connection.execute(select(journal_head.c.forgotten_seq, journal_head.c.forgotten_at)).one()
    connection.execute(
        journal_head.update().values(
            row_count=journal_head.c.row_count - rows,
            byte_count=journal_head.c.byte_count - size,
            forgotten_seq=max(newest, known.forgotten_seq),
            forgotten_at=max(newest_at, known.forgotten_at or 0),
        )
    )
