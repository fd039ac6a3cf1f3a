"""The journal: what happened, in order. Rows are written with the change that they tell of, and numbered after it.

A row's ``id`` is given while its transaction runs, so ids can commit out of order and leave gaps. ``seq`` is given to
committed rows only, by one sequencer at a time, without gaps: who has seen ``seq`` n has seen all up to n. Rows of
one object are never reordered, as its writers wait for one another before they write theirs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, TypedDict, Unpack

from sqlalchemy import Connection, and_, func, or_, select

from kilonova.domain.changes import Cause, Phase
from kilonova.domain.model import Instant, Request
from kilonova.store.database import Database, Transaction
from kilonova.store.schema import instances, journal, journal_head

_INSERT: Final = journal.insert()
_NOTHING: Final = "{}"
_MOMENTS: Final = ("decision",)
"""Kinds that are no objects: each row stands for itself."""
NOT_TOLD: Final = frozenset({"user_data"})
"""What no snapshot of an instance has: it is large, and may have secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row: what happened to the object ``key`` of this ``kind``, and on whose behalf.

    ``snapshot_json`` is the whole object after it; ``previous_json`` has the former values of the fields that
    changed, None for a new object; ``facts_json`` what belongs to the moment only (host, event, fault, traceback).
    ``user_id`` and ``caller_project_id`` are the caller's, ``project_id`` the object's. ``seq`` is None until it was
    sequenced.
    """

    id: int
    seq: int | None
    kind: str
    key: str
    project_id: str | None
    operation: str | None
    phase: Phase | None
    cause: Cause
    request_id: str | None
    user_id: str | None
    caller_project_id: str | None
    received_at: Instant | None
    occurred_at: Instant
    snapshot_json: str
    previous_json: str | None
    facts_json: str

    @property
    def snapshot(self) -> dict[str, Any]:
        """The object as it stood after this."""
        return json.loads(self.snapshot_json)  # type: ignore[no-any-return]

    @property
    def previous(self) -> dict[str, Any] | None:
        """The former values of what changed, None for a new object."""
        return None if self.previous_json is None else json.loads(self.previous_json)

    @property
    def facts(self) -> dict[str, Any]:
        """What belongs to the moment only."""
        return json.loads(self.facts_json)  # type: ignore[no-any-return]


class Telling(TypedDict, total=False):
    """What a row may tell beyond the object itself; fields of ``Entry``."""

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
    phase, previous = telling.get("phase"), telling.get("previous")
    request, facts = telling.get("request"), telling.get("facts")
    row = {
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
    tx.connection.execute(_INSERT, row)
    tx.journalled()


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
            connection.execute(journal_head.update().values(seq=last + len(ids)))
        return len(ids)

    return database.run(work)


def list_entries(
    connection: Connection,
    *,
    after_seq: int,
    limit: int,
    kind: str | None = None,
    key: str | None = None,
    project_id: str | None = None,
) -> list[Entry]:
    """The rows beyond ``after_seq`` in the order of ``seq``, of one kind, one object or one project if wanted."""
    statement = select(journal).where(journal.c.seq > after_seq)
    for column, wanted in ((journal.c.kind, kind), (journal.c.key, key), (journal.c.project_id, project_id)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    rows = connection.execute(statement.order_by(journal.c.seq).limit(limit)).mappings()
    return [_entry(row) for row in rows]


def prune(database: Database, *, before: Instant, limit: int = 500) -> int:
    """Remove up to ``limit`` rows of what happened before an instant, oldest first; returns how many.

    The newest row of every living object stays, so that there is always something that says how it came to be what it
    is. Rows without a number stay too. Numbers are never given again: who reads from the start begins at the oldest
    row that is left.
    """
    newer = journal.alias()
    has_newer = select(newer.c.id).where(
        newer.c.kind == journal.c.kind, newer.c.key == journal.c.key, newer.c.seq > journal.c.seq
    )
    is_deleted = select(instances.c.id).where(instances.c.uuid == journal.c.key, instances.c.deleted_at.is_not(None))
    is_over = or_(journal.c.operation == "delete", journal.c.kind.in_(_MOMENTS))
    old = (
        select(journal.c.id)
        .where(
            journal.c.occurred_at < before,
            journal.c.seq.is_not(None),
            or_(
                has_newer.exists(),
                and_(journal.c.kind != "instance", is_over),
                and_(journal.c.kind == "instance", is_deleted.exists()),
            ),
        )
        .order_by(journal.c.occurred_at)
        .limit(limit)
    )

    def work(tx: Transaction) -> int:
        ids = tx.connection.scalars(old).all()
        if ids:
            tx.connection.execute(journal.delete().where(journal.c.id.in_(ids)))
        return len(ids)

    return database.run(work)


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


def _entry(row: Mapping[Any, Any]) -> Entry:
    values: dict[str, Any] = dict(row)
    values["cause"] = Cause(values["cause"])
    values["phase"] = None if values["phase"] is None else Phase(values["phase"])
    return Entry(**values)


def _dumps(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
