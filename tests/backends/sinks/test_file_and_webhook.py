"""The sinks that need no broker: files, and a real HTTP receiver."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.errors import Invalid
from kilonova.sinks import Parcel, Undelivered
from kilonova.sinks.file import FileSettings, FileSink
from kilonova.sinks.kinds import SinkKinds
from kilonova.sinks.webhook import WebhookSettings, WebhookSink

SECRET = "a-secret-of-the-tests"


def parcels(first: int, last: int, size: int = 1) -> list[Parcel]:
    return [
        Parcel(
            seq=n,
            routing_key="notifications.info",
            message_id=f"m{n}",
            body=json.dumps({"message_id": f"m{n}", "x": "x" * size}).encode(),
        )
        for n in range(first, last + 1)
    ]


def lines(*files: Path) -> list[int]:
    return [json.loads(line)["seq"] for file in files for line in file.read_text().splitlines()]


def test_a_file_has_a_message_a_line_and_is_its_owners_alone(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "feed", FileSettings())
    sink.deliver(parcels(1, 2), timeout_seconds=1)
    sink.deliver([Parcel(seq=5, routing_key="", message_id="g", body=b'{"gap":{"after":2,"to":5}}')], timeout_seconds=1)
    sink.close()
    first, _, gap = (json.loads(line) for line in sink.path.read_text().splitlines())
    assert first == {"seq": 1, "routing_key": "notifications.info", "message": {"message_id": "m1", "x": "x"}}
    assert gap == {"gap": {"after": 2, "to": 5}}
    assert sink.path.stat().st_mode & 0o777 == 0o600


def test_a_full_file_is_set_aside_and_the_oldest_go(tmp_path: Path) -> None:
    sink = FileSink(tmp_path, FileSettings(max_mb=1, keep=2))
    for number in range(1, 6):
        sink.deliver(parcels(number, number, size=1_000_000), timeout_seconds=1)
    sink.deliver(parcels(6, 6), timeout_seconds=1)
    sink.close()
    assert lines(*sorted(tmp_path.glob("notifications.0*"))) == [4, 5]
    assert lines(sink.path) == [6]


def test_a_line_that_a_crash_cut_off_is_taken_out(tmp_path: Path) -> None:
    sink = FileSink(tmp_path, FileSettings())
    sink.deliver(parcels(1, 2), timeout_seconds=1)
    sink.close()
    with sink.path.open("a") as file:
        file.write('{"seq": 3, "rou')
    sink.deliver(parcels(3, 3), timeout_seconds=1)
    sink.close()
    assert lines(sink.path) == [1, 2, 3]


def test_a_disk_that_takes_nothing_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "feed").write_text("no directory")
    with pytest.raises(Undelivered, match="cannot be written"):
        FileSink(tmp_path / "feed", FileSettings()).deliver(parcels(1, 1), timeout_seconds=1)


class Receiver:
    """Somebody's HTTP server, which answers what a test tells it."""

    def __init__(self) -> None:
        self.status = 200
        self.seen: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.seen.append(({key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(outer.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"said")

            def log_message(self, *_: Any) -> None:
                """Quietly."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?x=1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_delivery_is_signed_and_the_same_again_has_the_same_id(receiver: Receiver) -> None:
    sink = WebhookSink(WebhookSettings(url=receiver.url, secret=SECRET))
    for _ in range(2):
        assert sink.deliver(parcels(1, 3), timeout_seconds=60) == "answered 200"
    sink.close()
    (headers, body), (again, _) = receiver.seen
    stamp, signature = (part.partition("=")[2] for part in headers["x-kilonova-signature"].split(","))
    assert hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest() == signature
    assert headers["x-kilonova-delivery"] == again["x-kilonova-delivery"]
    assert [each["seq"] for each in json.loads(body)["messages"]] == [1, 2, 3]


@pytest.mark.parametrize("status", [302, 400, 410, 500])
def test_anything_but_success_is_a_failure_and_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    receiver.status = status
    sink = WebhookSink(WebhookSettings(url=receiver.url, secret=SECRET))
    with pytest.raises(Undelivered, match=f"answered {status}"):
        sink.deliver(parcels(1, 1), timeout_seconds=60)
    sink.close()
    assert len(receiver.seen) == 1


def test_nobody_there_is_a_failure(receiver: Receiver) -> None:
    receiver.server.server_close()
    sink = WebhookSink(WebhookSettings(url="http://127.0.0.1:1/", secret=SECRET))
    with pytest.raises(Undelivered, match="cannot be reached"):
        sink.deliver(parcels(1, 1), timeout_seconds=60)


def test_addresses_that_are_no_servers_are_not_spoken_to() -> None:
    sink = WebhookSink(WebhookSettings(url="http://0.0.0.0:1/", secret=SECRET))
    with pytest.raises(Undelivered):
        sink.deliver(parcels(1, 1), timeout_seconds=60)


@pytest.mark.parametrize(
    "kind, settings",
    [
        ("pigeon", {}),
        ("file", {"path": "/etc/passwd"}),
        ("file", {"max_mb": "5"}),
        ("file", {"max_mb": 0}),
        ("file", {"format": "long"}),
        ("webhook", {"url": "file:///etc/passwd", "secret": SECRET}),
        ("webhook", {"url": "http://user:pass@host/", "secret": SECRET}),
        ("webhook", {"url": "http://host/", "secret": "short"}),
        ("amqp", {"transport_url": "rabbit://host/", "driver": "pigeon"}),
        ("amqp", {}),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, kind: str, settings: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        SinkKinds(tmp_path).checked(kind, settings)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    kinds = SinkKinds(tmp_path)
    hook = kinds.checked("webhook", {"url": "http://host/", "secret": SECRET})
    amqp = kinds.checked("amqp", {"transport_url": "rabbit://u:hidden@host/"})
    assert SECRET not in str(kinds.shown(hook))
    assert "hidden" not in str(kinds.shown(amqp))
