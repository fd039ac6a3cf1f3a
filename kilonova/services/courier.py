"""A courier: carries the journal to one sink, row by row in order, and notes how far it is.

It reads rows beyond the sink's cursor, has them put into words, hands them to the sink, and moves the cursor once the
sink has them for certain. Killed in between, the same rows are told again, with the same message ids; nothing is ever
left out unsaid.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Protocol
from uuid import UUID, uuid5

import msgspec

from kilonova.domain.journal import JournalRow
from kilonova.domain.model import Clock, Instant, after
from kilonova.notifications import Message
from kilonova.sinks import Parcel, Sink, Undelivered
from kilonova.store import deliveries, journal, sinks
from kilonova.store.database import Database, Transaction
from kilonova.store.deliveries import Attempt
from kilonova.store.sinks import Missed, SinkRecord

_log = logging.getLogger(__name__)
_MOST_ROWS: Final = 1500
_LEAST_ROWS: Final = 20
_MOST_AGAIN: Final = 500
_LONGEST_BACKOFF_SECONDS: Final = 60.0
_GAPS: Final = UUID("3d1b7a52-6f0e-5f6a-9a45-2d4c7a1be0f4")

Render = Callable[[JournalRow, str], Sequence[Message]]
"""Puts a row into words, in the format that a sink wants (empty for the general setting)."""


class OpensSinks(Protocol):
    """Makes sinks from their settings; ``sinks.kinds.SinkKinds`` is one."""

    def opened(self, name: str, kind: str, settings: dict[str, Any]) -> Sink:
        """The sink."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Depot:
    """What all couriers of a process share. ``owner`` is what they hold leases as."""

    database: Database
    clock: Clock
    render: Render
    kinds: OpensSinks
    owner: str
    lease_seconds: float = 30.0

    @property
    def delivery_seconds(self) -> float:
        """Half a lease: a delivery that does not come to its end is given up before somebody else can begin it."""
        return self.lease_seconds / 2


@dataclass(slots=True)
class _Load:
    """What is delivered of some rows, and what of them cannot be told: it grows while the sink takes it."""

    to_seq: int
    parcels: list[Parcel]
    missed: list[Missed]


