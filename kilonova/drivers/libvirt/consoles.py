"""The way to a guest's screen and serial port through the daemon, which needs no right to its directories."""

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.remote_consoles import ConsoleKind
from kilonova.drivers.libvirt.hosted import LibvirtGuests
from kilonova.drivers.libvirt.words import reason_of, translated

_LOG = logging.getLogger(__name__)
_BYTES: Final = 16 << 10
_FORCE: Final = 1  # VIR_DOMAIN_CONSOLE_FORCE: who had it before loses it


class LibvirtConsoles(LibvirtGuests):
    """The verb of ``CanOpenConsole``."""

    consoles: Final = frozenset(ConsoleKind)

    def open_console(self, uuid: str, kind: ConsoleKind) -> socket.socket:
        """See CanOpenConsole; needs no turn. What is written meanwhile stays in the log as well."""
        domain = self._kept(uuid).require_up()
        if kind is ConsoleKind.VNC:
            with translated("open the server's screen"):
                return socket.socket(fileno=domain.openGraphicsFD(0, 0))
        return SerialLine(self.uri, uuid).outer


class SerialLine:
    """A guest's serial port as a socket (``outer``): libvirt's stream, on a line to the daemon of its own.

    The stream blocks, and one that hangs must not keep the driver's own line.
    """

    def __init__(self, uri: str, uuid: str) -> None:
        """Raises GuestFailure and HypervisorUnavailable."""
        import libvirt

        self._error = libvirt.libvirtError
        with contextlib.ExitStack() as undo, _room_needed(), translated("open the server's serial port"):
            self._daemon = libvirt.open(uri)
            undo.callback(self._hang_up, self._daemon.close)
            self._stream: Any = self._daemon.newStream(0)
            self._daemon.lookupByUUIDString(uuid).openConsole(None, self._stream, _FORCE)
            undo.callback(self._hang_up, self._stream.abort)
            self.outer, self._inner = socket.socketpair()
            undo.callback(self._inner.close)
            undo.callback(self.outer.close)
            threading.Thread(target=self._from_guest, name=f"serial-out-{uuid}", daemon=True).start()
            threading.Thread(target=self._to_guest, name=f"serial-in-{uuid}", daemon=True).start()
            undo.pop_all()

    def _from_guest(self) -> None:
        try:
            while data := self._stream.recv(_BYTES):
                self._inner.sendall(data)
        except (self._error, OSError) as error:
            _LOG.debug("a serial port was let go of: %s", error)
        with contextlib.suppress(OSError):  # the other thread closed it
            self._inner.shutdown(socket.SHUT_RDWR)

    def _to_guest(self) -> None:
        try:
            while data := self._inner.recv(_BYTES):
                self._stream.send(data)
        except (self._error, OSError) as error:
            _LOG.debug("nothing more is typed to a serial port: %s", error)
        self._hang_up(self._stream.abort)
        self._hang_up(self._daemon.close)
        self._inner.close()

    def _hang_up(self, step: Callable[[], object]) -> None:
        try:
            step()
        except self._error as error:
            _LOG.debug("a serial port was not closed in order: %s", reason_of(error, "close a stream").detail)


@contextlib.contextmanager
def _room_needed() -> Iterator[None]:
    """While descriptors and threads are made, of which there may be no more."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        text = "the server's host has no room for another serial line"
        raise GuestFailure(FaultCause.DRIVER_ERROR, text, detail=str(error)) from error
