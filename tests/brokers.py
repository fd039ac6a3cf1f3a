"""RabbitMQ for tests: a consumer of an exchange of the test's own, and a broker that can be cut off.

The broker is other people's too: nothing is stopped there. What is cut is the way to it.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import amqp

from tests.services_available import rabbitmq_url, require_or_skip

KEYS = ("notifications.info", "notifications.error", "versioned_notifications.info", "versioned_notifications.error")


class Exchange:
    """An exchange of its own, with one queue that takes everything."""

    def __init__(self, *, is_bound: bool = True) -> None:
        self.name = f"kilonova-test-{uuid4().hex}"
        self.queue = f"{self.name}.q"
        place = urlsplit(rabbitmq_url())
        self.host, self.port = place.hostname or "127.0.0.1", place.port or 5672
        self.account = f"{place.username}:{place.password}"
        self._connection = amqp.Connection(
            f"{self.host}:{self.port}", userid=place.username, password=place.password, login_method="PLAIN"
        )
        try:
            self._connection.connect()
        except OSError as error:
            require_or_skip(f"rabbitmq does not answer: {error}")
        self.channel = self._connection.channel()
        self.channel.exchange_declare(self.name, "topic", durable=False, auto_delete=False)
        if is_bound:
            self.bind()

    def url(self, port: int | None = None) -> str:
        """The transport_url, by way of another port if wanted."""
        return (
            f"rabbit://{self.account}@127.0.0.1:{port}/"
            if port
            else f"rabbit://{self.account}@{self.host}:{self.port}/"
        )

    def bind(self) -> None:
        """Have the queue take everything from now on."""
        self.channel.queue_declare(self.queue, exclusive=True, auto_delete=False)
        for key in KEYS:
            self.channel.queue_bind(self.queue, self.name, key)

    def take(self) -> Any | None:
        """The next message as it came, None where there is none."""
        return self.channel.basic_get(self.queue, no_ack=True)

    def drain(self) -> list[dict[str, Any]]:
        """The inner messages that are there, with their routing keys."""
        found = []
        while (message := self.take()) is not None:
            document = json.loads(message.body)
            inner = json.loads(document["oslo.message"]) if "oslo.message" in document else document
            found.append({"routing_key": message.delivery_info["routing_key"], **inner})
        return found

    def close(self) -> None:
        """Take it all away."""
        self.channel.exchange_delete(self.name)
        self._connection.close()


@contextmanager
def exchange(*, is_bound: bool = True) -> Iterator[Exchange]:
    """An exchange for as long as a test needs it."""
    made = Exchange(is_bound=is_bound)
    try:
        yield made
    finally:
        made.close()


class Cable:
    """A way to the broker that can be cut: a proxy on a port of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self.is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop every connection in the middle of whatever it says, and refuse new ones."""
        with self._lock:
            self.is_cut = True
            ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def mend(self) -> None:
        """Let connections through again."""
        with self._lock:
            self.is_cut = False

    def close(self) -> None:
        """No more of it."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            with self._lock:
                is_open = not self.is_cut
                if is_open:
                    self._ends += [near, far]
            if not is_open:
                near.close()
                far.close()
                continue
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cable(target: Exchange) -> Iterator[Cable]:
    """A way to the exchange's broker."""
    made = Cable(target.host, target.port)
    try:
        yield made
    finally:
        made.close()
