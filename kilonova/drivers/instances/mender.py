"""What is mended of a guest when nobody asked for it, beside the thread that watches all guests."""

import threading
from collections.abc import Callable
from typing import Final

from kilonova.drivers.turns import Turns

_END_SECONDS: Final = 5.0


class Mender:
    """Calls ``mend`` within the guest's turn, on a thread that lives no longer than that; never twice at once.

    While a verb is at work nothing is done: whoever calls ``begin`` does so again now and then.
    """

    def __init__(self, uuid: str, turns: Turns, mend: Callable[[], None]) -> None:
        """``mend`` must not wait for long, for verbs wait for it."""
        self._uuid = uuid
        self._turns = turns
        self._mend = mend
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_wanted = False
        self._is_over = False

    def begin(self) -> None:
        """Have it mended; once more, if that is being done. Returns at once."""
        with self._guard:
            self._is_wanted = True
            if self._thread is None and not self._is_over:
                thread = threading.Thread(target=self._run, name=f"mend-{self._uuid}", daemon=True)
                thread.start()
                self._thread = thread

    def end(self) -> None:
        """Begin no more, and wait a little for what was begun."""
        with self._guard:
            self._is_over, thread = True, self._thread
        if thread is not None:
            thread.join(_END_SECONDS)

    def _run(self) -> None:
        while self._goes_on():
            with self._turns.take_if_free(self._uuid) as is_free:
                if is_free:
                    self._mend()

    def _goes_on(self) -> bool:
        with self._guard:
            goes_on, self._is_wanted = self._is_wanted and not self._is_over, False
            if not goes_on:
                self._thread = None
            return goes_on
