"""The RabbitMQ sink against a real broker: bytes, confirms, refusals, cuts, and who listens."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.sinks import Parcel, Undelivered
from kilonova.sinks.amqp import AmqpSettings, AmqpSink
from tests.brokers import Exchange, cable, exchange


@pytest.fixture
def nova() -> Iterator[Exchange]:
    with exchange() as made:
        yield made


def sink(nova: Exchange, port: int | None = None, **settings: Any) -> AmqpSink:
    return AmqpSink(AmqpSettings(transport_url=nova.url(port), control_exchange=nova.name, **settings))


def parcels(count: int, key: str = "notifications.info", size: int = 10) -> list[Parcel]:
    return [
        Parcel(
            seq=number,
            routing_key=key,
            message_id=f"m{number}",
            body=json.dumps({"message_id": f"m{number}", "x": "é" * size}, ensure_ascii=False).encode(),
        )
        for number in range(1, count + 1)
    ]


def test_messages_have_the_properties_and_the_envelope_of_oslo_messaging(nova: Exchange) -> None:
    made = sink(nova)
    assert made.deliver(parcels(1), timeout_seconds=60) == "1 confirmed"
    made.close()
    message = nova.take()
    assert message is not None
    assert message.properties == {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "application_headers": {},
        "delivery_mode": 2,
        "priority": 0,
    }
    outer = json.loads(message.body)
    assert (list(outer), outer["oslo.version"]) == (["oslo.version", "oslo.message"], "2.0")
    assert json.loads(outer["oslo.message"]) == {"message_id": "m1", "x": "é" * 10}


def test_the_older_driver_sends_no_envelope(nova: Exchange) -> None:
    made = sink(nova, driver="messaging")
    made.deliver(parcels(1), timeout_seconds=60)
    made.close()
    message = nova.take()
    assert message is not None
    assert json.loads(message.body)["message_id"] == "m1"


def test_thousands_arrive_in_order_and_so_do_messages_of_many_frames(nova: Exchange) -> None:
    made = sink(nova)
    made.deliver(parcels(2000), timeout_seconds=60)
    made.deliver(parcels(3, "versioned_notifications.error", size=400_000), timeout_seconds=60)
    made.close()
    found = nova.drain()
    assert [each["message_id"] for each in found] == [f"m{number}" for number in (*range(1, 2001), 1, 2, 3)]
    assert found[-1]["routing_key"] == "versioned_notifications.error"
    assert len(found[-1]["x"]) == 400_000


def test_a_cut_connection_is_a_failure_that_says_how_much_is_certain(nova: Exchange) -> None:
    with cable(nova) as way:
        made = sink(nova, way.port)
        made.deliver(parcels(5), timeout_seconds=60)
        way.cut()
        with pytest.raises(Undelivered, match="the broker") as caught:
            made.deliver(parcels(5), timeout_seconds=60)
        assert caught.value.confirmed == 0
        with pytest.raises(Undelivered):
            made.deliver(parcels(5), timeout_seconds=60)
        way.mend()
        made.deliver(parcels(5), timeout_seconds=60)
        made.close()
    assert len(nova.drain()) == 10


def test_a_refused_message_is_not_certain_nor_is_anything_behind_it(nova: Exchange) -> None:
    """The queue takes three messages and refuses more, which the broker tells by a nack."""
    nova.channel.queue_declare(
        f"{nova.name}.small", exclusive=True, arguments={"x-max-length": 3, "x-overflow": "reject-publish"}
    )
    nova.channel.queue_bind(f"{nova.name}.small", nova.name, "notifications.error")
    made = sink(nova)
    with pytest.raises(Undelivered, match="refused") as caught:
        made.deliver(parcels(6, "notifications.error"), timeout_seconds=60)
    made.close()
    assert caught.value.confirmed == 3


def test_what_a_queue_used_to_take_waits_for_it_to_come_back() -> None:
    with exchange() as nova:
        made = sink(nova)
        made.deliver(parcels(2), timeout_seconds=60)
        nova.channel.queue_delete(nova.queue)
        with pytest.raises(Undelivered, match=r"no queue takes notifications\.info") as caught:
            made.deliver([*parcels(1, "notifications.error"), *parcels(2)], timeout_seconds=60)
        assert caught.value.confirmed == 1
        nova.bind()
        made.deliver(parcels(2), timeout_seconds=60)
        made.close()
        assert len(nova.drain()) == 2


def test_what_nobody_ever_took_is_let_go_unless_it_is_to_be_held() -> None:
    with exchange(is_bound=False) as nova:
        easy, strict = sink(nova), sink(nova, hold_unrouted=True)
        assert easy.deliver(parcels(3), timeout_seconds=60) == "3 confirmed"
        with pytest.raises(Undelivered, match="no queue"):
            strict.deliver(parcels(3), timeout_seconds=60)
        easy.close()
        strict.close()


def test_queues_are_made_when_told_to_and_are_not_filled_beyond_their_bound() -> None:
    with exchange(is_bound=False) as nova:
        key = f"{nova.name}.info"
        made = sink(nova, declare_queues=True, queue_length=3)
        made.deliver(parcels(3, key), timeout_seconds=60)
        with pytest.raises(Undelivered, match="3 messages wait in the queue"):
            made.deliver(parcels(1, key), timeout_seconds=60)
        nova.channel.queue_declare(key, durable=False, auto_delete=False)  # as a consumer does: nobody is kept out
        kept = [nova.channel.basic_get(key, no_ack=True) for _ in range(4)]
        made.deliver(parcels(1, key), timeout_seconds=60)
        made.close()
        nova.channel.queue_delete(key)
    assert [message is not None for message in kept] == [True, True, True, False]


def test_an_exchange_that_is_not_there_is_made_and_one_that_is_there_is_taken_as_it_is(nova: Exchange) -> None:
    name = f"{nova.name}-new"
    for durable in (True, False):
        settings = AmqpSettings(transport_url=nova.url(), control_exchange=name, amqp_durable_queues=durable)
        made = AmqpSink(settings)
        made.deliver(parcels(1), timeout_seconds=60)
        made.close()
    nova.channel.exchange_declare(name, "topic", durable=True, auto_delete=False)
    nova.channel.exchange_delete(name)


def test_the_first_broker_that_answers_is_taken(nova: Exchange) -> None:
    url = f"rabbit://{nova.account}@127.0.0.1:1,127.0.0.1:{nova.port}/"
    made = AmqpSink(AmqpSettings(transport_url=url, control_exchange=nova.name))
    assert made.deliver(parcels(1), timeout_seconds=60) == "1 confirmed"
    made.idle()
    made.close()
