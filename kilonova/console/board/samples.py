"""What was seen at earlier looks, for charts: kept in this process, for some hours, and gone with it."""

import threading
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_MOST_THINGS: Final = 5000
_MOST_SAMPLES: Final = 240
_APART: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart: moments and values, the oldest first."""

    name: str
    points: Sequence[tuple[datetime, float]]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1] if self.points else 0.0


class Samples:
    """Values of things by their names. Whoever adds has looked already: nothing is asked for this alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, deque[tuple[datetime, Mapping[str, float]]]] = OrderedDict()

    def add(self, thing: str, at: datetime, values: Mapping[str, float]) -> None:
        """Keep what was just seen, unless something was kept a moment ago."""
        with self._lock:
            kept = self._known.setdefault(thing, deque(maxlen=_MOST_SAMPLES))
            self._known.move_to_end(thing)
            if not kept or at - kept[-1][0] >= _APART:
                kept.append((at, values))
            if len(self._known) > _MOST_THINGS:
                self._known.popitem(last=False)

    def series(self, thing: str) -> list[Series]:
        """All that was kept of it, a line each value."""
        with self._lock:
            kept = list(self._known.get(thing, ()))
        names = dict.fromkeys(name for _, values in kept for name in values)
        return [
            Series(name=name, points=[(at, values[name]) for at, values in kept if name in values]) for name in names
        ]

    def rates(self, thing: str) -> list[Series]:
        """The same for values that only grow: how much a second, between each two looks."""
        return [
            Series(
                name=each.name,
                points=[
                    (at, (value - before) / (at - since).total_seconds())
                    for (since, before), (at, value) in zip(each.points, each.points[1:], strict=False)
                    if value >= before and at > since
                ],
            )
            for each in self.series(thing)
        ]
