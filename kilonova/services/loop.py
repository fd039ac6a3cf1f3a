"""Loops: things that look at the store when they are prodded, and on a period anyway; and the rota that runs them.

A step takes no input and is safe to repeat. Tests never start a rota: they call ``step`` until nothing is left. A rota
runs any number of loops on few threads, so that ten thousand simulated hosts fit into one process.
"""

import heapq
import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

_log = logging.getLogger(__name__)

_MOST_SECONDS_OF_BACKOFF: Final = 20.0
"""Short enough that heartbeats come back within the time after which a service counts as down."""
_SOON_SECONDS: Final = 1.0
"""The period of a failing loop that has none of its own."""
_MOST_THREADS: Final = 16


class Loop:
    """Runs ``step`` on prods and every ``period_seconds``; None for on prods alone.

    ``step`` returns True if it found something to do, and is then called again at once. A step that raises is
    logged once, then retried ever more slowly until it works again, which is logged too. ``jitter`` is the part of the
    period by which a turn may come earlier or later, so that what began together does not stay together.
    """

    __slots__ = ("_failures", "_step", "hurry", "jitter", "name", "period_seconds")

    def __init__(
        self, name: str, step: Callable[[], bool], *, period_seconds: float | None, jitter: float = 0.0
    ) -> None:
        self.name = name
        self.period_seconds = period_seconds
        self.jitter = jitter
        self.hurry: Callable[[], None] = _nobody_runs_it
        """Set by the rota that runs it."""
        self._step = step
        self._failures = 0

    @property
    def is_failing(self) -> bool:
        """Whether its last step failed; the next one may mend it."""
        return self._failures > 0

    def prod(self) -> None:
        """Look now rather than at the next tick."""
        self.hurry()

    def step(self) -> bool:
        """One step in the caller's thread; what it raises is the caller's."""
        return self._step()

    def turn(self) -> float | None:
        """One step as a rota takes it: never raises. Returns the seconds until the next, None for not unprodded."""
        if self._guarded_step():
            return 0.0
        if self._failures == 0:
            return self.pause()
        period = _SOON_SECONDS if self.period_seconds is None else self.period_seconds
        return min(period * (1 + self._failures), max(period, _MOST_SECONDS_OF_BACKOFF))

    def pause(self) -> float | None:
        """The seconds until the next turn of a loop that has nothing to do."""
        if self.period_seconds is None or self.jitter == 0:
            return self.period_seconds
        return self.period_seconds * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311  nothing secret

    def _guarded_step(self) -> bool:
        try:
            busy = self._step()
        except Exception:  # noqa: BLE001 - a loop must outlive whatever its step meets, and says so
            self._failures += 1
            if self._failures == 1:
                _log.exception("%s failed; it is retried until it works", self.name)
            return False
        if self._failures:
            _log.info("%s works again after %d failures", self.name, self._failures)
            self._failures = 0
        return busy


def _nobody_runs_it() -> None:
    """Where no rota runs the loop, somebody else steps it."""


@dataclass(slots=True, eq=False)
class _Entry:
    """A loop on the rota. Of its places in the queue only that of the latest ``version`` counts."""

    loop: Loop
    version: int = 0
    is_running: bool = False
    is_prodded: bool = False


@dataclass(slots=True, order=True)
class _Place:
    due: float
    number: int
    version: int = field(compare=False)
    entry: _Entry = field(compare=False)


class Rota:
    """Runs loops on shared threads: each of them on one thread at a time, the most overdue first.

    With no more loops than ``most_threads`` every loop has as good as a thread of its own. Beyond that number the
    first turns are spread over the loops' periods.
    """

    def __init__(self, name: str, loops: Sequence[Loop], *, most_threads: int = _MOST_THREADS) -> None:
        self._name = name
        self._entries = [_Entry(loop) for loop in loops]
        self._size = min(len(loops), most_threads)
        self._lock = threading.Lock()
        # One thread waits for the next place to be due; the others wait to be needed.
        self._watch = threading.Condition(self._lock)
        self._reserve = threading.Condition(self._lock)
        self._has_watch = False
        self._queue: list[_Place] = []
        self._numbers = itertools.count()
        self._is_stopping = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to run in the background."""
        for place, entry in enumerate(self._entries):
            entry.loop.hurry = _hurrier(self, entry)
            first = entry.loop.pause()
            if first is not None:
                with self._lock:
                    self._put(entry, 0.0 if place < self._size else first * random.random())  # noqa: S311
        names = [self._entries[0].loop.name] if self._size == 1 else [f"{self._name} {n}" for n in range(self._size)]
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    def stop(self, *, timeout_seconds: float = 10.0) -> None:
        """End after the steps that run now; waits for them at most ``timeout_seconds``."""
        with self._lock:
            self._is_stopping = True
            self._watch.notify_all()
            self._reserve.notify_all()
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))

    def hurry(self, entry: _Entry) -> None:
        """Have a loop's turn now; where it has it already, once more after it."""
        with self._lock:
            if entry.is_running:
                entry.is_prodded = True
            else:
                self._put(entry, 0.0)

    def _put(self, entry: _Entry, seconds: float) -> None:
        entry.version += 1
        place = _Place(time.monotonic() + seconds, next(self._numbers), entry.version, entry)
        heapq.heappush(self._queue, place)
        if self._queue[0] is place:
            (self._watch if self._has_watch else self._reserve).notify()

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            pause = entry.loop.turn()
            with self._lock:
                entry.is_running = False
                if entry.is_prodded:
                    entry.is_prodded, pause = False, 0.0
                if pause is not None:
                    self._put(entry, pause)

    def _next(self) -> _Entry | None:
        """The next loop whose turn it is, once it is; None at the end."""
        with self._lock:
            while not self._is_stopping:
                place = self._first()
                wait = None if place is None else place.due - time.monotonic()
                if place is not None and wait is not None and wait <= 0:
                    heapq.heappop(self._queue)
                    place.entry.is_running = True
                    if not self._has_watch:
                        self._reserve.notify()
                    return place.entry
                self._await(wait)
            return None

    def _first(self) -> _Place | None:
        while self._queue and self._queue[0].version != self._queue[0].entry.version:
            heapq.heappop(self._queue)
        return self._queue[0] if self._queue else None

    def _await(self, seconds: float | None) -> None:
        if self._has_watch:
            self._reserve.wait()
            return
        self._has_watch = True
        self._watch.wait(seconds)
        self._has_watch = False


def _hurrier(rota: Rota, entry: _Entry) -> Callable[[], None]:
    return lambda: rota.hurry(entry)
