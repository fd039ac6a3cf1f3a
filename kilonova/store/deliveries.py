"""The log of deliveries: what a sink was sent and what it answered, and what operators want to have sent once more."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from kilonova.domain.errors import NotFound
from kilonova.domain.model import Instant
from kilonova.store.database import Transaction
from kilonova.store.rows import many, one
from kilonova.store.schema_feed import deliveries

WAITING: Final = "waiting"
DELIVERED: Final = "delivered"
FAILED: Final = "failed"
_MOST_KEPT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The rows beyond ``after_seq`` up to ``to_seq`` on their way to a sink.

    ``state`` is ``waiting``, ``delivered`` or ``failed``; ``answer`` what the sink said, or why it could not be
    reached. ``is_again`` marks what an operator asked to have sent once more.
    """

    id: int
    sink_id: int
    after_seq: int
    to_seq: int
    messages: int
    state: str
    is_again: bool
    attempts: int
    answer: str | None
    made_at: Instant
    attempted_at: Instant | None
    took_micros: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one attempt went."""

    is_delivered: bool
    answer: str
    messages: int
    at: Instant
    took_micros: int


def want_again(tx: Transaction, sink_id: int, *, after_seq: int, to_seq: int, now: Instant) -> int:
    """Have rows sent once more, whatever the cursor is; returns the delivery's id."""
    values = {
        "sink_id": sink_id,
        "after_seq": after_seq,
        "to_seq": to_seq,
        "messages": 0,
        "state": WAITING,
        "is_again": True,
        "attempts": 0,
        "made_at": now,
    }
    key = tx.connection.execute(insert(deliveries), values).inserted_primary_key
    if not key:
        raise RuntimeError("the database gave the new delivery no id")
    return int(key[0])


def next_wanted(connection: Connection, sink_id: int) -> Delivery | None:
    """The oldest delivery that waits to be sent once more."""
    waiting = select(deliveries).where(deliveries.c.sink_id == sink_id, deliveries.c.state == WAITING)
    return one(connection, Delivery, waiting.order_by(deliveries.c.id).limit(1))


def note_attempt(tx: Transaction, sink_id: int, attempt: Attempt, *, after_seq: int, to_seq: int) -> None:
    """Keep how sending went: attempts at the same rows one after another are one entry of the log."""
    mine = select(deliveries).where(deliveries.c.sink_id == sink_id, deliveries.c.is_again.is_(False))
    last = one(tx.connection, Delivery, mine.order_by(deliveries.c.id.desc()).limit(1))
    values = _outcome(attempt)
    if last is not None and last.state == FAILED and last.after_seq == after_seq:
        again = update(deliveries).where(deliveries.c.id == last.id)
        tx.connection.execute(again.values(to_seq=to_seq, attempts=last.attempts + 1, **values))
        return
    new = {"sink_id": sink_id, "after_seq": after_seq, "to_seq": to_seq, "attempts": 1, "made_at": attempt.at}
    tx.connection.execute(insert(deliveries), {**new, **values})
    _keep_few(tx, sink_id)


def note_wanted(tx: Transaction, wanted: Delivery, attempt: Attempt) -> None:
    """Keep how sending once more went. A failed one keeps waiting."""
    values = {**_outcome(attempt), "attempts": wanted.attempts + 1}
    if not attempt.is_delivered:
        values["state"] = WAITING
    tx.connection.execute(update(deliveries).where(deliveries.c.id == wanted.id).values(**values))


def list_deliveries(connection: Connection, sink_id: int, *, limit: int = 100) -> list[Delivery]:
    """The log of a sink, newest first."""
    mine = select(deliveries).where(deliveries.c.sink_id == sink_id)
    return many(connection, Delivery, mine.order_by(deliveries.c.id.desc()).limit(limit))


def get_delivery(connection: Connection, sink_id: int, id: int) -> Delivery:
    """One entry of a sink's log, or NotFound."""
    found = one(connection, Delivery, select(deliveries).where(deliveries.c.id == id, deliveries.c.sink_id == sink_id))
    if found is None:
        raise NotFound(f"There is no delivery {id} of this sink.")
    return found


def _outcome(attempt: Attempt) -> dict[str, object]:
    return {
        "state": DELIVERED if attempt.is_delivered else FAILED,
        "answer": attempt.answer,
        "messages": attempt.messages,
        "attempted_at": attempt.at,
        "took_micros": attempt.took_micros,
    }


def _keep_few(tx: Transaction, sink_id: int) -> None:
    done = select(deliveries.c.id).where(deliveries.c.sink_id == sink_id, deliveries.c.state != WAITING)
    oldest = tx.connection.scalar(done.order_by(deliveries.c.id.desc()).offset(_MOST_KEPT).limit(1))
    if oldest is not None:
        old = delete(deliveries).where(deliveries.c.sink_id == sink_id, deliveries.c.id <= oldest)
        tx.connection.execute(old.where(deliveries.c.state != WAITING))
