"""The stream of events over real sockets: told at once, resumable, isolated, bounded, and never with a hole unsaid."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kilonova.store import journal
from kilonova.store.forgetting import forget
from tests.plane.house import lived_in
from tests.plane.served import Served, served
from tests.waiting import wait_until

LINES, SSE = "application/x-ndjson", "text/event-stream"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    feed = {"heartbeat_seconds": 0.2, "max_streams": 4, "max_streams_per_project": 2, "slow_reader_seconds": 2}
    with lived_in(tmp_path, feed=feed) as house, served(house) as where:
        yield where


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def numbers(text: str) -> list[int]:
    return [document["seq"] for line in text.splitlines() if "seq" in (document := json.loads(line))]


def test_a_stream_tells_what_happens_while_it_is_open(site: Served) -> None:
    site.house.boot("first")
    head = site.house.call("GET", "//state/v1/events").json()["head"]
    stream = site.get(f"/events?after={head}&topic=instance", LINES)
    assert (stream.status, stream.content_type) == (200, LINES)
    assert stream.document() == {"heartbeat": {"next": head}}
    uuid = site.house.boot("second")["id"]
    told: list[dict[str, Any]] = []
    while not told or told[-1]["phase"] != "end":
        document = stream.document()
        if "seq" in document:
            told.append(document)
    assert {event["key"] for event in told} == {uuid}
    assert told[0]["topic"] == "instance.create.accepted"
    assert told[-1]["snapshot"]["vm_state"] == "active"
    stream.close()


def test_server_sent_events_are_taken_up_where_the_reader_was(site: Served) -> None:
    site.house.boot()
    whole = site.get("/events?wait=0", SSE)
    assert whole.content_type == SSE
    blocks = whole.rest().split("\n\n")
    ids = [int(block.splitlines()[0].removeprefix("id: ")) for block in blocks if block.startswith("id:")]
    assert ids == list(range(1, len(ids) + 1))
    assert "retry: 1000" in blocks
    rest = site.get("/events?wait=0&after=1", SSE, Last_Event_ID=str(ids[2])).rest()
    assert rest.startswith(f"id: {ids[3]}\n")
    assert site.get("/events", SSE, Last_Event_ID="x").status == 400


def test_a_long_poll_answers_when_something_happens(site: Served) -> None:
    site.house.boot()
    head = site.house.call("GET", "//state/v1/events").json()["head"]
    answers: list[str] = []
    waiting = threading.Thread(target=lambda: answers.append(site.get(f"/events?after={head}&wait=20").rest()))
    waiting.start()
    wait_until(lambda: site.house.cloud.plane.audience.size == 1, "the poll to be there")
    site.house.boot("second")
    waiting.join(60)
    page = json.loads(answers[0])
    assert page["events"][0]["seq"] == head + 1
    assert page["next"] == page["events"][-1]["seq"]
    empty = json.loads(site.get("/events?after=100000&wait=1").rest())
    assert (empty["events"], empty["gap"]) == ([], None)


def test_an_end_after_so_many_events_or_so_long_without_one(site: Served) -> None:
    site.house.boot()
    assert numbers(site.get("/events?limit=3", LINES).rest()) == [1, 2, 3]
    everything = numbers(site.get("/events?wait=0", LINES).rest())
    assert everything == list(range(1, len(everything) + 1))
    later = numbers(site.get(f"/events?wait=1&after={everything[-2]}", LINES).rest())
    assert later == everything[-1:]


def test_the_last_events_before_a_number_are_told_in_their_order(site: Served) -> None:
    server = site.house.boot()["id"]
    site.house.settle()

    def page(query: str) -> Any:
        return site.house.call("GET", f"//state/v1/events?{query}").json()

    whole = [event["seq"] for event in page(f"server={server}")["events"]]
    last = page(f"server={server}&before={2**53}&limit=2")
    assert [event["seq"] for event in last["events"]] == whole[-2:]
    assert last["next"] == last["head"]
    earlier = page(f"server={server}&before={whole[-2]}&limit=1000")
    assert [event["seq"] for event in earlier["events"]] == whole[:-2]
    assert earlier["next"] == whole[-2] - 1
    for least in (0, 1):
        assert page(f"before={least}") == {"events": [], "next": 0, "head": last["head"], "gap": None}


@pytest.mark.parametrize("query", ["before=9&after=1", "before=9&wait=1", "before=x"])
def test_before_is_for_a_single_page(site: Served, query: str) -> None:
    assert site.house.call("GET", f"//state/v1/events?{query}").status_code == 400
    assert site.get("/events?before=9", LINES).status == 400


def test_a_tenants_stream_has_its_own_servers_and_no_hosts(site: Served) -> None:
    house = site.house
    house.add_person("mara", "theirs", "member")
    house.boot("ours")
    theirs = house.boot("theirs", user="mara", project="theirs")["id"]
    who = ("mara", "theirs")
    text = site.get("/events?wait=0", LINES, who=who).rest()
    events = [json.loads(line) for line in text.splitlines()]
    assert {event["key"] for event in events} == {theirs}
    assert '"host"' not in text
    assert '"node"' not in text
    assert all("facts" not in event for event in events)
    ours = house.call("GET", "/servers", project="demo").json()["servers"][0]["id"]
    assert site.get(f"/events?wait=0&server={ours}", LINES, who=who).rest() == ""
    demo = house.cloud.identity.records.find_project_by_name("demo", "default")
    assert demo is not None
    assert site.get(f"/events?wait=0&project={demo.id}", LINES, who=who).rest() == ""


def test_what_was_forgotten_is_said_before_what_is_left(site: Served) -> None:
    site.house.boot()
    with site.house.cloud.database.read() as connection:
        before = [row.seq for row in journal.list_entries(connection, after_seq=0, limit=100)]
    gone = forget(site.house.cloud.database, before=None, limit=3)
    assert gone == 3
    first, *others = site.get("/events?wait=0", LINES).rest().splitlines()
    gap = json.loads(first)["gap"]
    assert gap["after"] == 0
    assert gap["missing"] == 3
    assert len(numbers("\n".join(others))) == len(before) - 3
    page = site.house.call("GET", "//state/v1/events").json()
    assert page["gap"] == gap
    assert site.get("/events?wait=0", SSE).rest().startswith("event: gap\ndata: {")
    assert site.house.call("GET", f"//state/v1/events?after={gap['to']}").json()["gap"] is None
    assert site.house.call("GET", "//state/v1/events?before=1000").json()["gap"] == gap
    assert site.house.call("GET", "//state/v1/events?before=1000&limit=1").json()["gap"] is None


def test_streams_are_bounded_in_all_and_for_each_project(site: Served) -> None:
    site.house.add_person("mara", "theirs", "member")
    who = ("mara", "theirs")
    hers = [site.get("/events", LINES, who=who) for _ in range(2)]
    assert [stream.status for stream in hers] == [200, 200]
    assert site.get("/events", LINES, who=who).status == 503
    ours = [site.get("/events", LINES) for _ in range(2)]
    assert site.get("/events", LINES).status == 503
    for stream in (*hers, *ours):
        stream.close()
    wait_until(lambda: site.house.cloud.plane.audience.size == 0, "the seats to be given back")
    assert site.get("/events?wait=0", LINES, who=who).status == 200


def test_a_slow_reader_is_disconnected_and_goes_on_where_it_was(site: Served, stack: ExitStack) -> None:
    house = site.house
    with house.cloud.database.transaction() as tx:
        for number in range(400):
            journal.append(tx, kind="note", key=str(number), occurred_at=house.at, snapshot={"text": "x" * 50_000})
    house.settle()
    raw = stack.enter_context(socket.create_connection(("127.0.0.1", site.port)))
    head = f"GET /state/v1/events HTTP/1.1\r\nHost: x\r\nAccept: {LINES}\r\nX-Auth-Token: {house.token()}\r\n\r\n"
    raw.sendall(head.encode())
    raw.settimeout(60)
    received = raw.recv(1)  # the stream began
    wait_until(lambda: house.cloud.plane.audience.size == 0, "the slow reader to be disconnected")
    received += b"".join(iter(lambda: raw.recv(1 << 16), b""))
    assert not received.endswith(b"0\r\n\r\n"), "the reply has no end, so that the reader knows"
    body = received.split(b"\r\n\r\n", 1)[1]
    read = body.count(b'{"id":')
    assert 0 < read < 400
    last = house.call("GET", "//state/v1/events").json()["head"]
    rest = numbers(site.get("/events?wait=0&after=10", LINES).rest())
    assert rest == list(range(11, last + 1))


def test_a_stream_ends_when_its_token_is_revoked(site: Served) -> None:
    site.house.add_person("mara", "theirs", "member")
    stream = site.get("/events", LINES, who=("mara", "theirs"))
    assert "heartbeat" in stream.document()
    token = site.house.token("mara", "theirs")
    gone = site.house.raw(
        "DELETE", "/identity/v3/auth/tokens", headers={"X-Auth-Token": site.house.token(), "X-Subject-Token": token}
    )
    assert gone.status_code == 204
    assert set(map(frozenset, map(json.loads, stream.rest().splitlines()))) <= {frozenset({"heartbeat"})}


def test_a_topic_that_is_none_is_refused(site: Served) -> None:
    for topic in ("a.b.c.d", "instance..end", ""):
        assert site.house.call("GET", f"//state/v1/events?topic={topic}").status_code == 400
