"""The journal: what happened, in order. Rows are written with the change that they tell of, and numbered after it.

A row's ``id`` is given while its transaction runs, so ids can commit out of order and leave gaps. ``seq`` is given to
committed rows only, by one sequencer at a time, without gaps: who has seen ``seq`` n has seen all up to n. Rows of
one object are never reordered, as its writers wait for one another before they write theirs.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple, TypedDict, Unpack

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from kilonova.domain.changes import Cause, Phase
from kilonova.domain.journal import JournalRow
from kilonova.domain.model import Instant, Request
from kilonova.store.database import Database, Transaction
from kilonova.store.schema import journal, journal_head

_INSERT: Final = journal.insert()
_NOTHING: Final = "{}"
NOT_TOLD: Final = frozenset({"user_data"})
"""What no snapshot of an instance has: it is large, and may have secrets."""


class Telling(TypedDict, total=False):
    """What a row may tell beyond the object itself; fields of ``JournalRow``."""

    previous: Mapping[str, Any] | None
    project_id: str | None
    operation: str | None
    phase: Phase | None
    cause: Cause
    request: Request | None
    facts: Mapping[str, Any]


def append(
    tx: Transaction,
    *,
    kind: str,
    key: str,
    occurred_at: Instant,
    snapshot: Mapping[str, Any] | bytes,
    **telling: Unpack[Telling],
) -> None:
    """Write one row. Write the object itself first, so that the order of rows is the order of writes."""
    row = row_of(kind=kind, key=key, occurred_at=occurred_at, snapshot=snapshot, **telling)
    tx.connection.execute(_INSERT, row)
    tx.journalled()


def append_rows(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write many rows, each made by ``row_of``, in one statement."""
    if rows:
        tx.connection.execute(_INSERT, [dict(row) for row in rows])
        tx.journalled()


def row_of(
    *, kind: str, key: str, occurred_at: Instant, snapshot: Mapping[str, Any] | bytes, **telling: Unpack[Telling]
) -> dict[str, Any]:
    """A row that is not written yet."""
    phase, previous = telling.get("phase"), telling.get("previous")
    request, facts = telling.get("request"), telling.get("facts")
    if request is not None and request.context_json is not None:
        facts = {**(facts or {}), "context": json.loads(request.context_json)}
    return {
        "kind": kind,
        "key": key,
        "project_id": telling.get("project_id"),
        "operation": telling.get("operation"),
        "phase": None if phase is None else str(phase),
        "cause": str(telling.get("cause", Cause.REQUESTED)),
        "request_id": request and request.request_id,
        "user_id": request and request.user_id,
        "caller_project_id": request and request.project_id,
        "received_at": request and request.received_at,
        "occurred_at": occurred_at,
        "snapshot_json": snapshot.decode() if isinstance(snapshot, bytes) else _dumps(snapshot),
        "previous_json": None if previous is None else _dumps(previous),
        "facts_json": _dumps(facts) if facts else _NOTHING,
    }


def sequence(database: Database, limit: int = 1000) -> int:
    """Give the oldest committed rows without a ``seq`` the next numbers; returns how many there were.

    Safe to call from several processes at once: they follow one another.
    """
    if not _has_pending(database):
        return 0

    def work(tx: Transaction) -> int:
        connection = tx.connection
        last = connection.scalar(select(journal_head.c.seq).with_for_update()) or 0
        pending = select(journal.c.id).where(journal.c.seq.is_(None)).order_by(journal.c.id).limit(limit)
        ids = connection.scalars(pending).all()
        _number(connection, ids, last)
        if ids:
            rows, size = connection.execute(size_of(journal.c.seq > last)).one()
            counted = {"row_count": journal_head.c.row_count + rows, "byte_count": journal_head.c.byte_count + size}
            connection.execute(journal_head.update().values(seq=last + len(ids), **counted))
        return len(ids)

    return database.run(work)


class Topic(NamedTuple):
    """What rows are about: a kind, or only one operation on it, or only one phase of that."""

    kind: str
    operation: str | None = None
    phase: str | None = None


class Among(TypedDict, total=False):
    """Which rows are meant: of one kind or of several, of one object, one project, one request, of some topics."""

    kind: str | None
    kinds: Collection[str] | None
    key: str | None
    project_id: str | None
    request_id: str | None
    topics: Sequence[Topic]


def list_entries(connection: Connection, *, after_seq: int, limit: int, **among: Unpack[Among]) -> list[JournalRow]:
    """The rows beyond ``after_seq`` in the order of ``seq``, all of them or those that are meant."""
    statement = select(journal).where(journal.c.seq > after_seq, *_conditions(among))
    return entries_of(connection, statement.order_by(journal.c.seq).limit(limit))


