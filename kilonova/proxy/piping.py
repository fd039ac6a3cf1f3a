"""Bytes from a guest to a browser and back, none of them kept: whoever takes nothing is waited for, for a while."""

import asyncio
import contextlib
from typing import Any, Final, Protocol

from starlette.concurrency import run_in_threadpool

from kilonova.domain.errors import Unavailable
from kilonova.services.consoles import ConsoleSession

_BYTES: Final = 64 << 10
_PATIENCE_SECONDS: Final = 30.0
"""How long a reader may take nothing."""
_LOOK_SECONDS: Final = 5.0
"""Between looks whether the server is still there."""
_LAST_SECONDS: Final = 1.0
"""For what was typed when nobody is there any more, and for a browser to be told so."""
_NORMAL, _GOING_AWAY = 1000, 1001


class Consoles(Protocol):
    """What the proxy needs to know; ``services.consoles.Consoles`` knows it."""

    def open(self, text: str) -> ConsoleSession:
        """Open what the token leads to. NotFound where it leads nowhere, another KilonovaError where that fails."""
        ...

    def is_wanted(self, session: ConsoleSession) -> bool:
        """Whether it may stay open."""
        ...

    def close(self, session: ConsoleSession) -> None:
        """Let go of it."""
        ...


async def pipe(session: ConsoleSession, consoles: Consoles, receive: Any, send: Any) -> None:
    """Carry an accepted WebSocket until one of its ends goes, or the server does; it is closed then."""
    session.line.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=session.line)
    ways = {
        asyncio.create_task(_from_guest(reader, send)),
        asyncio.create_task(_to_guest(receive, writer)),
        asyncio.create_task(_while_wanted(session, consoles)),
    }
    try:
        over, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        ended = await asyncio.gather(*ways, return_exceptions=True)
        await _let_go(writer)
    codes = [code for code in ended if isinstance(code, int)]
    if codes:
        await _close(send, codes[0])
    for way in over:
        way.result()


async def _let_go(writer: asyncio.StreamWriter) -> None:
    """Close the guest's socket; what was typed last has a moment to get there."""
    writer.close()
    try:
        async with asyncio.timeout(_LAST_SECONDS):
            await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
    except OSError:  # the guest went first
        pass


async def _close(send: Any, code: int) -> None:
    """Tell the browser that it is over; one that takes nothing is not waited for."""
    with contextlib.suppress(OSError):  # what a server says of a WebSocket that is gone; TimeoutError is one
        async with asyncio.timeout(_LAST_SECONDS):
            await send({"type": "websocket.close", "code": code, "reason": ""})


async def _from_guest(reader: asyncio.StreamReader, send: Any) -> int | None:
    """Returns the code to close with, None where nobody is there to be told."""
    try:
        while data := await reader.read(_BYTES):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await send({"type": "websocket.send", "bytes": data})
    except TimeoutError:
        return None
    except OSError:  # of the guest's socket, or of a WebSocket that is gone
        return _NORMAL
    return _NORMAL


async def _to_guest(receive: Any, writer: asyncio.StreamWriter) -> int | None:
    """Returns None: the browser went, or _NORMAL: the guest did."""
    with contextlib.suppress(OSError):
        while (message := await receive())["type"] == "websocket.receive":
            data = message.get("bytes")
            writer.write(message["text"].encode() if data is None else data)
            await writer.drain()
        return None
    return _NORMAL


async def _while_wanted(session: ConsoleSession, consoles: Consoles) -> int:
    is_wanted = True
    while is_wanted:
        await asyncio.sleep(_LOOK_SECONDS)
        with contextlib.suppress(Unavailable):  # a database that is away for a moment says nothing
            is_wanted = await run_in_threadpool(consoles.is_wanted, session)
    return _GOING_AWAY
