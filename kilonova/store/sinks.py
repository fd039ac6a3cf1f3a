"""Sinks of the feed: who is told what is in the journal, and how far each of them is.

A sink's cursor is the last number up to which everything was confirmed. Only who holds the sink's lease moves it, and
only from where it was read: so two relays never both believe that they carry on, and a rewind is never overwritten.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from kilonova.domain.errors import Conflict, NotFound
from kilonova.domain.model import Instant
from kilonova.store.database import Transaction
from kilonova.store.rows import many, one
from kilonova.store.schema_feed import deliveries, sink_gaps, sinks

_MOST_GAPS: Final = 1000
_NO_TROUBLE: Final[Mapping[str, Any]] = {"failures": 0, "last_error": None, "failed_at": None, "retry_at": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkRecord:
    """One sink. ``cursor_seq`` is the last number up to which all was confirmed.

    ``origin`` is ``settings`` for one that the settings declare, else ``operator``. ``failures`` are those in a row,
    the last of which was at ``failed_at`` for ``last_error``; nothing is tried before ``retry_at``. ``delivered``
    counts the messages that were confirmed, the last at ``delivered_at``.
    """

    id: int
    name: str
    kind: str
    settings_json: str
    origin: str
    cursor_seq: int
    is_paused: bool
    failures: int
    last_error: str | None
    failed_at: Instant | None
    retry_at: Instant | None
    delivered: int
    delivered_at: Instant | None
    lease_owner: str | None
    lease_until: Instant | None
    created_at: Instant

    @property
    def settings(self) -> dict[str, Any]:
        """What its kind needs to know: addresses, formats, secrets."""
        return json.loads(self.settings_json)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What a sink was not told: ``missing`` rows beyond ``after_seq`` up to ``to_seq``, and why."""

    id: int
    sink_id: int
    after_seq: int
    to_seq: int
    missing: int
    reason: str
    noted_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSink:
    """A sink to be made; see ``SinkRecord``."""

    name: str
    kind: str
    settings: Mapping[str, Any]
    cursor_seq: int
    origin: str = "operator"


def add_sink(tx: Transaction, new: NewSink, *, now: Instant) -> SinkRecord:
    """Make a sink. Conflict where the name is taken."""
    values = {
        "name": new.name,
        "kind": new.kind,
        "settings_json": json.dumps(new.settings),
        "origin": new.origin,
        "cursor_seq": new.cursor_seq,
        "created_at": now,
    }
    if tx.connection.scalar(select(sinks.c.id).where(sinks.c.name == new.name)) is not None:
        raise Conflict(f"There is a sink {new.name} already.")
    try:
        tx.connection.execute(insert(sinks), values)
    except IntegrityError as error:
        raise Conflict(f"There is a sink {new.name} already.") from error
    return get_sink(tx.connection, new.name)


def get_sink(connection: Connection, name: str) -> SinkRecord:
    """The sink of this name, or NotFound."""
    found = one(connection, SinkRecord, select(sinks).where(sinks.c.name == name))
    if found is None:
        raise NotFound(f"There is no sink {name}.")
    return found


def find_sink(connection: Connection, id: int) -> SinkRecord | None:
    """The sink with this id, None once it was deleted."""
    return one(connection, SinkRecord, select(sinks).where(sinks.c.id == id))


def list_sinks(connection: Connection) -> list[SinkRecord]:
    """Every sink, by name."""
    return many(connection, SinkRecord, select(sinks).order_by(sinks.c.name))


def delete_sink(tx: Transaction, name: str) -> None:
    """Remove a sink with what is known of it. NotFound where there is none."""
    found = get_sink(tx.connection, name)
    for table in (sink_gaps, deliveries):
        tx.connection.execute(delete(table).where(table.c.sink_id == found.id))
    tx.connection.execute(delete(sinks).where(sinks.c.id == found.id))


def configure_sink(tx: Transaction, name: str, *, kind: str, settings: Mapping[str, Any]) -> None:
    """Have a sink work by other settings from now on; its cursor stays."""
    tx.connection.execute(
        update(sinks).where(sinks.c.name == name).values(kind=kind, settings_json=json.dumps(settings), **_NO_TROUBLE)
    )


def pause_sink(tx: Transaction, name: str, *, is_paused: bool) -> SinkRecord:
    """Have a sink wait, or go on at once whatever failed before; NotFound where there is none."""
    get_sink(tx.connection, name)
    tx.connection.execute(update(sinks).where(sinks.c.name == name).values(is_paused=is_paused, **_NO_TROUBLE))
    return get_sink(tx.connection, name)


