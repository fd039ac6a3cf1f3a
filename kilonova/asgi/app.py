"""An ASGI application that is mounted under a prefix."""

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


def mounted_app(routes: Sequence[Route], unrouted: Callable[[Request, Exception], Response]) -> Starlette:
    """The routes as an application; ``unrouted`` answers for paths and methods that there are not.

    It answers at the bare address of its mount as at the one with a slash, and redirects nowhere.
    """
    app = _Mounted(routes=routes, exception_handlers={HTTPException: unrouted})
    app.router.redirect_slashes = False
    return app


class _Mounted(Starlette):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == scope.get("root_path"):
            scope = {**scope, "path": scope["path"] + "/"}
        await super().__call__(scope, receive, send)
