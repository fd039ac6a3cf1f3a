"""One thread that reads every guest's monitor and sees every process end."""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

_LOG = logging.getLogger(__name__)
_TICK_SECONDS: Final = 10.0


class Watch:
    """Calls back when a descriptor can be read; ``tick`` is called now and then."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._selector = selectors.DefaultSelector()
        self._guard = threading.Lock()
        self._bell, self._rope = socket.socketpair()
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        self._closing = False
        self._thread = threading.Thread(target=self._look, name="qemu-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread. Not to be called on it."""
        self._closing = True
        self._rope.send(b"x")
        self._thread.join()
        self._selector.close()
        self._bell.close()
        self._rope.close()

    def add(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Call back, on the watch's thread, whenever the descriptor can be read."""
        with self._guard:
            self._selector.register(descriptor, selectors.EVENT_READ, on_readable)

    def remove(self, descriptor: int) -> None:
        """Call back no more. To be done before the descriptor is closed; unknown ones are no matter."""
        with self._guard:
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)

    def _look(self) -> None:
        next_tick = time.monotonic() + _TICK_SECONDS
        while not self._closing:
            for key, _ in self._selector.select(max(0.0, next_tick - time.monotonic())):
                self._call(key)
            if time.monotonic() >= next_tick:
                self._safely(self._tick)
                next_tick = time.monotonic() + _TICK_SECONDS

    def _call(self, key: selectors.SelectorKey) -> None:
        with self._guard:
            still_watched = self._selector.get_map().get(key.fd) is key
        if still_watched and key.data is not None:
            self._safely(key.data)

    @staticmethod
    def _safely(act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:  # noqa: BLE001 - one guest's trouble must not make us deaf for all the others
            _LOG.exception("a callback of the qemu watch failed")
