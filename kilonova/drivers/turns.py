"""One verb at a time for each guest, and any number of guests at once."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Turn:
    lock: threading.Lock = field(default_factory=threading.Lock)
    wanted_by: int = 0


class Turns:
    """Locks by key that exist only while somebody has or awaits them."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, key: str) -> Iterator[None]:
        """Wait for the key's turn and have it."""
        with self._changed:
            turn = self._turns.setdefault(key, _Turn())
            turn.wanted_by += 1
        try:
            with turn.lock:
                yield
        finally:
            self._leave(key, turn)

    @contextlib.contextmanager
    def take_if_free(self, key: str) -> Iterator[bool]:
        """Have the key's turn if nobody has it now; whether that is so. Who has it is not told that it is awaited."""
        with self._changed:
            is_free = key not in self._turns
            turn = _Turn(wanted_by=1)
            if is_free:
                self._turns[key] = turn
                turn.lock.acquire()
        try:
            yield is_free
        finally:
            if is_free:
                turn.lock.release()
                self._leave(key, turn)

    def _leave(self, key: str, turn: _Turn) -> None:
        with self._changed:
            turn.wanted_by -= 1
            if not turn.wanted_by:
                del self._turns[key]
            self._changed.notify_all()

    def is_awaited(self, key: str) -> bool:
        """Whether somebody awaits the key's turn beside who has it."""
        with self._changed:
            return key in self._turns and self._turns[key].wanted_by > 1

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Wait until nobody has or awaits a turn; whether that came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._turns, timeout_seconds)
