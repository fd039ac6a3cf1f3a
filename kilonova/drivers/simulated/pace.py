"""How simulated time passes: as on a clock, not at all, or when a test says so."""

import threading
from collections.abc import Callable
from typing import Final, Protocol


class Pace(Protocol):
    """What a simulated operation waits by."""

    def spend(self, seconds: float) -> None:
        """Return when this much simulated time has passed."""

    def hold(self, is_over: Callable[[], bool]) -> None:
        """Return only when this is closed, or soon after it ``is_over``."""

    def close(self) -> None:
        """Let everybody go who waits; from now on nobody waits."""


_LOOK_SECONDS: Final = 0.1
"""Between two looks of one that is held whether it is over."""


class Timed:
    """By the clock; ``factor`` 0.5 makes everything twice as fast."""

    def __init__(self, factor: float = 1.0) -> None:
        self._factor = factor
        self._closed = threading.Event()

    def spend(self, seconds: float) -> None:
        """See Pace."""
        self._closed.wait(seconds * self._factor)

    def hold(self, is_over: Callable[[], bool]) -> None:
        """See Pace."""
        while not is_over() and not self._closed.wait(_LOOK_SECONDS):
            pass

    def close(self) -> None:
        """See Pace."""
        self._closed.set()


class Instant:
    """Nothing takes any time."""

    def spend(self, seconds: float) -> None:
        """See Pace."""

    def hold(self, is_over: Callable[[], bool]) -> None:
        """See Pace: there is no time to be held in."""

    def close(self) -> None:
        """See Pace."""


class Stepped:
    """Time stands still until ``advance`` moves it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._closed = False
        self._waiting = 0
        self._changed = threading.Condition()

    def spend(self, seconds: float) -> None:
        """See Pace."""
        with self._changed:
            until = self._now + seconds
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._now >= until)
            self._waiting -= 1

    def hold(self, is_over: Callable[[], bool]) -> None:
        """See Pace."""
        with self._changed:
            while not self._closed and not is_over():
                self._changed.wait(_LOOK_SECONDS)

    def advance(self, seconds: float) -> None:
        """Let this much time pass at once."""
        with self._changed:
            self._now += seconds
            self._changed.notify_all()

    def wait_for_waiters(self, number: int, *, timeout_seconds: float = 60.0) -> bool:
        """Wait until so many operations are in progress; whether that came in (real) time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting >= number, timeout_seconds)

    def close(self) -> None:
        """See Pace."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
