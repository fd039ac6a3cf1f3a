"""One address for several applications, told apart by the first segment of the path."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""


class Front:
    """Hands a request to the application of its prefix, which sees the prefix as its ``root_path``.

    ``rooms`` maps prefixes such as ``/compute`` to applications. What is under none of them gets the list of them:
    a person who opens the bare address learns where to go.
    """

    def __init__(self, rooms: Mapping[str, Application]) -> None:
        self._rooms = dict(rooms)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        prefix = "/" + scope["path"].split("/", 2)[1]
        room = self._rooms.get(prefix)
        if room is None:
            await self._directory(scope, send)
        else:
            await room({**scope, "root_path": scope.get("root_path", "") + prefix}, receive, send)

    async def _directory(self, scope: Any, send: Any) -> None:
        is_root = scope["path"] == "/"
        body = json.dumps({"kilonova": sorted(self._rooms)} if is_root else {"error": "There is nothing here."})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if is_root else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})
