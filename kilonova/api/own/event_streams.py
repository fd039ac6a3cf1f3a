"""Streams of events: what is new is read from the journal and written as it comes, for as long as somebody reads.

A stream keeps nothing but its place in the journal. A reader that takes its time is waited for up to a point and then
disconnected; it goes on where it was, so that nobody is ever passed over.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Any, ClassVar, Final, Protocol

import msgspec

from kilonova.api.call import Call
from kilonova.api.http import JSON
from kilonova.api.outlet import Outlet, ReaderGone
from kilonova.api.own.event_pages import Page, Reader
from kilonova.services.audience import Seat

_BATCH: Final = 200
_CHUNK_BYTES: Final = 32768
_encode: Final = msgspec.json.Encoder().encode


class Form(Protocol):
    """How pages are written. ``left`` is how many more events are wanted, None for any number."""

    content_type: ClassVar[str]
    left: int | None

    def __init__(self, left: int | None) -> None: ...

    def pieces(self, page: Page) -> Iterator[bytes]:
        """The page, piece by piece."""
        ...

    def heartbeat(self, after: int) -> bytes:
        """What is written while nothing happens; ``after`` is the reader's place."""
        ...

    def end(self, page: Page | None) -> bytes:
        """What is written last."""
        ...


class Lines:
    """A JSON document a line: events, ``gap`` and ``heartbeat``, the last with ``next``, the reader's place."""

    content_type: ClassVar[str] = "application/x-ndjson"

    def __init__(self, left: int | None) -> None:
        self.left = left

    def pieces(self, page: Page) -> Iterator[bytes]:
        """The gap, if there is one, and each event."""
        if page.gap:
            yield _encode({"gap": page.gap}) + b"\n"
        yield from _chunks(_encode(event) + b"\n" for event in page.events())

    def heartbeat(self, after: int) -> bytes:
        """Nothing happened up to ``next``."""
        return _encode({"heartbeat": {"next": after}}) + b"\n"

    def end(self, page: Page | None) -> bytes:
        """Nothing more."""
        return b""


class ServerSent:
    """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

    content_type: ClassVar[str] = "text/event-stream"

    def __init__(self, left: int | None) -> None:
        self.left = left

    def pieces(self, page: Page) -> Iterator[bytes]:
        """The gap as an event of its own kind and without an id, and each event with its number as id."""
        if page.gap:
            yield b"event: gap\ndata: %b\n\n" % _encode(page.gap)
        yield from _chunks(b"id: %d\ndata: %b\n\n" % (event["seq"], _encode(event)) for event in page.events())

    def heartbeat(self, after: int) -> bytes:
        """A comment that also moves the reader's place; an id without data is no event."""
        return b": heartbeat\nid: %d\n\n" % after

    def end(self, page: Page | None) -> bytes:
        """Have the reader come back soon."""
        return b"retry: 1000\n\n"


class Once:
    """One page of JSON, once there is something in it or the wait is over."""

    content_type: ClassVar[str] = JSON

    def __init__(self, left: int | None) -> None:
        self.left = left

    def pieces(self, page: Page) -> Iterator[bytes]:
        """The page, if it has anything."""
        if page.rows:
            self.left = 0
            yield _encode(page.document())

    def heartbeat(self, after: int) -> bytes:
        """A blank, which JSON does not mind: whoever went away is noticed."""
        return b" "

    def end(self, page: Page | None) -> bytes:
        """The empty page."""
        return _encode(page.document()) if page and not page.rows else b""


class EventStream:
    """Writes events in a form from a place in the journal on; see ``api.outlet.Stream``.

    It ends when the form has all that it wants, when nothing came for ``wait_seconds`` (None: never for that reason),
    when its time is over, or when the caller's token is no longer good.
    """

    def __init__(self, call: Call, reader: Reader, form: Form, *, after: int, wait_seconds: float | None) -> None:
        self.form = form
        self.seat: Seat | None = None
        self._reader = reader
        self._after = after
        self._wait_seconds = wait_seconds
        self._settings = call.plane.settings.feed
        self._audience = call.plane.audience
        self._is_signed_in = call.is_signed_in
        self._page: Page | None = None
        self._last_news = self._last_check = 0.0

    async def pump(self, outlet: Outlet) -> None:
        """Write until it ends."""
        news, loop = asyncio.Event(), asyncio.get_running_loop()
        unlisten = self._audience.listen(lambda: _tell(loop, news))
        try:
            await self._pump(outlet, news)
        finally:
            unlisten()
        await outlet.write(self.form.end(self._page))

    def close(self) -> None:
        """Make room for another stream."""
        if self.seat is not None:
            self.seat.give_back()

    async def _pump(self, outlet: Outlet, news: asyncio.Event) -> None:
        began = self._last_news = self._last_check = time.monotonic()
        while self.form.left is None or self.form.left > 0:
            news.clear()
            page = self._page = await asyncio.to_thread(self._reader.read, self._after, self._limit())
            for piece in self.form.pieces(page):
                await outlet.write(piece)
            self._after = page.next
            if page.rows:
                self._last_news = time.monotonic()
                if self.form.left is not None:
                    self.form.left -= len(page.rows)
            until = began + self._settings.stream_seconds
            if not page.is_full and not await self._rest(outlet, news, until=until):
                return
            if not await self._is_still_welcome():
                return

    def _limit(self) -> int:
        return _BATCH if self.form.left is None else min(_BATCH, self.form.left)

    async def _rest(self, outlet: Outlet, news: asyncio.Event, *, until: float) -> bool:
        """Wait for news; heartbeats meanwhile. False once the stream is to end."""
        if self._wait_seconds is not None:
            until = min(until, self._last_news + self._wait_seconds)
        left = until - time.monotonic()
        if left <= 0 or (self.form.left is not None and self.form.left <= 0):
            return False
        happened = await _either(news, outlet.gone, seconds=min(left, self._settings.heartbeat_seconds))
        if outlet.gone.is_set():
            raise ReaderGone
        if happened:
            return True
        if left > self._settings.heartbeat_seconds:
            await outlet.write(self.form.heartbeat(self._after))
        return True

    async def _is_still_welcome(self) -> bool:
        """Whether the process goes on, and the token is still good, which is asked now and then."""
        if self._audience.is_dismissed:
            return False
        now = time.monotonic()
        if now - self._last_check < self._settings.heartbeat_seconds:
            return True
        self._last_check = now
        return await asyncio.to_thread(self._is_signed_in)


def _chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Small pieces together, large ones alone."""
    gathered = bytearray()
    for piece in pieces:
        gathered += piece
        if len(gathered) >= _CHUNK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def _tell(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(news.set)


async def _either(*events: asyncio.Event, seconds: float) -> bool:
    """Whether one of them happened in time."""
    waits: list[asyncio.Task[Any]] = [asyncio.create_task(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return bool(done)
