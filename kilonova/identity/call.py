"""One request to the identity service: its body bounded, its token resolved, its errors in Keystone's envelope."""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
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
)
from kilonova.identity.accounts import Accounts
from kilonova.identity.caller import Caller
from kilonova.identity.catalog import Catalog
from kilonova.identity.credentials import ApplicationCredentials
from kilonova.identity.embedded import EmbeddedIdentity
from kilonova.identity.filters import narrowed
from kilonova.identity.granting import Granting
from kilonova.identity.records import IdentityRecords
from kilonova.identity.signin import REFUSED
from kilonova.identity.views import listing

MOST_BODY_BYTES: Final = 114688
"""oslo.middleware's ``max_request_body_size``, as everywhere in OpenStack."""

_THREADS: Final = 8
"""Threads of its own: whoever floods the service with sign-ins does not take those of the other APIs."""

_LOG: Final = logging.getLogger(__name__)
_HOST: Final = re.compile(r"^[A-Za-z0-9._\-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$")
_STATUS: Final[Mapping[type[KilonovaError], HTTPStatus]] = {
    Invalid: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    NotSupported: HTTPStatus.NOT_IMPLEMENTED,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRoom:
    """What every call works with. ``public_url`` (scheme and host) goes before the address that was asked."""

    identity: EmbeddedIdentity
    accounts: Accounts
    granting: Granting
    credentials: ApplicationCredentials
    catalog: Catalog
    public_url: str | None = None
    threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_THREADS))

    @property
    def records(self) -> IdentityRecords:
        """What is kept."""
        return self.identity.records


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, as handlers get it: they run in a thread and return the response."""

    request: Request
    room: IdentityRoom
    body: Any

    @property
    def base(self) -> str:
        """The address that all services of the cloud have in common, as the client reached it."""
        if self.room.public_url:
            return self.room.public_url.rstrip("/")
        return own_address(self.request) + self._root.rpartition("/")[0]

    @property
    def _root(self) -> str:
        return str(self.request.scope.get("root_path", ""))

    @property
    def here(self) -> str:
        """The URL of the identity service itself, without a slash at its end."""
        return f"{self.base}/{self._root.rpartition('/')[2]}" if self._root else self.base

    @property
    def token(self) -> str:
        """The caller's token. Unauthenticated where there is none."""
        token = self.request.headers.get("x-auth-token")
        if not token:
            raise Unauthenticated(REFUSED)
        return token

    def path(self, name: str) -> str:
        """A part of the path, by its name in the route. NotFound where it cannot name anything."""
        value = str(self.request.path_params[name])
        if "\x00" in value:
            raise NotFound("The resource could not be found.")
        return value

    def query(self, name: str) -> str | None:
        """A query parameter, None where it is absent."""
        return self.request.query_params.get(name)

    def asks(self, name: str) -> bool:
        """Whether a query parameter that needs no value is there."""
        return name in self.request.query_params

    def caller(self) -> Caller:
        """Who asks. Unauthenticated where the token is missing or not valid."""
        return self.room.identity.authenticate(self.token)

    def admin(self, action: str) -> Caller:
        """Who asks, if that is an administrator; else Forbidden to do ``action`` (the name of Keystone's rule)."""
        return self.allowed(action, user_id=None)

    def allowed(self, action: str, *, user_id: str | None) -> Caller:
        """Who asks, if that is an administrator or the user themself."""
        caller = self.caller()
        if not caller.administers_identity and caller.user_id != user_id:
            raise forbidden(action)
        return caller

    def listed(self, noun: str, views: Sequence[dict[str, Any]]) -> Response:
        """A whole collection, narrowed by the filters of the query."""
        path = str(self.request.url.path).removeprefix(self._root)
        return JSONResponse(listing(noun, narrowed(views, dict(self.request.query_params)), self.here + path))

    def section(self, name: str) -> Mapping[str, Any]:
        """The object under a key of the body. Invalid where there is none."""
        value = self.body.get(name) if isinstance(self.body, dict) else None
        if not isinstance(value, dict):
            raise Invalid(f"The body must be an object with an object {name!r} in it")
        return value


def forbidden(action: str) -> Forbidden:
    """The refusal of an action, by the name of Keystone's rule for it."""
    return Forbidden(f"You are not authorized to perform the requested action: identity:{action}.")


def own_address(request: Request) -> str:
    """Scheme and host that the request was sent to; the socket's own address where the Host header is not one."""
    host = request.headers.get("host", "")
    if not _HOST.match(host):
        server = request.scope.get("server") or ("localhost", None)
        host = server[0] if server[1] is None else f"{server[0]}:{server[1]}"
    return f"{request.url.scheme}://{host}"


def endpoint(handler: Callable[[Call], Response], room: IdentityRoom) -> Callable[[Request], Awaitable[Response]]:
    """A handler as an ASGI endpoint: its body read and bounded, itself run in a thread, its errors told."""

    async def respond(request: Request) -> Response:
        call = Call(request=request, room=room, body=None)
        try:
            body = await _read_body(request)
            call = Call(request=request, room=room, body=body)
            response = await to_thread.run_sync(handler, call, limiter=room.threads)
        except KilonovaError as error:
            response = refusal(error, call.here)
        except Exception:  # noqa: BLE001  the last door: told to the log, and to the client without details
            _LOG.exception("an identity request failed", extra={"path": request.url.path})
            response = envelope(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "An unexpected error prevented the server from fulfilling your request.",
            )
        return framed(response)

    return respond


def refusal(error: KilonovaError, here: str) -> Response:
    """An error as Keystone tells it; a 401 says where to sign in."""
    statuses = (_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    status = next(statuses, HTTPStatus.INTERNAL_SERVER_ERROR)
    response = envelope(status, error.message)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = f'Keystone uri="{here}"'
    return response


def envelope(status: HTTPStatus, message: str) -> Response:
    """Keystone's form of an error."""
    title = "Request Entity Too Large" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else status.phrase
    return JSONResponse({"error": {"code": int(status), "message": message, "title": title}}, status_code=status)


def framed(response: Response) -> Response:
    """The response with the headers that all of them have."""
    response.headers["Vary"] = "X-Auth-Token"
    response.headers["X-Openstack-Request-Id"] = f"req-{uuid4()}"
    return response


async def _read_body(request: Request) -> Any:
    if request.method in ("GET", "HEAD", "DELETE"):
        return None
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BODY_BYTES:
            raise TooLarge(f"Request is too large: a body may have at most {MOST_BODY_BYTES} bytes.")
    if not data:
        return None
    try:
        body = json.loads(data)
        _refuse_unstorable(body)
    except (ValueError, RecursionError) as error:
        raise Invalid("Malformed JSON in request body.") from error
    return body


def _refuse_unstorable(value: Any) -> None:
    """ValueError for text that is no Unicode or has a NUL in it: JSON can spell both, databases keep neither."""
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError("NUL in a string")
        value.encode()
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_unstorable(key)
            _refuse_unstorable(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable(item)
