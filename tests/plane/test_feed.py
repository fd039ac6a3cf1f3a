"""The feed: every change is told to every sink, in order and for certain, whatever happens to the sinks."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.bootstrap import build_relay
from kilonova.domain.model import after
from kilonova.notifications import NotificationOptions, render
from kilonova.services.courier import Courier, Depot
from kilonova.services.relay import Relay
from kilonova.sinks import Parcel, Undelivered
from kilonova.store import journal, sinks
from kilonova.store.forgetting import forget
from kilonova.store.sinks import NewSink
from tests.backends.sinks.test_file_and_webhook import SECRET, Receiver
from tests.backends.store.worlds import changed, kept
from tests.brokers import cable, exchange
from tests.plane.house import House, lived_in


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def relay_of(house: House) -> Relay:
    found = house.cloud.plane.relay
    assert found is not None
    return found


def carry(house: House) -> None:
    """Let the relay do all there is to do."""
    while relay_of(house).step():
        pass


def lines(house: House, name: str = "file") -> list[dict[str, Any]]:
    folder = house.cloud.state_dir / "feed" / name
    return [json.loads(line) for file in sorted(folder.glob("*.ndjson")) for line in file.read_text().splitlines()]


def sink(house: House, name: str) -> dict[str, Any]:
    reply = house.call("GET", f"//state/v1/sinks/{name}")
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()["sink"]
    return found


def add(house: House, name: str, kind: str, **settings: Any) -> None:
    after_seq = {"after": settings.pop("after")} if "after" in settings else {}
    body = {"sink": {"name": name, "kind": kind, "settings": settings, **after_seq}}
    reply = house.call("POST", "//state/v1/sinks", body)
    assert reply.status_code == 201, reply.text


def act(house: House, name: str, action: dict[str, Any]) -> Any:
    return house.call("POST", f"//state/v1/sinks/{name}/action", action)


def head(house: House) -> int:
    number: int = house.call("GET", "//state/v1/events?limit=1").json()["head"]
    return number


def test_whatever_happens_is_in_a_file_without_anybody_asking(house: House) -> None:
    uuid = house.boot()["id"]
    carry(house)
    told = [line["message"] for line in lines(house)]
    legacy = [each["event_type"] for each in told if each["event_type"].startswith("compute.instance.create")]
    assert legacy == ["compute.instance.create.start", "compute.instance.create.end"]
    ended = next(each for each in told if each["event_type"] == "compute.instance.create.end")
    assert ended["payload"]["image_ref_url"] == f"http://127.0.0.1:8774/image/images/{house.image_id()}"
    versioned = [each for each in told if each["event_type"] == "instance.create.end"]
    assert versioned[0]["payload"]["nova_object.data"]["uuid"] == uuid
    assert len({each["message_id"] for each in told}) == len(told)
    shown = sink(house, "file")
    assert (shown["state"], shown["cursor"], shown["delivered"]) == ("current", head(house), len(told))
    assert shown["lag"] == {"rows": 0, "seconds": 0.0}
    assert (shown["origin"], shown["gaps"]) == ("settings", [])


def test_a_sink_that_is_rewound_is_told_again_with_the_same_ids(house: House) -> None:
    house.boot()
    carry(house)
    first = [line["message"]["message_id"] for line in lines(house)]
    assert act(house, "file", {"rewind": {"to": 0}}).json()["sink"]["lag"]["rows"] == head(house)
    carry(house)
    assert [line["message"]["message_id"] for line in lines(house)] == first * 2
    assert act(house, "file", {"rewind": {"to": 10_000}}).status_code == 400
    assert act(house, "file", {"rewind": {}}).status_code == 400
    assert act(house, "nobody", {"pause": None}).status_code == 404


def test_a_paused_sink_lags_and_then_catches_up(house: House) -> None:
    assert act(house, "file", {"pause": None}).json()["sink"]["state"] == "paused"
    house.boot()
    house.at = after(house.at, 60)
    carry(house)
    lag = sink(house, "file")["lag"]
    assert lag["rows"] == head(house)
    assert lag["seconds"] >= 60
    act(house, "file", {"resume": None})
    carry(house)
    assert sink(house, "file")["lag"]["rows"] == 0
    assert lines(house)


def test_sinks_are_made_shown_without_secrets_and_removed(house: House, receiver: Receiver) -> None:
    add(house, "billing", "webhook", url=receiver.url, secret=SECRET, format="versioned")
    shown = house.call("GET", "//state/v1/sinks").json()["sinks"]
    assert [each["name"] for each in shown] == ["billing", "file"]
    assert SECRET not in json.dumps(shown)
    assert house.call("POST", "//state/v1/sinks", {"sink": {"name": "billing", "kind": "file"}}).status_code == 409
    assert house.call("POST", "//state/v1/sinks", {"sink": {"name": "../up", "kind": "file"}}).status_code == 400
    assert house.call("POST", "//state/v1/sinks", {"sink": {"name": "x", "kind": "pigeon"}}).status_code == 400
    assert house.call("DELETE", "//state/v1/sinks/billing").status_code == 204
    assert house.call("DELETE", "//state/v1/sinks/file").status_code == 409
    house.add_person("mara", "demo", "member")
    assert house.call("GET", "//state/v1/sinks", user="mara").status_code == 403


def test_a_webhook_is_retried_with_back_off_and_its_log_says_so(house: House, receiver: Receiver) -> None:
    add(house, "billing", "webhook", url=receiver.url, secret=SECRET, format="versioned")
    house.boot()
    receiver.status = 500
    carry(house)
    shown = sink(house, "billing")
    assert (shown["state"], shown["failures"]) == ("failing", 1)
    assert "answered 500" in shown["last_error"]
    tries = len(receiver.seen)
    carry(house)
    assert len(receiver.seen) == tries, "nothing is tried before its time"
    receiver.status = 201
    house.at = after(house.at, 61)
    carry(house)
    shown = sink(house, "billing")
    assert (shown["state"], shown["failures"], shown["lag"]["rows"]) == ("current", 0, 0)
    (entry,) = shown["deliveries"]
    assert (entry["state"], entry["attempts"]) == ("delivered", 2)
    again = act(house, "billing", {"resend": {"after": entry["after"], "to": entry["to"]}})
    assert again.status_code == 200
    carry(house)
    assert receiver.seen[-1][0]["x-kilonova-delivery"] == receiver.seen[-2][0]["x-kilonova-delivery"]
    newest = sink(house, "billing")["deliveries"][0]
    assert (newest["is_again"], newest["state"]) == (True, "delivered")


def test_rows_that_were_forgotten_before_a_sink_came_to_them_are_said_to_be_missing(house: House) -> None:
    uuid = house.boot()["id"]
    act(house, "file", {"pause": None})
    house.act(uuid, {"os-stop": None})
    house.settle()
    gone = forget(house.cloud.database, before=None)
    act(house, "file", {"resume": None})
    carry(house)
    shown = sink(house, "file")
    assert sum(gap["missing"] for gap in shown["gaps"]) == shown["missing"] == gone
    assert shown["cursor"] == head(house)
    told = [line["gap"] for line in lines(house) if "gap" in line]
    assert sum(gap["missing"] for gap in told) == gone


def test_a_row_that_nobody_has_words_for_keeps_nothing_back(house: House) -> None:
    with house.cloud.database.transaction() as tx:
        journal.append(tx, kind="instance", key="broken", occurred_at=house.at, snapshot={}, operation="stop")
    house.boot()
    carry(house)
    shown = sink(house, "file")
    assert shown["state"] == "current"
    assert shown["lag"]["rows"] == 0


class Slow:
    """A sink that has as many messages for certain as it takes at a time, and no more."""

    keeps_log = takes_gaps = False
    most_parcels = 10_000

    def __init__(self) -> None:
        self.takes = 0
        self.offered: list[int] = []

    def deliver(self, parcels: Iterable[Parcel], *, timeout_seconds: float) -> str:
        count = len(list(parcels))
        self.offered.append(count)
        if count > self.takes:
            raise Undelivered("slow", confirmed=0)
        return ""

    def opened(self, name: str, kind: str, settings: dict[str, Any]) -> "Slow":
        return self

    def idle(self) -> None: ...

    def close(self) -> None: ...


def test_a_sink_that_is_too_slow_is_offered_less_and_then_more_again(house: House) -> None:
    server = kept(house.cloud.database)
    for number in range(300):
        server = changed(house.cloud.database, server, display_name=f"web{number}")
    while journal.sequence(house.cloud.database):
        pass
    slow = Slow()
    depot = Depot(
        database=house.cloud.database,
        clock=lambda: house.at,
        render=lambda row, _format: render(row, NotificationOptions(host="ctl")),
        kinds=slow,
        owner="test",
    )
    with house.cloud.database.transaction() as tx:
        new = NewSink(name="slow", kind="file", settings={}, cursor_seq=0)
        courier = Courier(depot, sinks.add_sink(tx, new, now=house.at).id)
    slow.takes = 100
    for _ in range(20):
        house.at = after(house.at, 120)
        courier.step()
    assert slow.offered[0] > 500, "everything at first"
    assert min(slow.offered) <= 100, "less and less until it gets through"
    slow.takes = 10_000
    act(house, "slow", {"rewind": {"to": 0}})
    while courier.step():
        house.at = after(house.at, 120)
    assert max(slow.offered[-2:]) > 100, "and more again while it works"
    assert sink(house, "slow")["cursor"] == head(house)


def test_two_relays_at_once_tell_everything_once_and_in_order(tmp_path: Path) -> None:
    with lived_in(tmp_path) as house:
        database, other = build_relay(house.cloud.settings, clock=lambda: house.at)
        for number in range(3):
            house.boot(f"web{number}")
            relay_of(house).step()
            other.step()
        for _ in range(3):
            other.step()
            relay_of(house).step()
        seqs = [line["seq"] for line in lines(house)]
        assert seqs == sorted(seqs)
        ids = [line["message"]["message_id"] for line in lines(house)]
        assert len(set(ids)) == len(ids)
        assert sink(house, "file")["lag"]["rows"] == 0
        house.at = after(house.at, 31)
        house.boot("late")
        other.step()
        assert sink(house, "file")["relay"] != house.cloud.settings.DEFAULT.host, "a lease that ran out is taken over"
        assert sink(house, "file")["lag"]["rows"] == 0
        other.stop()
        database.close()


def test_a_broker_that_is_away_costs_lag_and_nothing_else(tmp_path: Path) -> None:
    with exchange() as nova, cable(nova) as way:
        options = {"DEFAULT": {"transport_url": nova.url(way.port), "control_exchange": nova.name}}
        with lived_in(tmp_path, **options) as house:
            house.boot("before")
            carry(house)
            way.cut()
            house.boot("meanwhile")
            carry(house)
            shown = sink(house, "amqp")
            assert (shown["state"], shown["lag"]["rows"] > 0) == ("failing", True)
            assert sink(house, "file")["state"] == "current", "others go on"
            assert "guest:guest" not in json.dumps(shown)
            way.mend()
            house.at = after(house.at, 61)
            carry(house)
            assert sink(house, "amqp")["state"] == "current"
            found = nova.drain()
            ends = [
                each["payload"]["display_name"] for each in found if each["event_type"] == "compute.instance.create.end"
            ]
            assert ends == ["before", "meanwhile"]
            assert {line["message"]["message_id"] for line in lines(house)} == {each["message_id"] for each in found}
