"""The feed as operators handle it: which sinks there are, how far each is, and what they want of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from kilonova.domain.errors import Conflict, Invalid
from kilonova.domain.model import Clock
from kilonova.store import deliveries, journal, sinks
from kilonova.store.database import Connection, Database
from kilonova.store.deliveries import Delivery
from kilonova.store.sinks import Gap, NewSink, SinkRecord

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_MOST_AGAIN: Final = 500
FROM_SETTINGS: Final = "settings"


class KnowsKinds(Protocol):
    """What there is to know of the kinds of sinks; ``sinks.kinds.SinkKinds`` does."""

    def checked(self, kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """All settings of a sink; Invalid where they make no sense."""
        ...

    def shown(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings without their secrets."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkState:
    """A sink with how it stands: ``lag`` is what it is behind, in rows and in seconds since the oldest of them.

    ``state`` is ``paused``, ``failing``, ``behind`` or ``current``. ``missing`` counts the rows that it will never be
    told of. ``settings`` have no secrets.
    """

    record: SinkRecord
    state: str
    lag_rows: int
    lag_seconds: float
    missing: int
    settings: Mapping[str, Any]


class Feed:
    """What can be done with sinks; ``look_again`` is called after every change."""

    def __init__(self, database: Database, clock: Clock, kinds: KnowsKinds, *, look_again: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._kinds = kinds
        self._look_again = look_again

    def list_sinks(self) -> list[SinkState]:
        """Every sink, by name."""
        with self._database.read() as connection:
            missing = sinks.count_missing(connection)
            return [self._state(connection, each, missing.get(each.id, 0)) for each in sinks.list_sinks(connection)]

    def get_sink(self, name: str) -> SinkState:
        """One sink, or NotFound."""
        with self._database.read() as connection:
            record = sinks.get_sink(connection, name)
            return self._state(connection, record, sinks.count_missing(connection).get(record.id, 0))

    def list_gaps(self, name: str) -> Sequence[Gap]:
        """What a sink was not told, newest first."""
        with self._database.read() as connection:
            return sinks.list_gaps(connection, sinks.get_sink(connection, name).id)

    def list_deliveries(self, name: str) -> Sequence[Delivery]:
        """The latest deliveries of a sink that keeps a log of them, newest first."""
        with self._database.read() as connection:
            return deliveries.list_deliveries(connection, sinks.get_sink(connection, name).id)

    def add(self, name: str, kind: str, settings: Mapping[str, Any], *, after_seq: int | None = None) -> SinkState:
        """A new sink, told of everything beyond ``after_seq``, from now on where that is None.

        Invalid for a kind or settings that make no sense, Conflict where the name is taken.
        """
        if not _NAME.match(name):
            raise Invalid("A sink's name has letters in lower case, digits, - and _ only, 63 at most.")
        checked = self._kinds.checked(kind, settings)
        with self._database.transaction() as tx:
            cursor = self._bounded(tx.connection, after_seq)
            sinks.add_sink(tx, NewSink(name=name, kind=kind, settings=checked, cursor_seq=cursor), now=self._clock())
        return self._changed(name)

    def ensure(self, name: str, kind: str, settings: Mapping[str, Any], *, after_seq: int | None) -> None:
        """The sink that the settings of the process declare: made, or brought in line with them."""
        checked = self._kinds.checked(kind, settings)
        with self._database.transaction() as tx:
            known = {each.name: each for each in sinks.list_sinks(tx.connection)}.get(name)
            if known is None:
                cursor = self._bounded(tx.connection, after_seq)
                new = NewSink(name=name, kind=kind, settings=checked, cursor_seq=cursor, origin=FROM_SETTINGS)
                sinks.add_sink(tx, new, now=self._clock())
            elif (known.kind, known.settings) != (kind, checked):
                sinks.configure_sink(tx, name, kind=kind, settings=checked)

    def withdraw(self, name: str) -> None:
        """Pause a sink that the settings no longer declare; its place is kept."""
        with self._database.transaction() as tx:
            known = {each.name: each for each in sinks.list_sinks(tx.connection)}.get(name)
            if known is not None and known.origin == FROM_SETTINGS and not known.is_paused:
                sinks.pause_sink(tx, name, is_paused=True)

    def pause(self, name: str, *, is_paused: bool) -> SinkState:
        """Have a sink wait, or go on."""
        with self._database.transaction() as tx:
            sinks.pause_sink(tx, name, is_paused=is_paused)
        return self._changed(name)

    def rewind(self, name: str, *, to_seq: int) -> SinkState:
        """Have a sink told everything beyond a number, once more or for the first time. Invalid beyond the head."""
        with self._database.transaction() as tx:
            if not 0 <= to_seq <= journal.head(tx.connection):
                raise Invalid(f"The journal goes from 0 to {journal.head(tx.connection)}.")
            sinks.move_sink(tx, name, to_seq=to_seq)
        return self._changed(name)

    def send_again(self, name: str, *, after_seq: int, to_seq: int) -> int:
        """Have some rows sent once more without moving the sink's place; the delivery's id."""
        if not 0 <= after_seq < to_seq <= after_seq + _MOST_AGAIN:
            raise Invalid(f"Say which rows to send again, {_MOST_AGAIN} at most: after and to.")
        with self._database.transaction() as tx:
            record = sinks.get_sink(tx.connection, name)
            if to_seq > journal.head(tx.connection):
                raise Invalid("The journal does not go so far.")
            wanted = deliveries.want_again(tx, record.id, after_seq=after_seq, to_seq=to_seq, now=self._clock())
        self._look_again()
        return wanted

    def delete(self, name: str) -> None:
        """Remove a sink. Conflict for one that the settings declare: it would be back at the next start."""
        with self._database.transaction() as tx:
            if sinks.get_sink(tx.connection, name).origin == FROM_SETTINGS:
                raise Conflict(f"The sink {name} is declared by the settings; pause it, or take it out there.")
            sinks.delete_sink(tx, name)
        self._look_again()

    def _changed(self, name: str) -> SinkState:
        self._look_again()
        return self.get_sink(name)

    def _bounded(self, connection: Connection, after_seq: int | None) -> int:
        head = journal.head(connection)
        return head if after_seq is None else max(0, min(after_seq, head))

    def _state(self, connection: Connection, record: SinkRecord, missing: int) -> SinkState:
        lag = max(0, journal.head(connection) - record.cursor_seq)
        oldest = journal.oldest_at(connection, after_seq=record.cursor_seq) if lag else None
        seconds = 0.0 if oldest is None else max(0, self._clock() - oldest) / 1e6
        return SinkState(
            record=record,
            state=_state_of(record, lag),
            lag_rows=lag,
            lag_seconds=seconds,
            missing=missing,
            settings=self._kinds.shown(record.settings),
        )


def _state_of(record: SinkRecord, lag: int) -> str:
    if record.is_paused:
        return "paused"
    if record.failures:
        return "failing"
    return "behind" if lag else "current"