class Courier:
    """Carries to the sink with this id."""

    def __init__(self, depot: Depot, sink_id: int) -> None:
        self._depot = depot
        self._id = sink_id
        self._sink: Sink | None = None
        self._opened_for: tuple[str, str] | None = None
        self._is_troubled = False
        self._rows = _MOST_ROWS
        """How many are tried at a time: halved by each failure, so that a sink which is slow is not flooded with
        repeats, and doubled by each success."""

    def step(self) -> bool:
        """Carry a batch; True if there may be more to do at once."""
        record = self._due()
        if record is None:
            return False
        leased = self._leased(record)
        if leased is None:
            return False
        sink = self._opened(leased)
        return self._carry_again(leased, sink) or self._carry(leased, sink)

    def close(self) -> None:
        """Let go of the sink's connections and files."""
        if self._sink is not None:
            self._sink.close()
        self._sink = self._opened_for = None

    def _leased(self, record: SinkRecord) -> SinkRecord | None:
        """The sink, ours for long enough; None where it is somebody else's. What is ours is not written again."""
        now, owner = self._depot.clock(), self._depot.owner
        if record.lease_owner == owner and (record.lease_until or 0) > after(now, self._depot.lease_seconds * 2 / 3):
            return record
        with self._depot.database.transaction() as tx:
            return sinks.lease_sink(tx, self._id, owner=owner, now=now, until=after(now, self._depot.lease_seconds))

    def _due(self) -> SinkRecord | None:
        """The sink as it stands, if there is something to do for it now."""
        with self._depot.database.read() as connection:
            record = sinks.find_sink(connection, self._id)
            if record is None or record.is_paused:
                self.close()
                return None
            is_behind = journal.head(connection) > record.cursor_seq
            if not is_behind and deliveries.next_wanted(connection, self._id) is None:
                if self._sink is not None:
                    self._sink.idle()
                return None
        return record if record.retry_at is None or record.retry_at <= self._depot.clock() else None

    def _opened(self, record: SinkRecord) -> Sink:
        wanted = (record.kind, record.settings_json)
        if self._sink is None or self._opened_for != wanted:
            self.close()
            self._sink = self._depot.kinds.opened(record.name, record.kind, record.settings)
            self._opened_for = wanted
        return self._sink

    def _carry(self, record: SinkRecord, sink: Sink) -> bool:
        load = _Load(to_seq=record.cursor_seq, parcels=[], missed=[])
        loading = self._fill(load, record, sink)
        began, trouble, answer = self._depot.clock(), None, ""
        try:
            first = next(loading, None)
            if first is not None:
                answer = sink.deliver(chain((first,), loading), timeout_seconds=self._depot.delivery_seconds)
        except Undelivered as error:
            trouble, answer = error, error.reason
        to_seq, told = load.to_seq, len(load.parcels)
        if to_seq == record.cursor_seq and trouble is None:
            return False
        if trouble is not None:
            # Rows are told whole or again: up to before the one whose message is the first that is not certain.
            told = trouble.confirmed
            to_seq = max(record.cursor_seq, load.parcels[told].seq - 1) if told < len(load.parcels) else load.to_seq
        with self._depot.database.transaction() as tx:
            if not self._advance(tx, record, load, to_seq, told):
                return True  # moved or taken over meanwhile: look again
            if sink.keeps_log and load.parcels:
                attempt = self._attempt(began, answer, len(load.parcels), is_delivered=trouble is None)
                deliveries.note_attempt(tx, self._id, attempt, after_seq=record.cursor_seq, to_seq=load.to_seq)
            if trouble is not None:
                self._note(tx, record, trouble)
        self._tell(record, trouble)
        self._rows = min(_MOST_ROWS, self._rows * 2) if trouble is None else max(_LEAST_ROWS, self._rows // 2)
        return trouble is None

    def _advance(self, tx: Transaction, record: SinkRecord, load: _Load, to_seq: int, told: int) -> bool:
        now = self._depot.clock()
        until = after(now, self._depot.lease_seconds)
        if not sinks.advance_sink(tx, record, to_seq=to_seq, messages=told, now=now, until=until):
            return False
        for missed in load.missed:
            if missed.to_seq <= to_seq:
                sinks.add_gap(tx, self._id, missed, now=now)
        return True

    def _carry_again(self, record: SinkRecord, sink: Sink) -> bool:
        """Deliver what an operator wants to have delivered once more; False where there is nothing of that kind."""
        with self._depot.database.read() as connection:
            wanted = deliveries.next_wanted(connection, self._id)
            if wanted is None:
                return False
            rows = journal.list_entries(connection, after_seq=wanted.after_seq, limit=_MOST_AGAIN)
        parcels = [parcel for row in rows if (row.seq or 0) <= wanted.to_seq for parcel in self._told(row, record, [])]
        began, trouble, answer = self._depot.clock(), None, "nothing is left of it"
        try:
            for begin in range(0, len(parcels), sink.most_parcels):
                batch = parcels[begin : begin + sink.most_parcels]
                answer = sink.deliver(batch, timeout_seconds=self._depot.delivery_seconds)
        except Undelivered as error:
            trouble, answer = error, error.reason
        with self._depot.database.transaction() as tx:
            attempt = self._attempt(began, answer, len(parcels), is_delivered=trouble is None)
            deliveries.note_wanted(tx, wanted, attempt)
            if trouble is not None:
                self._note(tx, record, trouble)
        return True

    def _fill(self, load: _Load, record: SinkRecord, sink: Sink) -> Iterator[Parcel]:
        """What comes next: rows in words, as many as the sink takes, and what of them is no longer there.

        A row stands in the load as a whole before its first parcel is handed out.
        """
        most = self._rows
        with self._depot.database.read() as connection:
            head = journal.head(connection)
            rows = journal.list_entries(connection, after_seq=record.cursor_seq, limit=most)
        is_all = len(rows) < most
        for row in rows:
            seq = row.seq or 0
            yield from self._mind_gap(load, sink, before=seq)
            parcels = self._told(row, record, load.missed)
            if load.parcels and len(load.parcels) + len(parcels) > sink.most_parcels:
                return
            load.parcels += parcels
            load.to_seq = seq
            yield from parcels
        if is_all and head > load.to_seq:
            yield from self._mind_gap(load, sink, before=head + 1)
            load.to_seq = head

    def _mind_gap(self, load: _Load, sink: Sink, *, before: int) -> Sequence[Parcel]:
        """Numbers have no gaps: what is not there was forgotten."""
        missing = before - load.to_seq - 1
        if missing <= 0:
            return ()
        gap = {"after": load.to_seq, "to": before - 1, "missing": missing}
        load.missed.append(
            Missed(after_seq=load.to_seq, to_seq=before - 1, missing=missing, reason="forgotten before it was told")
        )
        told = []
        if sink.takes_gaps:
            message_id = str(uuid5(_GAPS, f"{self._id}:{load.to_seq}:{before}"))
            body = msgspec.json.encode({"gap": gap})
            told = [Parcel(seq=before - 1, routing_key="", message_id=message_id, body=body)]
        load.parcels += told
        load.to_seq = before - 1
        return told

    def _told(self, row: JournalRow, record: SinkRecord, missed: list[Missed]) -> list[Parcel]:
        """The row in words. One that cannot be put into words is passed over, and said to be missing."""
        seq = row.seq or 0
        try:
            return [
                Parcel(
                    seq=seq,
                    routing_key=each.routing_key,
                    message_id=each.message_id,
                    body=each.encoded,
                )
                for each in self._depot.render(row, str(record.settings.get("format", "")))
            ]
        except Exception as error:  # noqa: BLE001  one row that nobody foresaw must not keep back all others for ever
            _log.exception("row %d of the journal cannot be put into words", seq)
            reason = f"could not be put into words: {type(error).__name__}: {error}"
            missed.append(Missed(after_seq=seq - 1, to_seq=seq, missing=1, reason=reason[:1000]))
            return []

    def _attempt(self, began: Instant, answer: str, messages: int, *, is_delivered: bool) -> Attempt:
        took = max(0, self._depot.clock() - began)
        return Attempt(is_delivered=is_delivered, answer=answer, messages=messages, at=began, took_micros=took)

    def _note(self, tx: Transaction, record: SinkRecord, trouble: Undelivered) -> None:
        now = self._depot.clock()
        seconds = min(_LONGEST_BACKOFF_SECONDS, 0.5 * 2 ** min(record.failures, 10))
        sinks.note_failure(tx, record, error=trouble.reason, now=now, retry_at=after(now, seconds))

    def _tell(self, record: SinkRecord, trouble: Undelivered | None) -> None:
        """First failure and recovery are logged, not every retry."""
        if trouble is not None and not self._is_troubled:
            _log.warning("sink %s: %s; it is retried until it works", record.name, trouble.reason)
        elif trouble is None and self._is_troubled:
            _log.info("sink %s works again", record.name)
        self._is_troubled = trouble is not None
