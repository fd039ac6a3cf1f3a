"""Clients that ask for nothing, or take nothing, at a real server: they are let go, and keep nobody else out."""

import asyncio
import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import uvicorn

from kilonova.cli import connections
from kilonova.cli.connections import HttpConnection, WebSocketConnection
from tests.waiting import wait_until

HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n"
PLENTY = 16 << 20
"""More than the buffers of two sockets hold."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Gives a WebSocket more than it can take; any other client what it asks for, once its body has come."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(0.2):
                    await send({"type": "websocket.send", "bytes": b"x" * 65536})
        return
    while (await receive()).get("more_body"):
        pass
    body = b"x" * (PLENTY if scope["path"] == "/plenty" else 2)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Site:
    """A server in a thread, and clients of it that have nothing of an HTTP client but the socket."""

    def __init__(self, held: ExitStack, *, idle: int) -> None:
        self._held = held
        self._listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.server = uvicorn.Server(
            uvicorn.Config(
                application,
                loop="uvloop",
                http=HttpConnection,
                ws=WebSocketConnection,
                lifespan="off",
                log_config=None,
                timeout_keep_alive=idle,
                limit_concurrency=connections.MOST_CONNECTIONS,
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self._listener]}, daemon=True)
        thread.start()
        held.callback(thread.join, 60)
        held.callback(setattr, self.server, "should_exit", True)
        wait_until(lambda: self.server.started, "the server's start")

    def client(self, said: bytes = b"") -> socket.socket:
        """Somebody who connects, says this, and takes little at a time."""
        made = self._held.enter_context(socket.socket())
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.settimeout(60)
        made.connect(self._listener.getsockname())
        made.sendall(said)
        return made

    def count(self) -> int:
        """Of connections that the server has."""
        return len(self.server.server_state.connections)

    def welcomed(self) -> socket.socket:
        """The first client, once the server knows of it: what it may take for a head is not changed by what follows."""
        made = self.client()
        wait_until(self.count, "the first connection")
        return made


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Site]]:
    """Makes a site: so long an idle connection is kept, so long a head may take, so many connections there are."""
    with ExitStack() as held:

        def make(*, idle: int = 75, head: float = 60, most: int = 500) -> Site:
            monkeypatch.setattr(connections, "_HEAD_SECONDS", head)
            monkeypatch.setattr(connections, "_LAST_SECONDS", 0.1)
            monkeypatch.setattr(connections, "MOST_CONNECTIONS", most)
            return Site(held, idle=idle)

        yield make


def has_answer(client: socket.socket) -> bool:
    """Whether a reply comes, which is taken whole: head and body may come one by one."""
    said = b""
    while not said.endswith(b"\r\n\r\nxx"):
        part = client.recv(1000)
        if not part:
            return False
        said += part
    return said.startswith(b"HTTP/1.1 200")


def is_answered(client: socket.socket) -> bool:
    client.sendall(HEAD + b"\r\n")
    return has_answer(client)


def is_over(client: socket.socket) -> bool:
    """Whether the server hung up; waits for what it does."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def is_cut_off(client: socket.socket, letter: bytes) -> bool:
    """Whether the server hung up; says one more letter if not."""
    try:
        client.sendall(letter)
    except ConnectionError:
        return True
    return False


def test_who_asks_for_nothing_is_not_waited_for(opened: Callable[..., Site]) -> None:
    assert is_over(opened(head=0.2).client())


@pytest.mark.parametrize("letter", [b"x", b"\r\n"], ids=["a head", "empty lines"])
@pytest.mark.parametrize("asks_first", [False, True])
def test_who_never_ends_a_head_is_not_waited_for(
    opened: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, letter: bytes, *, asks_first: bool
) -> None:
    site = opened(idle=1) if asks_first else opened(head=0.2)
    client = site.welcomed() if asks_first else site.client()
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 0.2)
    if asks_first:
        assert is_answered(client)
    is_cut_off(client, HEAD if letter == b"x" else b"")
    wait_until(lambda: is_cut_off(client, letter), "the end of a connection that asks for nothing")


def test_who_has_asked_may_be_idle_for_longer(opened: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    site = opened()
    client = site.welcomed()
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 0.2)
    assert is_answered(client)
    assert is_over(site.client()), "this one asks for nothing"
    assert is_answered(client)


def test_a_request_in_hand_has_the_time_that_it_takes(opened: Callable[..., Site]) -> None:
    site = opened(head=2)  # in which a head surely comes
    client = site.client(HEAD + b"Content-Length: 2\r\n\r\n")
    assert is_over(site.client())
    client.sendall(b"ab")
    assert has_answer(client)


def test_where_all_places_are_taken_the_one_idle_for_longest_makes_room(opened: Callable[..., Site]) -> None:
    site = opened(most=4)
    busy = site.client(HEAD + b"Content-Length: 2\r\n\r\n")
    first, second = site.client(), site.client()
    assert is_answered(first)  # so the second is idle for longer now
    third = site.client()
    assert is_over(second)
    assert all(is_answered(each) for each in (first, third))
    busy.sendall(b"ab")
    assert has_answer(busy)


def test_any_number_of_silent_ones_keeps_nobody_out(opened: Callable[..., Site]) -> None:
    site = opened(most=4)
    silent = [site.client() for _ in range(20)]
    assert is_answered(site.client())
    assert site.count() < 4
    assert all(is_over(each) for each in silent[:-3])


def test_who_takes_nothing_of_a_reply_is_let_go(opened: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    site = opened(idle=1)
    client = site.welcomed()
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 0.2)
    client.sendall(HEAD.replace(b"/", b"/plenty", 1) + b"\r\n")
    wait_until(lambda: site.server.server_state.total_requests, "the reply")
    wait_until(lambda: not site.count(), "the end of the connection")


def test_who_takes_nothing_of_a_websocket_is_let_go_once_it_is_closed(opened: Callable[..., Site]) -> None:
    site = opened()
    key = base64.b64encode(bytes(16))
    asked = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
    client = site.client(HEAD + asked % key)
    assert client.recv(100).startswith(b"HTTP/1.1 101")
    wait_until(lambda: not site.count(), "the end of the connection")
