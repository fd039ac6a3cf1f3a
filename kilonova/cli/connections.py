"""Clients' connections, as uvicorn serves them, with an end: each asks for something in time, and takes what it gets.

uvicorn waits for both for ever. Its classes cannot be had without it, so commands import this where they serve.
"""

import asyncio
import itertools
from typing import Any, Final

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MOST_CONNECTIONS: Final = 500
"""From so many on, each new one takes the place of the one that has been without a request for longest."""
_HEAD_SECONDS: Final = 10.0
"""From the connection to the end of the first request's head; later ones have that and the time to be idle."""
_LAST_SECONDS: Final = 5.0
"""At least, for what was written before a WebSocket was closed to be taken."""
_turns = itertools.count()
"""Tell who waits for longer; by the loop's clock many begin in one moment."""


def served_so(application: Any, **more: Any) -> Config:
    """How every server of ours serves an application; ``more`` are uvicorn's options that only this one needs."""
    return Config(
        application,
        http=HttpConnection,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        **more,
    )


class HttpConnection(HttpToolsProtocol):
    """Ends where no whole head of a request comes in time, whatever else comes, or where its place is needed."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._turn = 0
        self._patience: asyncio.TimerHandle | None = None  # None while a request is in hand

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """See asyncio.Protocol."""
        super().connection_made(transport)
        if len(self.connections) >= MOST_CONNECTIONS:
            self._make_room()
        self._await_head(_HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        """See httptools: a request is in hand, or a WebSocket begins and the connection is another class's."""
        self._forget()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """See uvicorn: a reply was written; its client may leave it untaken as well as ask for nothing more."""
        super().on_response_complete()
        if self.cycle.response_complete:  # no other request came meanwhile
            self._await_head(self.timeout_keep_alive + _HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._forget()
        super().connection_lost(exc)

    def _await_head(self, seconds: float) -> None:
        self._forget()
        self._turn = next(_turns)
        self._patience = self.loop.call_later(seconds, self.transport.abort)

    def _forget(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _make_room(self) -> None:
        others = (each for each in self.connections if isinstance(each, HttpConnection))
        idle = [each for each in others if each._patience is not None]  # noqa: SLF001 - another of the same
        if idle:
            oldest = min(idle, key=lambda each: each._turn)  # noqa: SLF001
            self.connections.discard(oldest)  # at once, for who comes before it is told of its end
            oldest.transport.abort()


class WebSocketConnection(WebSocketsSansIOProtocol):
    """Ends some seconds after it was closed, wherever that was: its client may take none of what was written."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._next_look = self.loop.call_later(_LAST_SECONDS, self._look, False)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def _look(self, was_closed: bool) -> None:  # noqa: FBT001 - call_later takes no names
        """A look now and then, because uvicorn closes in many places."""
        if was_closed:
            self.transport.abort()
        else:
            self._next_look = self.loop.call_later(_LAST_SECONDS, self._look, self.transport.is_closing())
