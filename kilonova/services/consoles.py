"""Remote consoles: who may reach a server's screen or serial port for a while, and the way there (contract §11.11).

A token is a random text that is told once and kept as a digest. It leads to one console of one server on one host, and
is gone with the server, with a move to another host, and after its time. What is opened by it stays open for as long as
the guest runs.
"""

import contextlib
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kilonova.domain.digest import digest_of
from kilonova.domain.errors import Conflict, Invalid, NotFound, NotSupported
from kilonova.domain.model import Clock, Instance, after
from kilonova.domain.remote_consoles import ConsoleKind, ConsoleToken
from kilonova.domain.states import PowerState, TaskState
from kilonova.drivers.protocol import CanOpenConsole, Driver
from kilonova.services.console_settings import RemoteConsoleSettings
from kilonova.store.console_tokens import add_console_token, find_console_token, purge_console_tokens
from kilonova.store.database import Database
from kilonova.store.instances import find_instance

_MOST_TOKENS: Final = 32
"""Of one server at a time; whoever asks for more makes the oldest useless."""
_MOST_OPEN: Final = 16
"""Of one server at a time: each takes memory of its QEMU, and a place from others."""
_MOST_OPEN_OF_ALL: Final = 400
"""Each takes a connection to the proxy, which has some for pages beside these."""
_TYPES: Final = {ConsoleKind.VNC: "novnc", ConsoleKind.SERIAL: "serial"}
"""As Nova calls what is opened."""
_ON_THE_MOVE: Final = frozenset({TaskState.DELETING, TaskState.MIGRATING})
_ON: Final = frozenset({PowerState.RUNNING, PowerState.PAUSED})


@dataclass(frozen=True, slots=True, eq=False)
class ConsoleSession:
    """A console that was opened: ``line`` is the guest's end of it, for whoever opened it to close."""

    token: ConsoleToken
    line: socket.socket


