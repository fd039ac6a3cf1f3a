"""Tells a driver's listener what happens to guests: one event at a time, in order, on a thread of its own.

So a listener may take its time, or call the driver, without making the driver deaf.
"""

import logging
import queue
import threading

from kilonova.drivers.protocol import GuestEvent, Listener

_LOG = logging.getLogger(__name__)


class Herald:
    """Has no thread before the first event: thousands of simulated hosts may live in one process."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._events: queue.SimpleQueue[GuestEvent | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()

    def announce(self, event: GuestEvent) -> None:
        """Have the listener told; returns at once."""
        self._events.put(event)
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._tell, name="guest-events", daemon=True)
                self._thread.start()

    def close(self, *, timeout_seconds: float = 10.0) -> None:
        """End once everything announced was told, or the listener took too long over it."""
        self._events.put(None)
        with self._guard:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_seconds)

    def _tell(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                self._listener(event)
            except Exception:  # noqa: BLE001 - the next event is not to be lost over this one
                _LOG.exception("the listener failed on %s of guest %s", event.kind, event.uuid)
