"""The serial port of a simulated guest: it shows the guest's log, and what is typed comes back. It has no screen."""

import contextlib
import select
import socket
import threading
from collections.abc import Sequence
from typing import Final

from kilonova.domain.errors import NotSupported
from kilonova.domain.remote_consoles import ConsoleKind
from kilonova.domain.states import PowerState
from kilonova.drivers.simulated.guests import SimulatedGuests, require_power
from kilonova.drivers.simulated.shelf import SimulatedGuest

_LOOK_SECONDS: Final = 0.2
_BYTES: Final = 4096
_PATIENCE_SECONDS: Final = 20.0
_ON: Final = (PowerState.RUNNING, PowerState.PAUSED)


class SimulatedConsoles(SimulatedGuests):
    """The verb of ``CanOpenConsole``."""

    consoles: Final = frozenset({ConsoleKind.SERIAL})

    def open_console(self, uuid: str, kind: ConsoleKind) -> socket.socket:
        """See CanOpenConsole."""
        if kind not in self.consoles:
            raise NotSupported("A simulated server has no screen.")
        guest = self._require(uuid)
        require_power(guest)
        outer, inner = socket.socketpair()
        inner.settimeout(_PATIENCE_SECONDS)
        threading.Thread(target=self._talk, args=(guest, inner), name=f"serial-{uuid}", daemon=True).start()
        return outer

    def _talk(self, guest: SimulatedGuest, line: socket.socket) -> None:
        """Tell what the guest writes, and give back what is typed, for as long as both are there."""
        told: Sequence[str] = ()
        with contextlib.closing(line), contextlib.suppress(OSError):  # who listens may go at any time
            while self._find(guest.uuid) is guest and guest.power in _ON:
                written = guest.console
                if written is not told:
                    line.sendall("".join(f"{each}\r\n" for each in news(told, written)).encode())
                    told = written
                if _has_come(line):
                    typed = line.recv(_BYTES)
                    if not typed:
                        return
                    line.sendall(typed)


def _has_come(line: socket.socket) -> bool:
    """Whether something is there to be read, or comes soon. Not by ``select``, which knows only the lowest numbers."""
    poll = select.poll()
    poll.register(line, select.POLLIN)
    return bool(poll.poll(_LOOK_SECONDS * 1000))


def news(told: Sequence[str], written: Sequence[str]) -> Sequence[str]:
    """The lines that were not told yet, of a log whose oldest lines may be gone by now."""
    start = next(start for start in range(len(told) + 1) if list(written[: len(told) - start]) == list(told[start:]))
    return written[len(told) - start :]
