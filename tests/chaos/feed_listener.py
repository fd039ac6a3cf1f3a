"""A consumer at a broker that dies: what it acknowledged it keeps, and it comes back as long as it takes."""

import hashlib
import json
import threading
from contextlib import suppress
from typing import Any, NamedTuple

import amqp

from tests.brokers import KEYS
from tests.own_broker import OwnBroker

_PREFETCH = 200
_ACK_EVERY = 50


class Got(NamedTuple):
    """One message that came: its id, and a digest of all of it."""

    message_id: str
    digest: bytes


class Listener:
    """Listens in a thread of its own, at a durable queue that takes everything from the exchange."""

    def __init__(self, broker: OwnBroker, exchange: str) -> None:
        self._broker = broker
        self._exchange = exchange
        self._queue = f"{exchange}.q"
        self._lock = threading.Lock()
        self._got: list[Got] = []
        self._ids: set[str] = set()
        self._unacknowledged = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        connection = broker.connect()
        self._declare(connection.channel())
        connection.close()
        self._thread.start()

    def has(self, ids: set[str]) -> bool:
        """Whether all of these came."""
        with self._lock:
            return ids <= self._ids

    def stop(self) -> list[Got]:
        """Listen no more; everything that came, in order, repeats included."""
        self._ends.set()
        self._thread.join(60)
        with self._lock:
            return list(self._got)

    def _declare(self, channel: Any) -> None:
        channel.exchange_declare(self._exchange, "topic", durable=True, auto_delete=False)
        channel.queue_declare(self._queue, durable=True, auto_delete=False, exclusive=False)
        for key in KEYS:
            channel.queue_bind(self._queue, self._exchange, key)

    def _listen(self) -> None:
        while not self._ends.is_set():
            try:
                self._take()
            except (OSError, amqp.exceptions.AMQPError):
                self._ends.wait(0.5)

    def _take(self) -> None:
        connection = self._broker.connect()
        channel = connection.channel()
        channel.basic_qos(0, _PREFETCH, a_global=False)
        self._unacknowledged = 0
        channel.basic_consume(self._queue, callback=lambda message: self._keep(channel, message))
        try:
            while not self._ends.is_set():
                try:
                    connection.drain_events(timeout=0.5)
                except TimeoutError:
                    self._acknowledge(channel)
        finally:
            with suppress(OSError, amqp.exceptions.AMQPError):
                connection.collect()

    def _keep(self, channel: Any, message: Any) -> None:
        inner = json.loads(json.loads(message.body)["oslo.message"])
        digest = hashlib.sha256(f"{message.delivery_info['routing_key']} {message.body}".encode()).digest()
        with self._lock:
            self._got.append(Got(inner["message_id"], digest))
            self._ids.add(inner["message_id"])
        self._latest = message.delivery_tag
        self._unacknowledged += 1
        if self._unacknowledged >= _ACK_EVERY:
            self._acknowledge(channel)

    def _acknowledge(self, channel: Any) -> None:
        if self._unacknowledged:
            channel.basic_ack(self._latest, multiple=True)
            self._unacknowledged = 0
