"""Two threads that serve every guest: one reads monitors and sees processes end, one tells the listener.

They are two so that a listener may take its time, or call the driver, without making anybody deaf.
"""

import logging
import queue
import selectors
import socket
import threading
from collections.abc import Callable
from typing import Any

from kilonova.drivers.protocol import GuestEvent, Listener

_LOG = logging.getLogger(__name__)


class Watch:
    """Calls back, on one thread, when a descriptor can be read; and passes events on, on another."""

    def __init__(self, listener: Listener, *, tick: Callable[[], None], tick_seconds: float) -> None:
        self._listener = listener
        self._tick = tick
        self._tick_seconds = tick_seconds
        self._selector = selectors.DefaultSelector()
        self._guard = threading.Lock()
        self._bell, self._rope = socket.socketpair()
        self._told: queue.SimpleQueue[GuestEvent | None] = queue.SimpleQueue()
        self._closing = False
        self._threads = (
            threading.Thread(target=self._look, name="qemu-watch", daemon=True),
            threading.Thread(target=self._tell, name="qemu-events", daemon=True),
        )

    def start(self) -> None:
        """Begin."""
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End both threads; what was announced before is still told."""
        self._closing = True
        self._rope.send(b"x")
        self._told.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=10)
        self._selector.close()
        self._bell.close()
        self._rope.close()

    def add(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Call back, on the watching thread, whenever the descriptor can be read."""
        with self._guard:
            self._selector.register(descriptor, selectors.EVENT_READ, on_readable)

    def remove(self, descriptor: int) -> None:
        """Call back no more. To be done before the descriptor is closed; unknown ones are no matter."""
        with self._guard:
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)

    def announce(self, event: GuestEvent) -> None:
        """Have the listener told, in order."""
        self._told.put(event)

    def _look(self) -> None:
        while not self._closing:
            ready = self._selector.select(self._tick_seconds)
            for key, _ in ready:
                self._call(key)
            if not ready:
                self._safely(self._tick)

    def _call(self, key: selectors.SelectorKey) -> None:
        with self._guard:
            still_watched = self._selector.get_map().get(key.fd) is key
        if still_watched and key.data is not None:
            self._safely(key.data)

    def _tell(self) -> None:
        while (event := self._told.get()) is not None:
            self._safely(self._listener, event)

    @staticmethod
    def _safely(act: Callable[..., None], *arguments: Any) -> None:
        try:
            act(*arguments)
        except Exception:  # noqa: BLE001 - one guest's trouble must not make us deaf for all the others
            _LOG.exception("a callback of the qemu watch failed")
