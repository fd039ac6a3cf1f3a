"""Replies that come bit by bit: how they are written, and how it is noticed that nobody reads them."""

import asyncio
from contextlib import suppress
from typing import Protocol

from kilonova.api.http import Receive, Send


class ReaderGone(Exception):
    """The client closed the connection."""


class SlowReader(Exception):
    """The client took nothing for too long. It is disconnected: what it missed it can ask for again."""


class Stream(Protocol):
    """A body that is written while it comes into being."""

    async def pump(self, outlet: "Outlet") -> None:
        """Write until there is no more; whatever ``outlet.write`` raises is the caller's."""
        ...

    def close(self) -> None:
        """Let go of everything, however it ended; called once."""
        ...


class Outlet:
    """Where a stream is written to. ``patience_seconds`` is how long one write may take."""

    def __init__(self, receive: Receive, send: Send, *, patience_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._patience_seconds = patience_seconds
        self.gone = asyncio.Event()

    async def write(self, piece: bytes) -> None:
        """Send a piece. ReaderGone or SlowReader where it cannot be."""
        if self.gone.is_set():
            raise ReaderGone
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError as error:
            raise SlowReader from error

    async def watch(self) -> None:
        """Notice when the client goes; runs beside the stream."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone.set()


async def flow(stream: Stream, receive: Receive, send: Send, *, patience_seconds: float) -> str:
    """Have a stream written to its end, behind headers that were sent; returns how it ended, for the log."""
    outlet = Outlet(receive, send, patience_seconds=patience_seconds)
    watch = asyncio.create_task(outlet.watch())
    try:
        await stream.pump(outlet)
        await send({"type": "http.response.body", "body": b""})
    except ReaderGone:
        return "the reader went away"
    except SlowReader:
        # Left without an end, the connection is cut: the client sees that it does not have everything.
        return "the reader was too slow"
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        stream.close()
    return "whole"
