"""noVNC's files from where they are installed, each with what it may do and no more; none of them is ours.

Where noVNC is not installed, a page says how to install it: consoles can be opened by other clients all the same.
"""

import base64
import hashlib
import re
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from kilonova.services.console_settings import NOVNC_PAGE

_PLACES: Final = (Path("/usr/share/novnc"), Path(sys.prefix) / "share" / "novnc")
_HTML: Final = re.compile(r"/[a-z_]+\.html")
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]-]+")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address has the token
    "Cache-Control": "no-cache",
}
_MISSING: Final = """\
noVNC, which shows the screens of servers in a browser, is not installed here.

    make up                      (or `make virt`) puts it into .venv, where apt is there
    apt-get install novnc        installs it for the whole machine
    web in [DEFAULT]             names a directory that has it

Then open the address again. Other clients open consoles without it, by WebSocket.
"""
_GREETING: Final = """\
This is the proxy of remote consoles of a Kilonova. An address that opens one comes from

    openstack console url show SERVER            its screen, in this browser
    openstack console url show --serial SERVER   its serial port, by WebSocket
"""
_OURS: Final = {"/": _GREETING, "/favicon.ico": ""}
"""Pages of our own; browsers ask for an icon, and complain where there is none."""


def find_novnc(wanted: str = "") -> Path | None:
    """The directory of noVNC: the one that is wanted, or where it usually is; None where it is not."""
    places = (Path(wanted).expanduser(),) if wanted else _PLACES
    return next((place for place in places if (place / NOVNC_PAGE).is_file()), None)


class Pages:
    """``web`` is noVNC's directory, looked for at each page; ``origins`` are hosts whose pages may embed ours."""

    def __init__(self, web: str, origins: Iterable[str]) -> None:
        self._web = web
        self._frames = " ".join(["'self'", *(f"{name}:*" for name in sorted(origins) if _HOST.fullmatch(name))])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        reply = await run_in_threadpool(self._page, Request(scope))
        if reply is None:
            reply = await self._file(scope)
        for name, value in _HEADERS.items():
            reply.headers[name] = value
        await reply(scope, receive, send)

    def _page(self, request: Request) -> Response | None:
        """The page of this path; None for any other file."""
        path = request.url.path
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Files are only read here.", 405)
        if path in _OURS:
            return PlainTextResponse(_OURS[path], 200 if _OURS[path] else 204)
        if _HTML.fullmatch(path) is None:
            return None
        web = find_novnc(self._web)
        if web is None:
            return PlainTextResponse(_MISSING, 404)
        try:
            text = (web / path[1:]).read_text("utf-8")
        except OSError:
            return PlainTextResponse("There is nothing here.", 404)
        return Response(
            text,
            media_type="text/html",
            headers={"Content-Security-Policy": self._policy(text, request.headers.get("host", ""))},
        )

    async def _file(self, scope: Any) -> Response:
        web = find_novnc(self._web)
        if web is None:
            return PlainTextResponse(_MISSING, 404)
        files = StaticFiles(directory=web)
        try:
            return await files.get_response(files.get_path(scope), scope)
        except HTTPException:
            return PlainTextResponse("There is nothing here.", 404)

    def _policy(self, page: str, host: str) -> str:
        """Scripts and styles of the page itself by their digests, all else from here; WebSockets to here alone.

        Not every browser takes ``'self'`` for an address of WebSockets as well.
        """
        inline = _Inline(page)
        sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
        return "; ".join(
            (
                "default-src 'none'",
                " ".join(["script-src 'self'", *inline.digests["script"]]),
                " ".join(["style-src 'self'", *inline.digests["style"]]),
                "img-src 'self' data:",
                "font-src 'self'",
                "media-src 'self'",
                f"connect-src 'self'{sockets}",
                f"frame-ancestors {self._frames}",
                "base-uri 'none'",
                "form-action 'none'",
            )
        )


class _Inline(HTMLParser):
    """The digests of what stands within a page, as a content security policy has them (CSP3 §2.3.1)."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=False)
        self.digests: dict[str, list[str]] = {"script": [], "style": []}
        self._within: str | None = None
        self._text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        self._within = tag if tag in self.digests and "src" not in dict(attrs) else None
        self._text.clear()

    def handle_data(self, data: str) -> None:
        """See HTMLParser; what stands in one element may come in several pieces."""
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        if self._within is not None:
            digest = base64.b64encode(hashlib.sha256("".join(self._text).encode()).digest()).decode()
            self.digests[self._within].append(f"'sha256-{digest}'")
        self._within = None
