"""QEMU's agent inside a guest: asked over the guest's channel, believed in nothing, and waited for in bounded time."""

import base64
import contextlib
import json
import secrets
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.instances.passwords import ANSWER_SECONDS, hidden
from kilonova.drivers.qemu import process
from kilonova.drivers.qemu.machine import Machine

AGENT: Final = "agent.sock"
"""The socket of the guest's channel, in the guest's directory."""

AGENT_LINE: Final = "agent"
"""What QEMU calls the channel."""

_SYNC_SECONDS: Final = 5.0
_FLUSH: Final = b"\xff"
_MOST_BYTES: Final = 1 << 16  # of one answer, and of what may come before it
_CHUNK: Final = 1 << 12


def set_password(machine: Machine, directory: Path, user: str, password: str) -> None:
    """Have the agent in the guest set a user's password.

    Raises GuestFailure: GUEST_UNRESPONSIVE where none listens or answers in time, DRIVER_ERROR where it refuses.
    """
    if not _is_open(machine):
        raise _silent("nobody inside the guest has opened its channel")
    try:
        line = process.connect(directory, AGENT, timeout_seconds=_SYNC_SECONDS)
    except OSError as error:
        raise _silent(str(error)) from error
    with contextlib.closing(line), hidden(password):
        agent = Agent(line)
        agent.greet(timeout_seconds=_SYNC_SECONDS)
        given = {"username": user, "password": base64.b64encode(password.encode()).decode(), "crypted": False}
        agent.ask("guest-set-user-password", given, timeout_seconds=ANSWER_SECONDS)


class Agent:
    """One conversation, of JSON lines. What an earlier one left in the channel is thrown away by ``greet``."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._unread = bytearray()

    def greet(self, *, timeout_seconds: float) -> None:
        """See that somebody listens who knows the protocol. Raises GuestFailure(GUEST_UNRESPONSIVE)."""
        until = time.monotonic() + timeout_seconds
        token = secrets.randbelow(1 << 31)
        self._send("guest-sync-delimited", {"id": token}, lead=_FLUSH)
        while True:
            self._read_past(_FLUSH, until)
            if _parsed(self._read_past(b"\n", until)).get("return") == token:
                return

    def ask(self, command: str, arguments: Mapping[str, Any], *, timeout_seconds: float) -> Any:
        """Have a command carried out; what it returned.

        Raises GuestFailure: GUEST_UNRESPONSIVE for no answer in time, DRIVER_ERROR for a refusal.
        """
        until = time.monotonic() + timeout_seconds
        self._send(command, arguments)
        while True:
            answer = _parsed(self._read_past(b"\n", until))
            if "error" in answer:
                text = "the agent inside the server refused"
                raise GuestFailure(FaultCause.DRIVER_ERROR, text, detail=_reason(command, answer["error"]))
            if "return" in answer:
                return answer["return"]

    def _send(self, command: str, arguments: Mapping[str, Any], *, lead: bytes = b"") -> None:
        message = json.dumps({"execute": command, "arguments": dict(arguments)})
        try:
            self._line.settimeout(_SYNC_SECONDS)
            self._line.sendall(lead + message.encode() + b"\n")
        except OSError as error:
            raise _silent(str(error)) from error

    def _read_past(self, end: bytes, until: float) -> bytes:
        """What comes before the next ``end``."""
        while end not in self._unread:
            left = until - time.monotonic()
            if left <= 0:
                raise _silent("its answer did not come in time")
            if len(self._unread) > _MOST_BYTES:
                raise _silent("what comes from it has no end")
            self._unread += self._receive(left)
        found, _, rest = bytes(self._unread).partition(end)
        self._unread = bytearray(rest)
        return found

    def _receive(self, seconds: float) -> bytes:
        self._line.settimeout(seconds)
        try:
            data = self._line.recv(_CHUNK)
        except TimeoutError:
            return b""
        except OSError as error:
            raise _silent(str(error)) from error
        if not data:
            raise _silent("its channel was closed")
        return data


def _is_open(machine: Machine) -> bool:
    """Whether somebody inside has opened the channel."""
    lines = machine.command("query-chardev")
    return any(each["label"] == AGENT_LINE and each["frontend-open"] for each in lines)


def _silent(detail: str) -> GuestFailure:
    text = "the agent inside the server does not answer"
    return GuestFailure(FaultCause.GUEST_UNRESPONSIVE, text, detail=detail)


def _parsed(line: bytes) -> Mapping[str, Any]:
    """The answer in a line; an empty one for anything else."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _reason(command: str, error: Any) -> str:
    """As it came, for who knows what in it is secret; ``hidden`` makes it fit to be told."""
    said = error.get("desc") if isinstance(error, dict) else error
    return f"{command}: {said if isinstance(said, str) else 'it gave no reason'}"
