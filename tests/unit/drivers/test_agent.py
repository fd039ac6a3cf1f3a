"""A guest's agent is talked to over a channel on whose other end anything may be."""

import base64
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.instances.passwords import hidden
from kilonova.drivers.qemu.agent import Agent

Answer = Callable[[dict[str, object]], bytes]


class Channel:
    """Our end of it as an ``Agent``, and a stand-in for the guest's at the other, which answers line by line."""

    def __init__(self, answer: Answer | None) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.heard: list[dict[str, object]] = []
        self._answer = answer
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()
        self.agent = Agent(self.ours)

    def _listen(self) -> None:
        with suppress(OSError), self.theirs.makefile("rb") as lines:  # we hang up when we have heard enough
            for line in lines:
                asked = json.loads(line.lstrip(b"\xff"))
                self.heard.append(asked)
                if self._answer is not None:
                    self.theirs.sendall(self._answer(asked))

    def close(self) -> None:
        self.ours.close()
        self._thread.join(60)
        self.theirs.close()


@pytest.fixture
def channel_to() -> Iterator[Callable[[Answer | None], Channel]]:
    made: list[Channel] = []

    def make(answer: Answer | None) -> Channel:
        made.append(Channel(answer))
        return made[-1]

    yield make
    for channel in made:
        channel.close()


def obeys(asked: dict[str, object]) -> bytes:
    """What QEMU's agent says."""
    if asked["execute"] == "guest-sync-delimited":
        arguments = asked["arguments"]
        assert isinstance(arguments, dict)
        return b"\xff" + json.dumps({"return": arguments["id"]}).encode() + b"\n"
    return b'{"return": {}}\n'


def test_what_an_earlier_conversation_left_is_thrown_away(channel_to: Callable[[Answer | None], Channel]) -> None:
    channel = channel_to(obeys)
    channel.theirs.sendall(b'{"return": 7}\n{"error": \xff{"return": 3}\n')
    channel.agent.greet(timeout_seconds=60)
    assert channel.agent.ask("guest-ping", {}, timeout_seconds=60) == {}
    assert [asked["execute"] for asked in channel.heard] == ["guest-sync-delimited", "guest-ping"]


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"\xff{\n",
        b"\xff" + b"[" * 5000 + b"\n",
        b"\xff[1]\n",
        b'\xff{"return": "x"}\n',
        b"\xff\x00\xfe\n",
    ],
)
def test_one_that_talks_nonsense_or_nothing_is_not_waited_for_without_end(
    channel_to: Callable[[Answer | None], Channel], noise: bytes
) -> None:
    channel = channel_to(lambda _: noise)
    with pytest.raises(GuestFailure, match="the agent inside the server does not answer") as failure:
        channel.agent.greet(timeout_seconds=0.2)
    assert failure.value.cause is FaultCause.GUEST_UNRESPONSIVE


def test_one_that_never_ends_its_line_is_cut_off(channel_to: Callable[[Answer | None], Channel]) -> None:
    channel = channel_to(lambda _: b"x" * (1 << 18))
    with pytest.raises(GuestFailure) as failure:
        channel.agent.greet(timeout_seconds=60)
    assert failure.value.detail == "what comes from it has no end"


def test_one_that_hangs_up_is_told_of(channel_to: Callable[[Answer | None], Channel]) -> None:
    channel = channel_to(None)
    channel.theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(GuestFailure) as failure:
        channel.agent.greet(timeout_seconds=60)
    assert failure.value.cause is FaultCause.GUEST_UNRESPONSIVE


@pytest.mark.parametrize("error", [{"class": "GenericError", "desc": "no user bob\n"}, "no user bob\n"])
def test_a_refusal_is_told_in_the_agents_words(channel_to: Callable[[Answer | None], Channel], error: object) -> None:
    channel = channel_to(lambda _: json.dumps({"error": error}).encode() + b"\n")
    with pytest.raises(GuestFailure, match="refused") as failure:
        channel.agent.ask("guest-set-user-password", {}, timeout_seconds=60)
    assert failure.value.cause is FaultCause.DRIVER_ERROR
    assert failure.value.detail == "guest-set-user-password: no user bob\n"


def test_a_password_that_a_guest_repeats_is_not_told_on() -> None:
    encoded = base64.b64encode(b"se cret").decode()
    with pytest.raises(GuestFailure) as failure, hidden("se cret"):
        raise GuestFailure(FaultCause.DRIVER_ERROR, "refused", detail=f"cannot set se cret ({encoded})")
    assert failure.value.detail == "cannot set *** (***)"


@pytest.mark.parametrize("error", [{"class": "GenericError", "desc": ["pa\\ss"]}, {}, 7])
def test_a_refusal_that_is_no_text_is_not_told_on(
    channel_to: Callable[[Answer | None], Channel], error: object
) -> None:
    channel = channel_to(lambda _: json.dumps({"error": error}).encode() + b"\n")
    with pytest.raises(GuestFailure, match="refused") as failure:
        channel.agent.ask("guest-set-user-password", {}, timeout_seconds=60)
    assert failure.value.detail == "guest-set-user-password: it gave no reason"


@pytest.mark.parametrize("password", ["pa\\ss", 'it\'s "so"', "tab\there", "x" * 650])
def test_no_password_is_told_on_however_it_has_to_be_spelt(
    channel_to: Callable[[Answer | None], Channel], password: str
) -> None:
    said = json.dumps({"error": {"class": "GenericError", "desc": f"not\nfit: {password}\x1b[2J" + "y" * 1000}})
    channel = channel_to(lambda _: said.encode() + b"\n")
    with pytest.raises(GuestFailure, match="refused") as failure, hidden(password):
        channel.agent.ask("guest-set-user-password", {}, timeout_seconds=60)
    told = failure.value.detail or ""
    assert told.startswith("guest-set-user-password: not?fit: ***?[2Jyyy")
    assert len(told) == 600
