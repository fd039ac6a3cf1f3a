"""One address for several applications, told apart by the first segment of the path."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""


_CONSOLE: Final = "/console"


class Front:
    """Hands a request to the application of its prefix, which sees the prefix as its ``root_path``.

    ``rooms`` maps prefixes such as ``/compute`` to applications. What is under none of them gets the list of them:
    a person who opens the bare address learns where to go, and in a browser comes to the console if there is one.
    """

    def __init__(self, rooms: Mapping[str, Application]) -> None:
        self._rooms = dict(rooms)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        outside = scope.get("root_path", "")
        path = scope["path"].removeprefix(outside)
        prefix = "/" + path.split("/", 2)[1] if path else "/"
        room = self._rooms.get(prefix)
        if room is None:
            await self._directory(path, scope, send)
        else:
            await room({**scope, "root_path": outside + prefix}, receive, send)

    async def _directory(self, path: str, scope: Any, send: Any) -> None:
        is_root = path in ("", "/")
        if is_root and _CONSOLE in self._rooms and _is_browser(scope):
            place = scope.get("root_path", "") + _CONSOLE + "/"
            headers = [(b"location", place.encode()), (b"content-length", b"0"), (b"vary", b"Accept")]
            await send({"type": "http.response.start", "status": 303, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        body = json.dumps({"kilonova": sorted(self._rooms)} if is_root else {"error": "There is nothing here."})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if is_root else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})


def _is_browser(scope: Any) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
