"""The way to a guest's screen and serial port: sockets in its directory, which are its owner's alone."""

import socket
from typing import Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.remote_consoles import ConsoleKind
from kilonova.drivers.qemu import process
from kilonova.drivers.qemu.command import SCREEN, SERIAL
from kilonova.drivers.qemu.hosted import QemuGuests

_CONNECT_SECONDS: Final = 5.0
_SOCKETS: Final = {ConsoleKind.VNC: SCREEN, ConsoleKind.SERIAL: SERIAL}


class QemuConsoles(QemuGuests):
    """The verb of ``CanOpenConsole``."""

    consoles: Final = frozenset(_SOCKETS)

    def open_console(self, uuid: str, kind: ConsoleKind) -> socket.socket:
        """See CanOpenConsole; needs no turn. What is written meanwhile stays in the log as well."""
        guest = self._kept(uuid)
        guest.require_running()
        try:
            return process.connect(guest.directory, _SOCKETS[kind], timeout_seconds=_CONNECT_SECONDS)
        except OSError as error:
            text = "the server's console cannot be reached"
            raise GuestFailure(FaultCause.GUEST_UNRESPONSIVE, text, detail=f"{_SOCKETS[kind]}: {error}") from error
