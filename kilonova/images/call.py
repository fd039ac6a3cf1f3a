"""One request to the image service: who asks, its body bounded, its errors in the form that Glance's clients read."""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final, ParamSpec, TypeVar
from uuid import uuid4

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from kilonova.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    KilonovaError,
    NotFound,
    NotSupported,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from kilonova.images.embedded import EmbeddedImages
from kilonova.images.seam import Authenticates, Viewer
from kilonova.images.sharing import Sharing

MOST_BODY_BYTES: Final = 114688
"""The bound on bodies that are not image data, as everywhere in OpenStack."""

_THREADS: Final = 16
"""Threads of its own: slow disks under many uploads do not take those of the other APIs."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_LOG: Final = logging.getLogger(__name__)
_HOST: Final = re.compile(r"^[A-Za-z0-9._\-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$")
_STATUS: Final[Mapping[type[KilonovaError], HTTPStatus]] = {
    Invalid: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NotSupported: HTTPStatus.NOT_IMPLEMENTED,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


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
        root = str(self.request.scope.get("root_path", ""))
        return (self.room.public_url or _own_address(self.request)).rstrip("/") + root

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


def framed(response: Response) -> Response:
    """The response with the header that all of them have."""
    response.headers["X-Openstack-Request-Id"] = f"req-{uuid4()}"
    return response


def _refusal(error: KilonovaError, here: str) -> Response:
    statuses = (_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    status = next(statuses, HTTPStatus.INTERNAL_SERVER_ERROR)
    if error.detail:
        _LOG.warning("%s (%s)", error.message, error.detail)
    response = envelope(status, error.message)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = f'Keystone uri="{here.removesuffix("/image")}/identity"'
    return response


def _own_address(request: Request) -> str:
    host = request.headers.get("host", "")
    if not _HOST.match(host):
        server = request.scope.get("server") or ("localhost", None)
        host = server[0] if server[1] is None else f"{server[0]}:{server[1]}"
    return f"{request.url.scheme}://{host}"


async def _read_json(request: Request) -> Any:
    if request.method not in ("POST", "PATCH", "PUT"):
        return None
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BODY_BYTES:
            raise TooLarge(f"A request body may have at most {MOST_BODY_BYTES} bytes.")
    if not data and request.method != "PATCH":
        return None
    try:
        body = json.loads(data)
        _refuse_unstorable(body)
    except (ValueError, RecursionError) as error:
        raise Invalid("Body is not valid JSON") from error
    return body


def _refuse_unstorable(value: Any) -> None:
    """ValueError for text that is no Unicode or has a NUL in it: JSON can spell both, databases keep neither."""
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError("NUL in a string")
        value.encode()
    elif isinstance(value, dict | list):
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            _refuse_unstorable(item)
