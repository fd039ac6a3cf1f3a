"""RabbitMQ: messages as oslo.messaging's drivers ``messagingv2`` and ``messaging`` send them, byte by byte.

One connection and one channel with publisher confirms, many messages in flight; a message counts once the broker has
it (contract §10.2). Frames are made here, as the library's own take three times as long: see
``docs/decisions/0016-publishing-to-rabbitmq.md``.
"""

import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kilonova.domain.errors import Invalid
from kilonova.domain.options import option
from kilonova.sinks import Parcel, Undelivered
from kilonova.wire.envelope import enclose
from kilonova.wire.transport_url import Broker, TransportUrlMalformed, parse_transport_url

_IN_FLIGHT: Final = 2000
_WRITE_BYTES: Final = 65536
_HEARTBEAT_SECONDS: Final = 60
_ENVELOPED, _BARE = "messagingv2", "messaging"
_DRIVERS: Final = (_ENVELOPED, _BARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpSettings:
    """What a RabbitMQ sink can be told; Nova's names where Nova has the option."""

    transport_url: str = option(
        "", "The brokers, as in Nova: rabbit://user:password@host:5672,user:password@host2/vhost"
    )
    control_exchange: str = option("nova", "Topic exchange that is published to.")
    driver: str = option("messagingv2", "messagingv2, or messaging for messages without an envelope.")
    amqp_durable_queues: bool = option(False, "Whether an exchange or a queue that is not there yet is made durable.")
    ssl: bool = option(False, "Whether to connect by TLS.")
    ssl_ca_file: str = option("", "Certificates that the broker's must be signed by; empty for the system's.")
    declare_queues: bool = option(
        False,
        "Whether to make a queue for each topic and priority, so that who comes later finds what was sent before.",
    )
    queue_length: int = option(
        100_000, "Messages that may wait in such a queue; beyond that the journal holds them.", least=1
    )
    hold_unrouted: bool = option(
        False, "Whether to wait with a message that no queue takes, also where none took one before."
    )
    route_patience_seconds: int = option(
        600, "Seconds to wait for a queue to come back that took messages before.", least=0
    )
    format: str = option("", "Which notifications: unversioned, versioned or both; empty for the general setting.")


def check_amqp(settings: AmqpSettings) -> None:
    """Invalid where the brokers or the driver are none."""
    try:
        parse_transport_url(settings.transport_url)
    except TransportUrlMalformed as error:
        raise Invalid(str(error)) from error
    if settings.driver not in _DRIVERS:
        raise Invalid(f"The driver is one of {', '.join(_DRIVERS)}, not {settings.driver!r}.")


class AmqpSink:
    """Publishes to the first broker that answers."""

    keeps_log = False
    takes_gaps = False
    most_parcels = 4000

    def __init__(self, settings: AmqpSettings) -> None:
        check_amqp(settings)
        self._settings = settings
        self._brokers = parse_transport_url(settings.transport_url)
        self._is_enveloped = settings.driver == _ENVELOPED
        self._link: _Link | None = None
        self._heard: dict[str, float | None] = {}
        """Routing keys that some queue took, and since when none does."""

    def deliver(self, parcels: Iterable[Parcel], *, timeout_seconds: float) -> str:
        """Publish and wait for all confirms."""
        deadline = time.monotonic() + timeout_seconds
        keys: list[str] = []
        try:
            link = self._connected(deadline)
            if self._settings.declare_queues:
                parcels = list(parcels)
                self._declare(link, parcels)
            outcome = link.publish(self._outgoing(parcels, keys), deadline)
        except Exception as error:
            confirmed = self._link.confirmed if self._link else 0
            self.close()
            if not isinstance(error, _troubles()):
                raise
            raise Undelivered(_told(error), confirmed=confirmed) from error
        self._check_routes(keys, outcome.returned)
        if outcome.confirmed < len(keys):
            raise Undelivered("the broker refused a message", confirmed=outcome.confirmed)
        return f"{len(keys)} confirmed"

    def idle(self) -> None:
        """Answer the broker's heartbeats."""
        if self._link is None:
            return
        try:
            self._link.beat()
        except _troubles():
            self.close()

    def close(self) -> None:
        """Hang up."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _connected(self, deadline: float) -> "_Link":
        if self._link is None:
            self._link = _Link.open(self._brokers, self._settings, deadline)
        self._link.confirmed = 0
        return self._link

    def _declare(self, link: "_Link", parcels: Sequence[Parcel]) -> None:
        if self._settings.declare_queues:
            for key in dict.fromkeys(parcel.routing_key for parcel in parcels):
                waiting = link.ensure_queue(key)
                if waiting >= self._settings.queue_length:
                    raise _QueueFull(f"{waiting} messages wait in the queue {key} for somebody to take them")

    def _outgoing(self, parcels: Iterable[Parcel], keys: list[str]) -> Iterator[tuple[str, bytes, bool]]:
        """Key, body and whether to be told that no queue takes it: always where one did before, else now and then.

        ``keys`` gets the key of every parcel.
        """
        asked: set[str] = set()
        for parcel in parcels:
            key = parcel.routing_key
            is_mandatory = key in self._heard or self._settings.hold_unrouted or key not in asked
            asked.add(key)
            keys.append(key)
            body = enclose(parcel.body, msgspec.json.encode) if self._is_enveloped else parcel.body
            yield key, body, is_mandatory

    def _check_routes(self, keys: Sequence[str], returned: set[str]) -> None:
        """Hold back what a queue used to take: a consumer that comes back after its broker's end finds it all."""
        now = time.monotonic()
        for key in set(keys) - returned:
            self._heard[key] = None
        waiting = set(returned) if self._settings.hold_unrouted else set()
        for key in returned & self._heard.keys():
            since = self._heard[key] or now
            self._heard[key] = since
            if now - since <= self._settings.route_patience_seconds:
                waiting.add(key)
            else:
                del self._heard[key]
        if waiting:
            first = next(at for at, key in enumerate(keys) if key in waiting)
            raise Undelivered(f"no queue takes {', '.join(sorted(waiting))}", confirmed=first)


class _QueueFull(OSError):
    """Nobody takes what waits in a queue."""


@dataclass(slots=True)
class _Outcome:
    """How many of the messages the broker has, counted from the first, and the keys that no queue takes."""

    confirmed: int
    returned: set[str]


class _Link:
    """One connection with its channel."""

    def __init__(self, connection: Any, settings: AmqpSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._queues: set[str] = set()
        self._returned: set[str] = set()
        self._states = bytearray()
        self._first_tag = 1
        self._is_refused = False
        self.confirmed = 0
        self._channel = connection.channel()
        self._ensure_exchange()
        self._channel.events["basic_ack"].add(self._acked)
        self._channel.events["basic_nack"].add(self._nacked)
        self._channel.events["basic_return"].add(self._came_back)
        self._channel.confirm_select()
        self._exchange = _short(settings.control_exchange)
        self._properties = _properties()
        self._methods: dict[tuple[str, bool], bytes] = {}

    @classmethod
    def open(cls, brokers: Sequence[Broker], settings: AmqpSettings, deadline: float) -> "_Link":
        """To the first broker that answers; the last one's error where none does."""
        import amqp

        for broker in brokers:
            seconds = max(1.0, min(5.0, deadline - time.monotonic()))
            connection = amqp.Connection(
                host=f"{broker.host}:{broker.port}",
                userid=broker.user,
                password=broker.password,
                login_method="PLAIN",
                virtual_host=broker.virtual_host,
                heartbeat=_HEARTBEAT_SECONDS,
                connect_timeout=seconds,
                read_timeout=10,
                write_timeout=10,
                ssl=_tls(settings, broker),
                client_properties={"product": "kilonova", "connection_name": "kilonova feed"},
            )
            try:
                connection.connect()
                return cls(connection, settings)
            except _troubles():
                connection.collect()
                if broker is brokers[-1]:
                    raise
        raise OSError("there is no broker")

    def publish(self, outgoing: Iterable[tuple[str, bytes, bool]], deadline: float) -> _Outcome:
        """Send everything as it comes and wait for the confirms; OSError when they do not come in time."""
        self._states = bytearray()
        self._returned = set()
        self._is_refused = False
        self.confirmed = 0
        gathered = bytearray()
        for sent, (key, body, is_mandatory) in enumerate(outgoing, start=1):
            self._states.append(0)
            self._frames(gathered, key, body, is_mandatory=is_mandatory)
            if len(gathered) >= _WRITE_BYTES:
                self._write(gathered)
                _check_time(deadline)
            while sent - self.confirmed >= _IN_FLIGHT and not self._is_refused:
                self._write(gathered)
                self._drain(deadline)
        self._write(gathered)
        while 0 in self._states:
            self._drain(deadline)
        self._first_tag += len(self._states)
        return _Outcome(self.confirmed, self._returned)

    def ensure_queue(self, key: str) -> int:
        """A queue with the name of the key, bound by it; returns how many messages wait in it.

        One that is there is left as it is. It is declared as consumers do, without arguments: a bound among those would
        keep every consumer out that knows nothing of it.
        """
        import amqp

        aside = self._connection.channel()
        try:
            waiting = int(aside.queue_declare(key, passive=True).message_count)
        except amqp.exceptions.NotFound:
            aside, waiting = self._connection.channel(), 0
            durable = self._settings.amqp_durable_queues
            aside.queue_declare(key, durable=durable, auto_delete=False, exclusive=False)
            self._queues.discard(key)
        if key not in self._queues:
            aside.queue_bind(key, self._settings.control_exchange, key)
            self._queues.add(key)
        aside.close()
        return waiting

    def beat(self) -> None:
        """Read what the broker says, and send what is due."""
        with suppress(TimeoutError):
            self._connection.drain_events(timeout=0.001)
        self._connection.heartbeat_tick()

    def close(self) -> None:
        """Hang up, whatever the broker says to it."""
        try:
            self._connection.collect()
        except OSError:
            return

    def _ensure_exchange(self) -> None:
        """As it is, if it is there: a consumer may have made it durable or not."""
        import amqp

        name = self._settings.control_exchange
        try:
            self._channel.exchange_declare(name, "topic", passive=True)
        except amqp.exceptions.NotFound:
            self._channel = self._connection.channel()
            durable = self._settings.amqp_durable_queues
            self._channel.exchange_declare(name, "topic", durable=durable, auto_delete=False)

    def _write(self, gathered: bytearray) -> None:
        if gathered:
            self._connection.transport.write(bytes(gathered))
            self._connection.bytes_sent += 1  # what keeps it from sending heartbeats as well
            gathered.clear()

    def _drain(self, deadline: float) -> None:
        self._connection.drain_events(timeout=_check_time(deadline))

    def _frames(self, into: bytearray, key: str, body: bytes, *, is_mandatory: bool) -> None:
        """A basic.publish with its content (AMQP 0-9-1 §4.2.3, §1.8.3.7)."""
        into += self._method(key, is_mandatory=is_mandatory)
        into += self._frame(2, struct.pack(">HHQ", 60, 0, len(body)) + self._properties)
        largest = self._connection.frame_max - 8
        for begin in range(0, len(body), largest):
            into += self._frame(3, body[begin : begin + largest])

    def _method(self, key: str, *, is_mandatory: bool) -> bytes:
        """The frame that says where to; there are but a few of them."""
        made = self._methods.get((key, is_mandatory))
        if made is None:
            where = self._exchange + _short(key) + (b"\x01" if is_mandatory else b"\x00")
            made = self._methods[key, is_mandatory] = self._frame(1, b"\x00\x3c\x00\x28\x00\x00" + where)
        return made

    def _frame(self, kind: int, payload: bytes) -> bytes:
        return b"%b%b\xce" % (struct.pack(">BHI", kind, self._channel.channel_id, len(payload)), payload)

    def _acked(self, *told: int) -> None:
        self._settle(*told, state=1)

    def _nacked(self, *told: int) -> None:
        self._is_refused = True
        self._settle(*told, state=2)

    def _settle(self, tag: int, is_multiple: int, *, state: int) -> None:
        """Note what the broker said of one message, or of all up to it that it had not spoken of yet."""
        at = tag - self._first_tag
        for index in range(self.confirmed if is_multiple else at, at + 1):
            if not self._states[index]:
                self._states[index] = state
        while self.confirmed < len(self._states) and self._states[self.confirmed] == 1:
            self.confirmed += 1

    def _came_back(self, _error: Exception, _exchange: str, routing_key: str, _message: object) -> None:
        self._returned.add(routing_key)


def _check_time(deadline: float) -> float:
    """The seconds that are left. TimeoutError where there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the broker did not confirm in time")
    return left


def _troubles() -> tuple[type[Exception], ...]:
    """What a broker that is away, or says no, raises."""
    import amqp

    return (OSError, amqp.exceptions.AMQPError)


def _properties() -> bytes:
    """What oslo.messaging sets: type, encoding, empty headers, persistent, priority 0 (contract §10.2)."""
    from amqp.basic_message import Message

    message = Message(
        "",
        content_type="application/json",
        content_encoding="utf-8",
        application_headers={},
        delivery_mode=2,
        priority=0,
    )
    encoded: bytes = message._serialize_properties()  # noqa: SLF001  the library has no public name for it
    return encoded


def _short(text: str) -> bytes:
    encoded = text.encode()
    return bytes([len(encoded)]) + encoded


def _tls(settings: AmqpSettings, broker: Broker) -> Any:
    if not settings.ssl and not broker.is_tls:
        return False
    import ssl

    context = ssl.create_default_context(cafile=settings.ssl_ca_file or None)
    return {"context": context, "server_hostname": broker.host}


def _told(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return f"the broker's name is not known: {error.strerror}"
    text = getattr(error, "strerror", None) or getattr(error, "reply_text", None) or str(error)
    return f"the broker: {text or type(error).__name__}"
