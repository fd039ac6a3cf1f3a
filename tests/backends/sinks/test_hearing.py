"""The console's ear on a real broker: a queue of its own, and back again whatever happens to the broker."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import amqp

from kilonova.console.intake import Bus, Listener, Notices
from tests.brokers import Exchange, cable, exchange
from tests.unit.console.test_intake import body
from tests.waiting import wait_until


@contextmanager
def heard(nova: Exchange, port: int | None = None) -> Iterator[Notices]:
    """What is heard of an exchange, for as long as a test needs it."""
    bus = Bus(url=nova.url(port), exchange=nova.name)
    notices = Notices(bus.place)
    listener = Listener(bus, notices)
    listener.start()
    try:
        yield notices
    finally:
        listener.stop()


def tell(nova: Exchange, *messages: bytes, key: str = "notifications.info") -> None:
    for each in messages:
        nova.channel.basic_publish(amqp.Message(each, content_encoding="utf-8"), nova.name, key)


def numbered(first: int, count: int) -> list[bytes]:
    return [body("versioned instance.create.end", message_id=f"m{each}") for each in range(first, first + count)]


def test_every_topic_and_priority_is_heard_and_nothing_is_taken_from_others() -> None:
    with exchange() as nova, heard(nova) as notices:
        wait_until(lambda: notices.hearing.state == "listening", "the console's ear")
        keys = (
            "notifications.info",
            "notifications.error",
            "versioned_notifications.info",
            "versioned_notifications.error",
        )
        for number, key in enumerate(keys):
            tell(nova, *numbered(number, 1), key=key)
        tell(nova, b"no notification", json.dumps({"oslo.version": "2.0", "oslo.message": "{}"}).encode())
        wait_until(lambda: (notices.count, notices.hearing.unreadable) == (4, 2), "all of the messages")
        assert [nova.take() is not None for _ in range(7)] == [True] * 6 + [False]


def test_a_burst_is_heard_to_its_end() -> None:
    with exchange(is_bound=False) as nova, heard(nova) as notices:
        wait_until(lambda: notices.hearing.state == "listening", "the console's ear")
        tell(nova, *numbered(0, 3000))
        wait_until(lambda: notices.count == 3000, "three thousand messages")


def test_an_exchange_that_is_not_there_is_waited_for_and_never_made() -> None:
    with exchange(is_bound=False) as nova:
        nova.channel.exchange_delete(nova.name)
        with heard(nova) as notices:
            wait_until(lambda: "is not there yet" in notices.hearing.trouble, "the trouble")
            nova.channel.exchange_declare(nova.name, "topic", durable=True, auto_delete=False)
            wait_until(lambda: notices.hearing.state == "listening", "the exchange")


def test_a_broker_that_was_away_is_heard_again() -> None:
    with exchange(is_bound=False) as nova, cable(nova) as way, heard(nova, way.port) as notices:
        wait_until(lambda: notices.hearing.state == "listening", "the console's ear")
        way.cut()
        wait_until(lambda: notices.hearing.state == "away", "the cut")
        assert notices.hearing.trouble
        way.mend()
        wait_until(lambda: notices.hearing.state == "listening", "the broker")
        assert notices.hearing.breaks == 1
        tell(nova, *numbered(0, 1))
        wait_until(lambda: notices.count == 1, "the message")


def test_a_wrong_password_is_said_and_the_thread_goes_on() -> None:
    with exchange(is_bound=False) as nova:
        bus = Bus(url=nova.url().replace(nova.account, "nobody:wrong"), exchange=nova.name)
        notices = Notices(bus.place)
        listener = Listener(bus, notices)
        listener.start()
        wait_until(lambda: notices.hearing.state == "away", "the refusal")
        listener.stop()
        assert "wrong" not in notices.hearing.trouble
