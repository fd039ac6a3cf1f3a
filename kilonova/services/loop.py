"""A loop: something that looks at the store when it is prodded, and on a period anyway.

A step takes no input and is safe to repeat. Tests never start the thread: they call ``step`` until nothing is left.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

_log = logging.getLogger(__name__)

_MOST_SECONDS_OF_BACKOFF: Final = 20.0
"""Short enough that heartbeats come back within the time after which a service counts as down."""


class Loop:
    """Runs ``step`` in a thread of its own, on prods and every ``period_seconds``.

    ``step`` returns True if it found something to do, and is then called again at once. A step that raises is
    logged once, then retried ever more slowly until it works again, which is logged too.
    """

    def __init__(self, name: str, step: Callable[[], bool], *, period_seconds: float) -> None:
        self.name = name
        self._step = step
        self._period_seconds = period_seconds
        self._prodded = threading.Event()
        self._stopping = threading.Event()
        self._failures = 0
        self._thread: threading.Thread | None = None

    @property
    def is_failing(self) -> bool:
        """Whether its last step failed; the next one may mend it."""
        return self._failures > 0

    def prod(self) -> None:
        """Look now rather than at the next tick."""
        self._prodded.set()

    def start(self) -> None:
        """Begin to run in the background."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self, *, timeout_seconds: float = 10.0) -> None:
        """End after the step that runs now; waits for it at most ``timeout_seconds``."""
        self._stopping.set()
        self._prodded.set()
        if self._thread:
            self._thread.join(timeout_seconds)

    def step(self) -> bool:
        """One step in the caller's thread; what it raises is the caller's."""
        return self._step()

    def turn(self) -> float:
        """One step as the thread takes it: never raises. Returns the seconds until the next, if nobody prods."""
        if self._guarded_step():
            return 0.0
        slower = self._period_seconds * (1 + self._failures)
        return min(slower, max(self._period_seconds, _MOST_SECONDS_OF_BACKOFF))

    def _run(self) -> None:
        while True:
            # Cleared before the look at `stopping`, so that the prod of a stop is never the one that is cleared.
            self._prodded.clear()
            if self._stopping.is_set():
                return
            self._prodded.wait(self.turn())

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
