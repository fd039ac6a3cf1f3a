"""The QMP client against the other end of a socket."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kilonova.drivers.qemu.qmp import QmpClient, QmpClosed, QmpError, QmpTimeout

GREETING: dict[str, Any] = {"QMP": {"version": {}, "capabilities": []}}


class Monitor:
    """QEMU's end: says what it is told to say, and reads what the client sent."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self._lines = end.makefile("rb")

    def say(self, *messages: Mapping[str, Any]) -> None:
        for message in messages:
            self.end.sendall(json.dumps(message).encode() + b"\r\n")

    def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self._lines.readline())
        return heard

    def answer(self, **reply: object) -> dict[str, Any]:
        heard = self.hear()
        self.say({**reply, "id": heard["id"]})
        return heard

    def close(self) -> None:
        self._lines.close()
        self.end.close()


class Conversation:
    """Both ends; ``events`` is what came unasked."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.monitor = Monitor(theirs)
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.client = QmpClient(ours, lambda name, data: self.events.append((name, data)))

    def begin(self, *between: Mapping[str, Any]) -> None:
        """Get through the handshake; ``between`` is what QEMU says after its greeting."""
        heard: list[dict[str, Any]] = []

        def greet() -> None:
            self.monitor.say(GREETING, *between)
            heard.append(self.monitor.answer(**{"return": {}}))

        greeting = threading.Thread(target=greet)
        greeting.start()
        self.client.handshake(timeout_seconds=60)
        greeting.join()
        assert heard == [{"execute": "qmp_capabilities", "id": 1}]

    def read_in_background(self) -> threading.Thread:
        reader = threading.Thread(target=self._read)
        reader.start()
        return reader

    def _read(self) -> None:
        while self.client.receive():
            pass


@pytest.fixture
def talk() -> Iterator[Conversation]:
    conversation = Conversation()
    yield conversation
    conversation.monitor.close()
    conversation.client.close()


def test_a_command_returns_what_qemu_returned_to_it(talk: Conversation) -> None:
    talk.begin()
    reader = talk.read_in_background()
    answers = threading.Thread(target=lambda: talk.monitor.answer(**{"return": {"status": "running"}}))
    answers.start()
    assert talk.client.execute("query-status", {"a": 1}) == {"status": "running"}
    answers.join()
    talk.monitor.close()
    reader.join()


def test_events_are_passed_on_also_those_that_come_with_the_handshake(talk: Conversation) -> None:
    talk.begin({"event": "RESUME"})
    talk.monitor.say({"event": "STOP", "data": {"x": 1}})
    assert talk.client.receive()
    assert talk.events == [("RESUME", {}), ("STOP", {"x": 1})]


def test_messages_may_come_in_pieces(talk: Conversation) -> None:
    talk.begin()
    for piece in (b'{"eve', b'nt": "STOP"}\r', b'\n{"event": "RES'):
        talk.monitor.end.sendall(piece)
        assert talk.client.receive()
    assert [name for name, _ in talk.events] == ["STOP"]


def test_a_refusal_is_an_error_in_qemus_words(talk: Conversation) -> None:
    talk.begin()
    reader = talk.read_in_background()
    refusal = {"error": {"class": "GenericError", "desc": "Device 'x' not found"}}
    answers = threading.Thread(target=lambda: talk.monitor.answer(**refusal))
    answers.start()
    with pytest.raises(QmpError, match="Device 'x' not found"):
        talk.client.execute("eject")
    answers.join()
    talk.monitor.close()
    reader.join()


def test_silence_is_a_timeout(talk: Conversation) -> None:
    with pytest.raises(QmpTimeout):
        talk.client.handshake(timeout_seconds=0.01)


def test_a_command_that_is_not_answered_times_out(talk: Conversation) -> None:
    talk.begin()
    with pytest.raises(QmpTimeout):
        talk.client.execute("stop", timeout_seconds=0.01)


def test_who_waits_is_told_when_qemu_is_gone(talk: Conversation) -> None:
    talk.begin()
    reader = talk.read_in_background()

    def die() -> None:
        talk.monitor.hear()
        talk.monitor.close()

    death = threading.Thread(target=die)
    death.start()
    with pytest.raises(QmpClosed):
        talk.client.execute("quit")
    death.join()
    reader.join()
    with pytest.raises(QmpClosed):
        talk.client.execute("query-status")


def test_a_qemu_that_ends_in_the_handshake_is_closed(talk: Conversation) -> None:
    talk.monitor.say(GREETING)
    talk.monitor.close()
    with pytest.raises(QmpClosed):
        talk.client.handshake(timeout_seconds=60)
