"""The proxy of remote consoles as an ASGI application: WebSockets with a token in their query, and noVNC's files.

Whoever has a token is let in: it is random, short-lived, and leads to one console of one server
(``services.consoles``). Pages of other sites are kept out by their Origin, as Nova's proxies do.
"""

import logging
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool

from kilonova.domain.errors import Forbidden, KilonovaError
from kilonova.proxy.pages import Pages
from kilonova.proxy.piping import Consoles, pipe
from kilonova.services.console_settings import ConsoleSettings
from kilonova.services.consoles import ConsoleSession

_log = logging.getLogger(__name__)
_SUBPROTOCOL: Final = "binary"
"""What noVNC and serial clients of old ask for; nothing else is known here, and most ask for none."""
_MOST_TOKEN_LETTERS: Final = 200


class ConsoleProxy:
    """Answers on a port of its own, so that noVNC's pages have an origin apart from the cloud's."""

    def __init__(self, consoles: Consoles, pages: Pages, settings: ConsoleSettings) -> None:
        self._consoles = consoles
        self._pages = pages
        self._origins = settings.origins

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or carry one console for as long as both ends want it."""
        if scope["type"] == "http":
            await self._pages(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()  # that somebody wants to connect
        try:
            session = await run_in_threadpool(self._open, scope["headers"], _taken_token(scope))
        except KilonovaError as error:
            _log.info("a console was refused: %s", error.message)
            await send({"type": "websocket.close"})  # HTTP's 403
            return
        _log.info("a %s console of server %s is open", session.token.kind, session.token.instance_uuid)
        try:
            spoken = _SUBPROTOCOL if _SUBPROTOCOL in scope["subprotocols"] else None
            await send({"type": "websocket.accept", "subprotocol": spoken, "headers": []})
            await pipe(session, self._consoles, receive, send)
        finally:
            await run_in_threadpool(self._consoles.close, session)
            _log.info("a %s console of server %s is closed", session.token.kind, session.token.instance_uuid)

    def _open(self, headers: Sequence[tuple[bytes, bytes]], token: str) -> ConsoleSession:
        if not _is_welcome(headers, self._origins):
            raise Forbidden("Origin header does not match this host.")
        return self._consoles.open(token)


def _taken_token(scope: Any) -> str:
    """The token of the address, which has none from here on: whoever serves us may log it."""
    query: str = scope["query_string"].decode("latin-1")
    scope["query_string"] = b""
    return parse_qs(query).get("token", [""])[-1][:_MOST_TOKEN_LETTERS]


def _is_welcome(headers: Sequence[tuple[bytes, bytes]], origins: frozenset[str]) -> bool:
    """Whether the page that opens the console may: one of this host, of those in the settings, or no page at all."""
    named = {name: value.decode("latin-1") for name, value in headers}
    origin = named.get(b"origin")
    if origin is None:
        return True
    try:
        parts, own = urlsplit(origin), urlsplit(f"//{named.get(b'host', '')}").hostname
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.hostname is not None and parts.hostname in {own, *origins}
