"""What was heard on the bus, kept in memory within bounds: by server, by host, and the newest of all."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from kilonova.console.intake.reading import Notice, Unreadable, message_of, notice_of

_NEWEST: Final = 1000
MOST_WAITING: Final = 10_000
"""Messages that the broker keeps for us; of more, it drops the oldest."""
_IDS: Final = 20_000
"""Messages that are known again: a broker that was restarted, and two topics, tell the same twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """How well the bus is heard. ``place`` is where, without a password; ``state`` is listening, away or connecting.

    ``since`` is when that began, ``trouble`` why it is away, ``breaks`` how often it was lost: what was said meanwhile
    was missed. ``waiting`` are messages that the broker had in our queue at the last look, ``lag_seconds`` how long the
    newest one was on its way, None before the first.
    """

    place: str
    state: str
    since: datetime
    trouble: str = ""
    breaks: int = 0
    received: int = 0
    repeated: int = 0
    unreadable: int = 0
    last_unreadable: str = ""
    waiting: int = 0
    last_at: datetime | None = None
    lag_seconds: float | None = None

    @property
    def is_flooded(self) -> bool:
        """Whether more is told than is taken: then some was missed."""
        return self.waiting >= MOST_WAITING

    def for_tenants(self) -> "Hearing":
        """Whether the bus is heard, and nothing of where it is and what others do."""
        return Hearing(place="amqp", state=self.state, since=self.since, breaks=self.breaks, last_at=self.since)


class _Shelf:
    """Notices by a key: so many of each, of so many keys, and so many in all. The longest unheard of goes first."""

    def __init__(self, *, keys: int, each: int, all: int) -> None:  # noqa: A002  the plainest word for it
        self._keys, self._each, self._all = keys, each, all
        self._known: OrderedDict[str, deque[Notice]] = OrderedDict()
        self._count = 0

    def add(self, key: str, notice: Notice) -> None:
        kept = self._known.setdefault(key, deque(maxlen=self._each))
        self._known.move_to_end(key)
        self._count += len(kept) < self._each
        kept.append(notice)
        while len(self._known) > self._keys or (self._count > self._all and len(self._known) > 1):
            _, gone = self._known.popitem(last=False)
            self._count -= len(gone)

    def get(self, key: str) -> list[Notice]:
        return list(self._known.get(key, ()))


class Notices:
    """All that is remembered; gone with this process. Whoever reads decides who may know."""

    def __init__(self, place: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._hearing = Hearing(place=place, state="connecting", since=clock())
        self._newest: deque[Notice] = deque(maxlen=_NEWEST)
        self._servers = _Shelf(keys=5000, each=200, all=20_000)
        self._hosts = _Shelf(keys=1000, each=50, all=10_000)
        self._ids: OrderedDict[bytes, None] = OrderedDict()

    @property
    def hearing(self) -> Hearing:
        """How well the bus is heard."""
        return self._hearing

    @property
    def count(self) -> int:
        """How many were heard, each once: grows with every new one."""
        return self._hearing.received

    def take(self, body: bytes | str) -> None:
        """Keep what a message says; one that is unreadable is counted. Never raises."""
        with self._lock:
            try:
                id, told = message_of(body)
                notice = notice_of(told, number=self._hearing.received + 1, received_at=self._clock())
            except Unreadable as error:
                count = self._hearing.unreadable + 1
                self._hearing = replace(self._hearing, unreadable=count, last_unreadable=str(error))
                return
            if id in self._ids:
                self._hearing = replace(self._hearing, repeated=self._hearing.repeated + 1)
                return
            self._ids[id] = None
            if len(self._ids) > _IDS:
                self._ids.popitem(last=False)
            self._keep(notice)

    def listening(self, *, waiting: int = 0) -> None:
        """The bus is heard; ``waiting`` messages are still to be taken."""
        with self._lock:
            hearing = replace(self._hearing, waiting=waiting)
            if hearing.state != "listening":
                hearing = replace(hearing, state="listening", since=self._clock(), trouble="")
            self._hearing = hearing  # at once: whoever reads it waits for nobody

    def lost(self, trouble: str) -> None:
        """The bus is not heard, for this reason."""
        with self._lock:
            hearing = replace(self._hearing, trouble=trouble)
            if hearing.state != "away":
                breaks = hearing.breaks + (hearing.state == "listening")
                hearing = replace(hearing, state="away", since=self._clock(), breaks=breaks, waiting=0)
            self._hearing = hearing

    def of_server(self, server_id: str) -> list[Notice]:
        """What was heard of a server, the oldest first."""
        with self._lock:
            return self._servers.get(server_id)

    def of_host(self, host: str) -> list[Notice]:
        """What was heard of a host, the oldest first."""
        with self._lock:
            return self._hosts.get(host)

    def newest(self, *, project_id: str | None = None, topic: str = "", server: str = "") -> Sequence[Notice]:
        """What was heard last, the newest first: of one project's servers only, unless that is None."""
        with self._lock:
            found = [*self._servers.get(server)] if server else [*self._newest]
        return [
            each
            for each in reversed(found)
            if (project_id is None or (each.project_id and each.project_id == project_id)) and topic in each.event_type
        ]

    def _keep(self, notice: Notice) -> None:
        self._newest.append(notice)
        if notice.server_id:
            self._servers.add(notice.server_id, notice)
        if notice.host:
            self._hosts.add(notice.host, notice)
        self._hearing = replace(
            self._hearing,
            received=notice.number,
            last_at=notice.received_at,
            lag_seconds=notice.lag_seconds,
        )
