"""Calls an ASGI application without a socket, one request at a time."""

from typing import Any

import anyio
import httpx
from starlette.types import ASGIApp


class AsgiClient:
    """A plain synchronous face of httpx's ASGI transport; ``headers`` go with every request."""

    def __init__(self, app: ASGIApp, **headers: str) -> None:
        self._app = app
        self.headers = {key.replace("_", "-"): value for key, value in headers.items()}

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The response, read whole; redirects are not followed."""
        options["headers"] = self.headers | options.get("headers", {})
        return anyio.run(self._send, method, path, options)

    def as_(self, token: str) -> "AsgiClient":
        """The same, with a token."""
        return AsgiClient(self._app, x_auth_token=token)

    async def _send(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud.example:8774") as client:
            return await client.request(method, path, **options)
