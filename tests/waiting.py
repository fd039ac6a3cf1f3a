"""The one place where tests wait: for other processes, whose progress they can only look at.

What runs inside the test's own process is stepped instead (``plane.settle()``).
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.05


class Patience:
    """How long to wait for each of many processes, in ``seconds``: less once one was waited for in vain.

    Where one hangs the others mostly do as well, and all of them together would hold up the tests for hours.
    """

    def __init__(self, seconds: float, *, afterwards: float) -> None:
        self.seconds = seconds
        self._afterwards = afterwards

    def lose(self) -> None:
        """One was waited for in vain."""
        self.seconds = self._afterwards


def wait_until(condition: Callable[[], T], what: str, *, within_seconds: float = 60) -> T:
    """Wait until ``condition`` gives something true, and give that; fail with ``what`` was waited for."""
    deadline = time.monotonic() + within_seconds
    while True:
        is_last = time.monotonic() > deadline  # who was kept from looking until now looks once all the same
        if found := condition():
            return found
        if is_last:
            message = f"waited {within_seconds:g} s for {what}, in vain"
            raise AssertionError(message)
        time.sleep(_POLL_SECONDS)