def list_latest(connection: Connection, *, before_seq: int, limit: int, **among: Unpack[Among]) -> list[JournalRow]:
    """The last rows before ``before_seq`` in the order of ``seq``, of all of them or of those that are meant."""
    statement = select(journal).where(journal.c.seq < before_seq, *_conditions(among))
    return entries_of(connection, statement.order_by(journal.c.seq.desc()).limit(limit))[::-1]


def entries_of(connection: Connection, statement: Select[Any]) -> list[JournalRow]:
    """What a selection of whole rows finds. For the store alone."""
    return [_entry(row) for row in connection.execute(statement)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much the journal holds of what it was told.

    ``head`` is the last number given; ``rows`` and ``bytes`` are what is numbered and still there, documents only.
    ``forgotten_seq`` and ``forgotten_at`` are the newest that was forgotten, 0 and None for nothing: up to there rows
    may be missing, and none beyond.
    """

    head: int
    rows: int
    bytes: int
    forgotten_seq: int
    forgotten_at: Instant | None


def extent(connection: Connection) -> Extent:
    """How much there is, in one look."""
    row = connection.execute(select(journal_head)).one()
    return Extent(
        head=row.seq,
        rows=row.row_count,
        bytes=row.byte_count,
        forgotten_seq=row.forgotten_seq,
        forgotten_at=row.forgotten_at,
    )


def oldest_at(connection: Connection, *, after_seq: int = 0) -> Instant | None:
    """When the oldest numbered row beyond a number occurred, None where there is none."""
    first = select(journal.c.occurred_at).where(journal.c.seq > after_seq).order_by(journal.c.seq).limit(1)
    return connection.scalar(first)


def count_between(connection: Connection, after_seq: int, to_seq: int) -> int:
    """How many rows there are beyond a number up to another one."""
    return connection.scalar(select(func.count()).where(journal.c.seq > after_seq, journal.c.seq <= to_seq)) or 0


def size_of(rows: ColumnElement[bool]) -> Select[Any]:
    """The number of such rows and the length of their documents. For the store alone."""
    documents = (journal.c.snapshot_json, func.coalesce(journal.c.previous_json, ""), journal.c.facts_json)
    length = sum((func.length(each) for each in documents[1:]), func.length(documents[0]))
    return select(func.count(), func.coalesce(func.sum(length), 0)).where(rows)


def head(connection: Connection) -> int:
    """The last number given, 0 for none."""
    return connection.scalar(select(journal_head.c.seq)) or 0


def pending(connection: Connection) -> int:
    """How many committed rows have no number yet."""
    return connection.scalar(select(func.count()).where(journal.c.seq.is_(None))) or 0


def _has_pending(database: Database) -> bool:
    """Asked without a lock, for mostly there is nothing to do."""
    with database.read() as connection:
        return connection.scalar(select(journal.c.id).where(journal.c.seq.is_(None)).limit(1)) is not None


def _number(connection: Connection, ids: Sequence[int], last: int) -> None:
    """One statement for each stretch of ids without a gap, as within it ``seq`` and ``id`` differ by the same."""
    numbered = enumerate(ids, start=last + 1)
    for offset, stretch in groupby(numbered, key=lambda pair: pair[0] - pair[1]):
        members = [id_ for _, id_ in stretch]
        connection.execute(
            journal.update().where(journal.c.id.between(members[0], members[-1])).values(seq=journal.c.id + offset)
        )


def _conditions(among: Among) -> list[ColumnElement[bool]]:
    columns = ((journal.c.kind, "kind"), (journal.c.key, "key"), (journal.c.project_id, "project_id"))
    wanted = [(column, among[name]) for column, name in columns if among.get(name) is not None]  # type: ignore[literal-required]
    request_id, kinds, topics = among.get("request_id"), among.get("kinds"), among.get("topics")
    if request_id is None:
        found = [column == value for column, value in wanted]
    else:
        # A request has few rows. SQLite would rather look through all of its project's, were their index of any use.
        found = [journal.c.request_id == request_id, *(column.concat("") == value for column, value in wanted)]
    if kinds is not None:
        found.append(journal.c.kind.in_(list(kinds)))
    if topics:
        found.append(or_(*(_is_about(topic) for topic in topics)))
    return found


def _is_about(topic: Topic) -> ColumnElement[bool]:
    parts = zip((journal.c.kind, journal.c.operation, journal.c.phase), topic, strict=True)
    return and_(*(column == part for column, part in parts if part is not None))


def _entry(row: Row[Any]) -> JournalRow:
    values: dict[str, Any] = row._asdict()
    values["cause"] = Cause(values["cause"])
    values["phase"] = None if values["phase"] is None else Phase(values["phase"])
    return JournalRow(**values)


def _dumps(document: Mapping[str, Any]) -> str:
    return msgspec.json.encode(document).decode()