class Consoles:
    """Gives out tokens and opens what they lead to; safe to share between threads. ``drivers`` are by host.

    ``port`` is where the proxy listens, once it does.
    """

    def __init__(
        self, database: Database, clock: Clock, drivers: Mapping[str, Driver], settings: RemoteConsoleSettings
    ) -> None:
        self.settings = settings
        self.port = settings.vnc.novncproxy_port
        self._database = database
        self._clock = clock
        self._drivers = drivers
        self._guard = threading.Lock()
        self._serial: dict[str, ConsoleSession] = {}
        self._open: Counter[ConsoleKind] = Counter()
        self._open_of: Counter[str] = Counter()

    def order(self, instance: Instance, kind: ConsoleKind) -> str:
        """A new token for a console of the server.

        Conflict while the server has none, since it is not on a host, is off, or is on its way; Invalid where the
        settings have such consoles switched off, NotSupported where its host's driver has none of the kind.
        """
        driver = self._drivers.get(instance.host or "")
        if instance.host is None or driver is None or instance.power_state not in _ON:
            raise Conflict(f"Instance {instance.uuid} is not ready")
        if instance.task_state in _ON_THE_MOVE:
            state = f"task_state {instance.task_state}"
            raise Conflict(f"Cannot 'get_{kind}_console' instance {instance.uuid} while it is in {state}")
        if not self._is_enabled(kind):
            raise Invalid(f"Unavailable console type {_TYPES[kind]}.")
        _able(driver, kind)
        text = secrets.token_hex(32)  # no command takes it for an option, as one that begins with a hyphen
        token = ConsoleToken(
            digest=digest_of(text),
            instance_uuid=instance.uuid,
            host=instance.host,
            kind=kind,
            expires_at=after(self._clock(), self.settings.consoleauth.token_ttl),
        )
        self._database.run(lambda tx: add_console_token(tx, token, most=_MOST_TOKENS))
        return text

    def get(self, text: str) -> ConsoleToken:
        """Where a token leads. NotFound where it is unknown, has expired, or its server is gone or elsewhere."""
        with self._database.read() as connection:
            token = find_console_token(connection, digest_of(text), now=self._clock())
        if token is None or not self._is_there(token):
            raise NotFound("Token not found")
        return token

    def open(self, text: str) -> ConsoleSession:
        """Open the console that a token leads to; of a serial port, whoever had it before loses it.

        NotFound as ``get``; NotSupported, and what the driver raises, where there is no console at the moment; Conflict
        while as many are open as may be.
        """
        token = self.get(text)
        driver = self._drivers.get(token.host)
        if driver is None:
            raise NotFound("Token not found")
        able = _able(driver, token.kind)
        self._admit(token)
        try:
            return self._opened(able, token)
        except BaseException:
            self._dismiss(token)
            raise

    def _opened(self, driver: CanOpenConsole, token: ConsoleToken) -> ConsoleSession:
        is_serial = token.kind is ConsoleKind.SERIAL
        if is_serial:
            self._end_serial(token.instance_uuid)
        session = ConsoleSession(token, driver.open_console(token.instance_uuid, token.kind))
        if is_serial:
            self._end_serial(token.instance_uuid, session)  # of somebody who came in the same moment
        return session

    def count_open(self) -> Mapping[ConsoleKind, int]:
        """How many consoles are open, of each kind."""
        with self._guard:
            return {kind: self._open[kind] for kind in ConsoleKind}

    def close(self, session: ConsoleSession) -> None:
        """Let go of a console, once."""
        uuid = session.token.instance_uuid
        with self._guard:
            if self._serial.get(uuid) is session:
                del self._serial[uuid]
        self._dismiss(session.token)
        session.line.close()

    def is_wanted(self, session: ConsoleSession) -> bool:
        """Whether a console may stay open: its server is where it was, and its time is not over, if it has one."""
        is_over = self.settings.consoleauth.enforce_session_timeout and session.token.expires_at <= self._clock()
        return not is_over and self._is_there(session.token)

    def sweep(self) -> bool:
        """Forget the tokens that have expired. Always False: nothing is left to do at once."""
        self._database.run(lambda tx: purge_console_tokens(tx, self._clock()))
        return False

    def _admit(self, token: ConsoleToken) -> None:
        """Count one more console. Raises Conflict where there may be none."""
        with self._guard:
            if self._open_of[token.instance_uuid] >= _MOST_OPEN:
                raise Conflict(f"Instance {token.instance_uuid} has as many consoles open as it can: {_MOST_OPEN}")
            if self._open.total() >= _MOST_OPEN_OF_ALL:
                raise Conflict(f"As many consoles are open as can be: {_MOST_OPEN_OF_ALL}")
            self._open[token.kind] += 1
            self._open_of[token.instance_uuid] += 1

    def _dismiss(self, token: ConsoleToken) -> None:
        with self._guard:
            self._open[token.kind] -= 1
            self._open_of[token.instance_uuid] -= 1
            if not self._open_of[token.instance_uuid]:
                del self._open_of[token.instance_uuid]

    def _end_serial(self, uuid: str, successor: ConsoleSession | None = None) -> None:
        """End the session that has the server's serial port, if there is one; the successor has it from now on."""
        with self._guard:
            former = self._serial.pop(uuid, None)
            if successor is not None:
                self._serial[uuid] = successor
            if former is not None:
                with contextlib.suppress(OSError):  # it ended by itself
                    former.line.shutdown(socket.SHUT_RDWR)

    def _is_there(self, token: ConsoleToken) -> bool:
        with self._database.read() as connection:
            instance = find_instance(connection, token.instance_uuid)
        return instance is not None and instance.host == token.host

    def _is_enabled(self, kind: ConsoleKind) -> bool:
        return self.settings.vnc.enabled if kind is ConsoleKind.VNC else self.settings.serial_console.enabled


def _able(driver: Driver, kind: ConsoleKind) -> CanOpenConsole:
    if not isinstance(driver, CanOpenConsole) or kind not in driver.consoles:
        raise NotSupported(f"The driver of the server's host offers no remote console of the kind {kind}.")
    return driver
