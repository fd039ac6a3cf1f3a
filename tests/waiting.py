"""The one place where tests wait: for other processes, whose progress they can only look at.

What runs inside the test's own process is stepped instead (``plane.settle()``).
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.05


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
