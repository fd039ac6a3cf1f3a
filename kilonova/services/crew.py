"""A crew: pieces of work in the background, on a bounded number of threads that all agents of a process share."""

import threading
from collections import deque
from collections.abc import Callable


class Crew:
    """Does each piece of work at once, on a thread of its own, while fewer than ``most`` are being done; or next.

    The threads do not keep the process from ending: what is cut off is given out again.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()
        self._busy = 0

    def begin(self, name: str, work: Callable[[], None]) -> None:
        """Have it done; it must not raise. Raises ``RuntimeError`` where the system has no thread left."""
        with self._lock:
            if self._busy >= self._most:
                self._waiting.append((name, work))
                return
            self._busy += 1
        try:
            threading.Thread(target=self._run, args=(work,), name=name, daemon=True).start()
        except RuntimeError:
            with self._lock:
                self._busy -= 1
            raise

    def _run(self, work: Callable[[], None]) -> None:
        following: Callable[[], None] | None = work
        while following is not None:
            following()
            following = self._following()

    def _following(self) -> Callable[[], None] | None:
        with self._lock:
            if not self._waiting:
                self._busy -= 1
                return None
            name, work = self._waiting.popleft()
        threading.current_thread().name = name
        return work
