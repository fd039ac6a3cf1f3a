"""One request to the image service: who asks, its body bounded, its errors in the form that Glance's clients read."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from kilonova.asgi.address import mount_of, own_address
from kilonova.asgi.body import MOST_BODY_BYTES, decode_json, read_body
from kilonova.asgi.refusal import framed, pointed, status_of
from kilonova.domain.errors import KilonovaError, NotFound, Unauthenticated
from kilonova.images.embedded import EmbeddedImages
from kilonova.images.seam import Authenticates, Viewer
from kilonova.images.sharing import Sharing

_THREADS: Final = 16
"""Threads of its own: slow disks under many uploads do not take those of the other APIs."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRoom:
    """What every call works with. ``public_url`` (scheme and host) goes before the address that was asked."""

    images: EmbeddedImages
    sharing: Sharing
    identity: Authenticates
    public_url: str | None = None
    threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_THREADS))

    async def in_thread(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do blocking work without holding up other requests."""
        return await to_thread.run_sync(partial(work, *args, **kwargs), limiter=self.threads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, as handlers get it; ``body`` is the decoded JSON of those that have one."""

    request: Request
    room: ImageRoom
    body: Any = None

    @property
    def here(self) -> str:
        """The URL of the image service itself, without a slash at its end."""
        return (self.room.public_url or own_address(self.request)).rstrip("/") + mount_of(self.request)

    @property
    def image_id(self) -> str:
        """The image that the path names. NotFound where it cannot name one."""
        image_id = str(self.request.path_params["id"])
        if "\x00" in image_id:
            raise NotFound("No image found with that ID")
        return image_id

    def part(self, name: str) -> str:
        """Another part of the path, by its name in the route. NotFound where it cannot name anything."""
        value = str(self.request.path_params[name])
        if "\x00" in value:
            raise NotFound("The resource could not be found.")
        return value

    def viewer(self) -> Viewer:
        """Who asks. Unauthenticated where the token is missing or not valid."""
        token = self.request.headers.get("x-auth-token")
        if not token:
            raise Unauthenticated("This server could not verify that you are authorized to access it.")
        return self.room.identity.authenticate(token)


Reply = Callable[[Call], Response]


def endpoint(handler: Reply, room: ImageRoom) -> Callable[[Request], Awaitable[Response]]:
    """A handler that runs in a thread, with its JSON body read and bounded, as an ASGI endpoint."""

    async def answer(call: Call) -> Response:
        body = await _read_json(call.request)
        return await room.in_thread(handler, Call(request=call.request, room=room, body=body))

    return streaming(answer, room)


def streaming(
    handler: Callable[[Call], Awaitable[Response]], room: ImageRoom
) -> Callable[[Request], Awaitable[Response]]:
    """A handler that reads the body itself, as an ASGI endpoint."""

    async def respond(request: Request) -> Response:
        call = Call(request=request, room=room)
        try:
            response = await handler(call)
        except KilonovaError as error:
            response = _refusal(error, call.here)
        except ClientDisconnect:
            response = Response(status_code=400)  # nobody reads it
        except Exception:  # noqa: BLE001  the last door: told to the log, and to the client without details
            _LOG.exception("an image request failed", extra={"path": request.url.path})
            response = envelope(HTTPStatus.INTERNAL_SERVER_ERROR, "The image service failed to answer.")
        return framed(response)

    return respond


def envelope(status: HTTPStatus, message: str) -> Response:
    """An error: its sentence inside an object, where both glanceclient and openstacksdk look for it."""
    body = {"error": {"code": int(status), "title": status.phrase, "message": message}}
    return JSONResponse(body, status_code=status)


def _refusal(error: KilonovaError, here: str) -> Response:
    if error.detail:
        _LOG.warning("%s (%s)", error.message, error.detail)
    identity = f"{here.removesuffix('/image')}/identity"
    return pointed(envelope(status_of(error), error.message), identity=identity)


async def _read_json(request: Request) -> Any:
    if request.method not in ("POST", "PATCH", "PUT"):
        return None
    data = await read_body(request, refusal=f"A request body may have at most {MOST_BODY_BYTES} bytes.")
    if not data and request.method != "PATCH":
        return None
    return decode_json(data, refusal="Body is not valid JSON")
