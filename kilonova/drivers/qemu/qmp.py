"""QMP, QEMU's monitor protocol: JSON lines over a unix socket, replies matched by id, events in between.

A client has no thread of its own. It is connected in the caller's thread and then read by the watch
(``watch.Watch``), which calls ``receive`` whenever bytes have come; any thread may ``execute``.
"""

import itertools
import json
import select
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EventSink = Callable[[str, Mapping[str, Any]], None]

_CHUNK = 1 << 16
_SEND_SECONDS = 10.0


class QmpError(Exception):
    """QEMU refused a command; the text is its own."""


class QmpClosed(Exception):
    """The monitor is gone: QEMU ended, or somebody closed the client."""


class QmpTimeout(Exception):
    """QEMU did not answer in time."""


@dataclass(slots=True)
class _Call:
    answered: threading.Event = field(default_factory=threading.Event)
    reply: Mapping[str, Any] | None = None


class QmpClient:
    """One conversation with one QEMU; ``on_event`` gets what comes unasked, on the reader's thread."""

    def __init__(self, connected: socket.socket, on_event: EventSink) -> None:
        self._socket = connected
        self._on_event = on_event
        self._buffer = bytearray()
        self._ids = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._closed = False
        self._greeted = False

    def handshake(self, *, timeout_seconds: float) -> None:
        """Wait for QEMU's greeting and leave negotiation mode; reads by itself, so call it before watching.

        Raises QmpClosed when QEMU ends meanwhile, QmpTimeout when it says nothing.
        """
        self._socket.settimeout(timeout_seconds)
        self._read_until(lambda: self._greeted)
        number, call = self._send("qmp_capabilities", None)
        self._read_until(call.answered.is_set)
        self._result(number, call)
        self._socket.settimeout(_SEND_SECONDS)

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._socket.fileno()

    def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 10.0,
        descriptors: Sequence[int] = (),
    ) -> Any:
        """Run a command and return what it returned; ``descriptors`` go to QEMU with it.

        Raises QmpError, QmpClosed or QmpTimeout.
        """
        number, call = self._send(command, arguments, descriptors)
        call.answered.wait(timeout_seconds)
        return self._result(number, call)

    def post(self, command: str, arguments: Mapping[str, Any] | None = None) -> None:
        """Send a command and do not wait; for use on the reader's own thread. Raises QmpClosed or QmpTimeout."""
        number, _ = self._send(command, arguments)
        with self._guard:
            self._calls.pop(number, None)

    def receive(self) -> bool:
        """Take what has come and act on it; False once the other side is gone."""
        try:
            data = self._socket.recv(_CHUNK)
        except TimeoutError:
            return True
        except OSError:
            data = b""
        if not data:
            self._end()
            return False
        self._buffer += data
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        for line in lines:
            if line.strip():
                self._take(json.loads(line))
        return True

    def has_more(self) -> bool:
        """Whether ``receive`` would return at once."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Hang up; QEMU goes on and takes another client."""
        self._end()
        self._socket.close()

    def _read_until(self, satisfied: Callable[[], bool]) -> None:
        while not satisfied():
            try:
                data = self._socket.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                raise QmpTimeout("QEMU's monitor says nothing") from None
            except OSError as error:
                raise QmpClosed(str(error)) from error
            if not data or not self.receive():
                raise QmpClosed("QEMU closed its monitor")

    def _send(
        self, command: str, arguments: Mapping[str, Any] | None, descriptors: Sequence[int] = ()
    ) -> tuple[int, _Call]:
        number, call = next(self._ids), _Call()
        message: dict[str, Any] = {"execute": command, "id": number}
        if arguments:
            message["arguments"] = arguments
        with self._guard:
            if self._closed:
                raise QmpClosed("QEMU closed its monitor")
            self._calls[number] = call
        try:
            with self._writing:
                if descriptors:
                    # They travel with the first byte, and QEMU keeps them until a command asks for them.
                    socket.send_fds(self._socket, [b" "], list(descriptors))
                self._socket.sendall(json.dumps(message).encode() + b"\n")
        except TimeoutError:
            raise QmpTimeout(f"QEMU does not read its monitor ({command})") from None
        except OSError as error:
            raise QmpClosed(str(error)) from error
        return number, call

    def _result(self, number: int, call: _Call) -> Any:
        with self._guard:
            self._calls.pop(number, None)
        if not call.answered.is_set():
            raise QmpTimeout("QEMU does not answer on its monitor")
        if call.reply is None:
            raise QmpClosed("QEMU closed its monitor")
        if "error" in call.reply:
            raise QmpError(str(call.reply["error"].get("desc", call.reply["error"])))
        return call.reply.get("return")

    def _take(self, message: Mapping[str, Any]) -> None:
        if "QMP" in message:
            self._greeted = True
        elif "event" in message:
            self._on_event(message["event"], message.get("data", {}))
        else:
            with self._guard:
                call = self._calls.get(message.get("id", 0))
            if call is not None:
                call.reply = message
                call.answered.set()

    def _end(self) -> None:
        with self._guard:
            self._closed = True
            waiting = list(self._calls.values())
        for call in waiting:
            call.answered.set()
