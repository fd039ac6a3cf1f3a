"""Listens on Nova's message bus (RabbitMQ): a queue of its own, which goes when it goes, bound to Nova's topics.

Nothing is taken from anybody: other consumers have their own queues. Nothing is made that Nova would trip over: an
exchange that is not there is waited for, never declared. The queue is bounded: a console that stands still fills no
broker.
"""

import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from kilonova.console.intake.notices import MOST_WAITING, Notices
from kilonova.wire.transport_url import Broker, parse_transport_url

_log = logging.getLogger(__name__)

_HEARTBEAT_SECONDS: Final = 30
_TURN_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 15.0
"""How often the queue is bound anew and counted: an exchange that was made anew has lost its bindings."""
_PREFETCHED: Final = 200
_LEAST_PAUSE: Final = 0.5
_MOST_PAUSE: Final = 30.0
_PATIENCE_SECONDS: Final = 10.0
"""How long a broker that does not answer may keep the process from ending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bus:
    """Where notifications are. ``url`` is a ``transport_url`` as Nova's configuration has it.

    Each topic is heard at every priority; one that nobody sends to costs nothing. ``ca_file`` has the certificates that
    a broker reached by TLS (``?ssl=1``) must be signed by, empty for the system's. TransportUrlMalformed for a URL that
    is none.
    """

    url: str
    exchange: str = "nova"
    topics: Sequence[str] = ("notifications", "versioned_notifications")
    ca_file: str = ""

    def __post_init__(self) -> None:
        parse_transport_url(self.url)

    @property
    def brokers(self) -> tuple[Broker, ...]:
        """In the order in which they are tried."""
        return parse_transport_url(self.url)

    @property
    def place(self) -> str:
        """Where it is, for people: without an account."""
        hosts = ",".join(f"{each.host}:{each.port}" for each in self.brokers)
        return f"amqp://{hosts} {self.exchange}: {', '.join(self.topics)}"


class Listener:
    """Hears a bus in a thread of its own, and comes back to it ever more slowly while it is away."""

    def __init__(self, bus: Bus, notices: Notices) -> None:
        self._bus = bus
        self._notices = notices
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; the broker takes the queue away."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_SECONDS)

    def _run(self) -> None:
        pause = _LEAST_PAUSE
        while not self._ended.is_set():
            before = self._notices.hearing.breaks
            try:
                self._listen()
            except _troubles() as error:
                self._notices.lost(_told(error))
            except Exception as error:  # noqa: BLE001  whatever it is, the bus is heard again; the page and the log say it
                _log.exception("hearing notifications failed")
                self._notices.lost(f"{type(error).__name__}: {error}"[:255])
            if self._notices.hearing.breaks != before:
                pause = _LEAST_PAUSE
            self._ended.wait(random.uniform(pause / 2, pause))  # noqa: S311  nothing secret
            pause = min(pause * 2, _MOST_PAUSE)

    def _listen(self) -> None:
        """Hear until it is ended, or the connection is."""
        import amqp

        connection = self._connected()
        try:
            channel = connection.channel()
            channel.auto_decode = False
            queue = channel.queue_declare(
                "", exclusive=True, auto_delete=True, arguments={"x-max-length": MOST_WAITING}
            ).queue
            self._bind(channel, queue)
            channel.basic_qos(0, _PREFETCHED, False)
            channel.basic_consume(queue, callback=self._taking(channel))
            look_at = time.monotonic() + _LOOK_SECONDS
            while not self._ended.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=_TURN_SECONDS)
                connection.heartbeat_tick()
                if time.monotonic() >= look_at:
                    self._bind(channel, queue)
                    look_at = time.monotonic() + _LOOK_SECONDS
            connection.close()
        except amqp.exceptions.NotFound as error:
            raise OSError(f"the exchange {self._bus.exchange} is not there yet") from error
        finally:
            with suppress(*_troubles()):
                connection.collect()

    def _bind(self, channel: Any, queue: str) -> None:
        """Have all topics come, and see how many messages wait."""
        for topic in self._bus.topics:
            channel.queue_bind(queue, self._bus.exchange, f"{topic}.*")
        self._notices.listening(waiting=channel.queue_declare(queue, passive=True).message_count)

    def _taking(self, channel: Any) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            self._notices.take(message.body)
            channel.basic_ack(message.delivery_tag)

        return take

    def _connected(self) -> Any:
        """To the first broker that answers; the last one's error where none does."""
        import amqp

        brokers = self._bus.brokers
        for broker in brokers:
            connection = amqp.Connection(
                host=f"{broker.host}:{broker.port}",
                userid=broker.user,
                password=broker.password,
                login_method="PLAIN",
                virtual_host=broker.virtual_host,
                heartbeat=_HEARTBEAT_SECONDS,
                connect_timeout=5,
                read_timeout=10,
                write_timeout=10,
                ssl=self._tls(broker),
                client_properties={"product": "kilonova", "connection_name": "kilonova console"},
            )
            try:
                connection.connect()
            except _troubles():
                connection.collect()
                if broker is brokers[-1]:
                    raise
            else:
                return connection
        raise OSError("there is no broker")

    def _tls(self, broker: Broker) -> Any:
        if not broker.is_tls:
            return False
        context = ssl.create_default_context(cafile=self._bus.ca_file or None)
        return {"context": context, "server_hostname": broker.host}


def _troubles() -> tuple[type[Exception], ...]:
    """What a broker that is away, or says no, raises."""
    import amqp

    return (OSError, amqp.exceptions.AMQPError)


def _told(error: Exception) -> str:
    text = getattr(error, "reply_text", None) or getattr(error, "strerror", None) or str(error)
    return str(text or type(error).__name__)[:255]
