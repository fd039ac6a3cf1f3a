"""The control plane's side of statistics: what agents counted lately, in memory, bounded whatever they send.

Nothing of it is in the database: it would outgrow everything else there, and what is billed is in the journal. A new
start begins with nothing and has it again after one period.
"""

import struct
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.model import SECOND, Clock, Instant
from kilonova.domain.statistics import Point, point_of
from kilonova.services.door import HostReport, Sample
from kilonova.services.settings import StatisticsSettings

_PACKED: Final = struct.Struct(f"{len(Point._fields)}q")
"""A point as it is kept: its fields one after the other, -1 for None. A tenth of what a tuple of numbers takes."""
_NOBODY_COUNTED: Final = -1
_STALE_PERIODS: Final = 3
"""Periods after which a series that did not grow makes room for another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What is known of one guest on one host. ``counted`` is the newest count of it, None where it never ran.

    ``seen_at`` is when it was last told of, by the control plane's clock; ``is_running`` whether it ran then. Of
    ``points``, the oldest first, there is one for each time that it ran.
    """

    seen_at: Instant
    is_running: bool
    counted: Diagnostics | None
    counted_at: Instant | None
    points: tuple[Point, ...]

    def age_seconds(self, now: Instant) -> float:
        """Since when nothing newer was counted."""
        return max(0, now - (self.counted_at or now)) / SECOND


@dataclass(slots=True)
class _Kept:
    points: deque[bytes]
    seen_at: Instant
    is_running: bool = False
    counted: Diagnostics | None = None
    counted_at: Instant | None = None


class Statistics:
    """Takes samples in as they come with heartbeats. Safe to call from several threads."""

    def __init__(self, clock: Clock, *, settings: StatisticsSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self.left_out = 0
        """How many guests of the newest sample of some host found no room."""

    def take(self, report: HostReport) -> None:
        """Keep what a heartbeat carries. Its instants are the agent's: only how long ago each was counts."""
        now = self._clock()
        for sample in report.samples:
            ago = max(0, report.sent_at - sample.at)
            with self._lock:
                self._take(report.host, sample, Instant(now - ago))

    def find(self, host: str, uuid: str) -> Series | None:
        """What is known of a guest on a host; None where nothing is."""
        with self._lock:
            kept = self._kept.get((host, uuid))
            return None if kept is None else _series(kept)

    def newest(self, limit: int) -> Sequence[tuple[str, str, Series]]:
        """Hosts, guests and what is known of them, at most so many: of those that run, by what was told lately.

        In the order of their names, so that mostly the same ones are had.
        """
        since = self._clock() - self._patience
        with self._lock:
            running = sorted(key for key, kept in self._kept.items() if kept.is_running and kept.seen_at >= since)
            return [(host, uuid, _series(self._kept[host, uuid], 1)) for host, uuid in running[:limit]]

    @property
    def size(self) -> int:
        """Guests of which something is kept."""
        return len(self._kept)

    @property
    def interval(self) -> int:
        """Seconds between two counts; 0 where nothing is counted."""
        return self._settings.interval

    @property
    def _patience(self) -> int:
        """Microseconds after which a series that did not grow counts for nothing."""
        return _STALE_PERIODS * self._settings.interval * SECOND

    def _take(self, host: str, sample: Sample, at: Instant) -> None:
        self.left_out = 0
        for uuid, counted in sample.guests.items():
            kept = self._kept.get((host, uuid)) or self._make_room(host, uuid, at)
            if kept is None:
                self.left_out += 1
            else:
                self._kept.move_to_end((host, uuid))
                _add(kept, counted, at)

    def _make_room(self, host: str, uuid: str, at: Instant) -> _Kept | None:
        """A place for a new one: a free one, or that of the one of which nothing was heard for the longest time."""
        if len(self._kept) >= self._settings.servers:
            key, oldest = next(iter(self._kept.items()))
            if at - oldest.seen_at < self._patience:
                return None
            del self._kept[key]
        made = self._kept[host, uuid] = _Kept(deque(maxlen=self._settings.points), at)
        return made


def _add(kept: _Kept, counted: Diagnostics | None, at: Instant) -> None:
    kept.seen_at = max(kept.seen_at, at)
    kept.is_running = counted is not None
    if counted is not None:
        kept.counted, kept.counted_at = counted, at
        numbers = (_NOBODY_COUNTED if value is None else value for value in point_of(counted, at))
        kept.points.append(_PACKED.pack(*numbers))


def _series(kept: _Kept, most: int | None = None) -> Series:
    points = list(kept.points) if most is None else list(kept.points)[-most:]
    return Series(
        seen_at=kept.seen_at,
        is_running=kept.is_running,
        counted=kept.counted,
        counted_at=kept.counted_at,
        points=tuple(_unpacked(each) for each in points),
    )


def _unpacked(packed: bytes) -> Point:
    at, vcpus, *rest = _PACKED.unpack(packed)
    return Point(Instant(at), vcpus, *(None if value == _NOBODY_COUNTED else value for value in rest))
