"""One thread that takes up what libvirt told, and sees to the connection when it is gone."""

import functools
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

from kilonova.drivers.libvirt.connection import Happening

_LOG = logging.getLogger(__name__)
_TICK_SECONDS: Final = 1.0


class Watch:
    """Calls ``judge`` for each happening, ``look_anew`` when a connection came about, ``tick`` every second."""

    def __init__(
        self, *, judge: Callable[[Happening], None], look_anew: Callable[[], None], tick: Callable[[], None]
    ) -> None:
        self._judge = judge
        self._look_anew = look_anew
        self._tick = tick
        self._told: queue.SimpleQueue[Happening | None] = queue.SimpleQueue()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="libvirt-watch", daemon=True)

    def start(self) -> None:
        """Begin; what was told before is taken up first."""
        self._thread.start()

    def hear(self, happening: Happening) -> None:
        """Have it judged; returns at once."""
        self._told.put(happening)

    def opened(self) -> None:
        """Have everything looked at anew: nobody told what happened while there was no connection."""
        self._told.put(None)

    def close(self) -> None:
        """End the thread, once it did what was told by then. Not to be called on it."""
        self._is_closing = True
        self._told.put(None)
        self._thread.join()

    def _run(self) -> None:
        next_tick = time.monotonic() + _TICK_SECONDS
        while not (self._is_closing and self._told.empty()):
            try:
                told = self._told.get(timeout=max(0.0, next_tick - time.monotonic()))
            except queue.Empty:
                next_tick = time.monotonic() + _TICK_SECONDS
                self._safely(self._tick)
                continue
            if told is not None:
                self._safely(functools.partial(self._judge, told))
            elif not self._is_closing:
                self._safely(self._look_anew)

    @staticmethod
    def _safely(act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:  # noqa: BLE001 - one guest's trouble must not make us deaf for all the others
            _LOG.exception("a step of the libvirt watch failed")
