"""The past: how servers stood at an earlier point, from the journal's snapshots.

A point is a number of the journal: everything up to it has happened, nothing beyond.
"""

from sqlalchemy import Connection, func, select

from kilonova.domain.journal import JournalRow
from kilonova.domain.model import Instant
from kilonova.store.journal import entries_of
from kilonova.store.schema import journal

_KIND = "instance"


def seq_at(connection: Connection, at: Instant) -> int:
    """The last number of what had happened by an instant, 0 where nothing is known from then."""
    return connection.scalar(select(func.max(journal.c.seq)).where(journal.c.occurred_at <= at)) or 0


def find_state(connection: Connection, uuid: str, *, seq: int) -> JournalRow | None:
    """The newest row of a server up to a point, None where none is known."""
    mine = select(journal).where(journal.c.kind == _KIND, journal.c.key == uuid, journal.c.seq <= seq)
    return next(iter(entries_of(connection, mine.order_by(journal.c.seq.desc()).limit(1))), None)


def list_states(
    connection: Connection, *, seq: int, marker: str, limit: int, project_id: str | None = None
) -> list[JournalRow]:
    """The newest row up to a point of each server that was told of by then, deleted ones too, by id.

    ``marker`` is the id to go on after, empty for the first page.
    """
    newest = select(func.max(journal.c.seq)).where(
        journal.c.kind == _KIND, journal.c.key > marker, journal.c.seq <= seq
    )
    if project_id is not None:
        newest = newest.where(journal.c.project_id == project_id)
    wanted = newest.group_by(journal.c.key).order_by(journal.c.key).limit(limit).subquery()
    statement = select(journal).join(wanted, journal.c.seq == wanted.c[0])
    return entries_of(connection, statement.order_by(journal.c.key))


def list_touched(
    connection: Connection, *, after_seq: int, to_seq: int, marker: str, limit: int, project_id: str | None = None
) -> list[str]:
    """The ids of the servers that something is told of between two points, in order, beyond a marker."""
    mine = select(journal.c.key).where(
        journal.c.kind == _KIND, journal.c.key > marker, journal.c.seq > after_seq, journal.c.seq <= to_seq
    )
    if project_id is not None:
        mine = mine.where(journal.c.project_id == project_id)
    return list(connection.scalars(mine.distinct().order_by(journal.c.key).limit(limit)))