def move_sink(tx: Transaction, name: str, *, to_seq: int) -> SinkRecord:
    """Put a sink's cursor somewhere else, and have it go on from there at once; NotFound where there is none."""
    get_sink(tx.connection, name)
    tx.connection.execute(update(sinks).where(sinks.c.name == name).values(cursor_seq=to_seq, **_NO_TROUBLE))
    return get_sink(tx.connection, name)


def lease_sink(tx: Transaction, id: int, *, owner: str, now: Instant, until: Instant) -> SinkRecord | None:
    """The sink as it stands, now the owner's until then; None where it is paused, gone, or somebody else's."""
    free = or_(sinks.c.lease_owner.is_(None), sinks.c.lease_owner == owner, sinks.c.lease_until <= now)
    leased = update(sinks).where(sinks.c.id == id, sinks.c.is_paused.is_(False), free)
    if tx.connection.execute(leased.values(lease_owner=owner, lease_until=until)).rowcount != 1:
        return None
    return find_sink(tx.connection, id)


def release_sinks(tx: Transaction, *, owner: str) -> None:
    """Let go of all leases of an owner who stops."""
    mine = update(sinks).where(sinks.c.lease_owner == owner)
    tx.connection.execute(mine.values(lease_owner=None, lease_until=None))


def advance_sink(tx: Transaction, it: SinkRecord, *, to_seq: int, messages: int, now: Instant, until: Instant) -> bool:
    """Note that everything up to ``to_seq`` was confirmed, and hold the lease on until then.

    False, and nothing is noted, where the lease is no longer this record's owner's, or the cursor was moved meanwhile.
    """
    mine = update(sinks).where(
        sinks.c.id == it.id, sinks.c.lease_owner == it.lease_owner, sinks.c.cursor_seq == it.cursor_seq
    )
    values: dict[str, Any] = {"cursor_seq": to_seq, "lease_until": until, **_NO_TROUBLE}
    if messages:
        values |= {"delivered": sinks.c.delivered + messages, "delivered_at": now}
    return tx.connection.execute(mine.values(**values)).rowcount == 1


def note_failure(tx: Transaction, it: SinkRecord, *, error: str, now: Instant, retry_at: Instant) -> None:
    """Keep why a delivery failed, and when to try again; unless the sink is somebody else's by now."""
    mine = update(sinks).where(sinks.c.id == it.id, sinks.c.lease_owner == it.lease_owner)
    tx.connection.execute(
        mine.values(failures=sinks.c.failures + 1, last_error=error, failed_at=now, retry_at=retry_at)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """So many rows beyond ``after_seq`` up to ``to_seq`` that a sink cannot be told of, and why."""

    after_seq: int
    to_seq: int
    missing: int
    reason: str


def add_gap(tx: Transaction, id: int, missed: Missed, *, now: Instant) -> None:
    """Keep that a sink was not told of some rows. The latest thousand gaps of a sink are kept."""
    tx.connection.execute(insert(sink_gaps), {"sink_id": id, **asdict(missed), "noted_at": now})
    newest = select(sink_gaps.c.id).where(sink_gaps.c.sink_id == id).order_by(sink_gaps.c.id.desc())
    oldest = tx.connection.scalar(newest.offset(_MOST_GAPS).limit(1))
    if oldest is not None:
        tx.connection.execute(delete(sink_gaps).where(sink_gaps.c.sink_id == id, sink_gaps.c.id <= oldest))


def list_gaps(connection: Connection, id: int, *, limit: int = 100) -> list[Gap]:
    """What a sink was not told, newest first."""
    mine = select(sink_gaps).where(sink_gaps.c.sink_id == id)
    return many(connection, Gap, mine.order_by(sink_gaps.c.id.desc()).limit(limit))


def count_missing(connection: Connection) -> dict[int, int]:
    """How many rows each sink was not told, by the sink's id; sinks that miss none are left out."""
    total = select(sink_gaps.c.sink_id, func.sum(sink_gaps.c.missing)).group_by(sink_gaps.c.sink_id)
    return {id_: int(missing) for id_, missing in connection.execute(total)}


def lowest_cursor(connection: Connection) -> int | None:
    """The cursor of the sink that is the farthest behind, None where there is no sink."""
    found: int | None = connection.scalar(select(func.min(sinks.c.cursor_seq)))
    return found
