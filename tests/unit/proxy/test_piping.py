"""What goes between a guest and a browser, by the ends of sockets: nothing is piled up, and each end can end it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from kilonova.domain.errors import Unavailable
from kilonova.domain.model import Instant
from kilonova.domain.remote_consoles import ConsoleKind, ConsoleToken
from kilonova.proxy import piping
from kilonova.proxy.piping import pipe
from kilonova.services.consoles import ConsoleSession

TOKEN = ConsoleToken(digest="d", instance_uuid="u", host="h", kind=ConsoleKind.VNC, expires_at=Instant(0))
PLENTY = 8 << 20


class Wanted:
    """Says of every console whether it is wanted, answer by answer; the last one stays."""

    def __init__(self, *answers: bool | Exception) -> None:
        self._answers = list(answers) or [True]

    def open(self, text: str) -> ConsoleSession:
        raise NotImplementedError

    def is_wanted(self, session: ConsoleSession) -> bool:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self, session: ConsoleSession) -> None:
        session.line.close()


class Browser:
    """The ASGI side: what was sent to it, and what it sends."""

    def __init__(self, *, takes: bool = True) -> None:
        self.sent: list[dict[str, Any]] = []
        self.says: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._takes = takes

    async def send(self, message: dict[str, Any]) -> None:
        if not self._takes:
            await asyncio.Event().wait()
        self.sent.append(message)

    async def receive(self) -> dict[str, Any]:
        return await self.says.get()

    @property
    def heard(self) -> bytes:
        return b"".join(each["bytes"] for each in self.sent if each["type"] == "websocket.send")

    @property
    def code(self) -> int | None:
        """With which it was closed."""
        return next((each["code"] for each in self.sent if each["type"] == "websocket.close"), None)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, ConsoleSession]]:
    """The guest's own end of its line, and the console that has the other one."""
    guest, line = socket.socketpair()
    guest.setblocking(False)
    with guest, line:
        yield guest, ConsoleSession(TOKEN, line)


Ends = tuple[socket.socket, ConsoleSession]


def run(ends: Ends, browser: Browser, act: Callable[[socket.socket], Awaitable[None]], consoles: Any = None) -> None:
    """Pipe while something is done, and until it is over."""

    async def both() -> None:
        async with asyncio.timeout(60):
            piped = asyncio.create_task(pipe(ends[1], consoles or Wanted(), browser.receive, browser.send))
            await act(ends[0])
            await piped

    asyncio.run(both())


def test_bytes_go_both_ways_and_the_guests_end_ends_it(ends: Ends) -> None:
    browser = Browser()

    async def act(guest: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        browser.says.put_nowait({"type": "websocket.receive", "bytes": b"\x00\xff", "text": None})
        browser.says.put_nowait({"type": "websocket.receive", "text": "typed"})
        said = b""
        while len(said) < 7:
            said += await loop.sock_recv(guest, 100)
        assert said == b"\x00\xfftyped"
        await loop.sock_sendall(guest, b"answer")
        guest.shutdown(socket.SHUT_WR)

    run(ends, browser, act)
    assert browser.heard == b"answer"
    assert browser.code == 1000


def test_the_browsers_end_ends_it_for_the_guest(ends: Ends) -> None:
    browser = Browser()

    async def act(guest: socket.socket) -> None:
        browser.says.put_nowait({"type": "websocket.disconnect", "code": 1001})
        assert await asyncio.get_running_loop().sock_recv(guest, 100) == b""

    run(ends, browser, act)
    assert browser.sent == []


def test_a_browser_that_takes_nothing_is_not_fed_and_is_given_up(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piping, "_PATIENCE_SECONDS", 0.2)
    browser = Browser(takes=False)

    async def act(guest: socket.socket) -> None:
        with pytest.raises(OSError, match=r"Broken pipe|reset by peer"):
            await asyncio.get_running_loop().sock_sendall(guest, b"x" * PLENTY)

    run(ends, browser, act)
    assert browser.code is None


def test_a_guest_that_takes_nothing_holds_the_browser_up(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piping, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(piping, "_LAST_SECONDS", 0.1)
    browser = Browser()
    for _ in range(PLENTY // 65536):
        browser.says.put_nowait({"type": "websocket.receive", "bytes": b"x" * 65536})

    async def act(_: socket.socket) -> None:
        pass

    run(ends, browser, act, Wanted(True, True, False))
    assert browser.says.qsize() > 0, "all of it was taken, and lay somewhere"


def test_what_is_not_wanted_any_more_ends_also_while_the_guest_goes_on(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piping, "_LOOK_SECONDS", 0.01)
    browser = Browser()

    async def act(guest: socket.socket) -> None:
        assert await asyncio.get_running_loop().sock_recv(guest, 100) == b""

    run(ends, browser, act, Wanted(True, Unavailable("the database is away"), False))
    assert browser.code == 1001


def test_a_browser_that_takes_nothing_does_not_keep_what_is_not_wanted_any_more(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piping, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(piping, "_LAST_SECONDS", 0.1)

    async def act(guest: socket.socket) -> None:
        assert await asyncio.get_running_loop().sock_recv(guest, 100) == b""

    run(ends, Browser(takes=False), act, Wanted(False))


def test_what_nobody_foresaw_is_told_to_who_serves_it(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piping, "_LOOK_SECONDS", 0.01)

    async def act(guest: socket.socket) -> None:
        assert await asyncio.get_running_loop().sock_recv(guest, 100) == b""

    with pytest.raises(ZeroDivisionError):
        run(ends, Browser(), act, Wanted(ZeroDivisionError()))
