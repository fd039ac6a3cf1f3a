"""One request to the identity service: its body bounded, its token resolved, its errors in Keystone's envelope."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kilonova.asgi.address import mount_of, own_address
from kilonova.asgi.body import MOST_BODY_BYTES, decode_json, read_body
from kilonova.asgi.refusal import framed as numbered
from kilonova.asgi.refusal import pointed, status_of
from kilonova.domain.errors import Forbidden, Invalid, KilonovaError, NotFound, Unauthenticated
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

_THREADS: Final = 8
"""Threads of its own: whoever floods the service with sign-ins does not take those of the other APIs."""

_LOG: Final = logging.getLogger(__name__)


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
        return mount_of(self.request)

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
    return pointed(envelope(status_of(error), error.message), identity=here)


def envelope(status: HTTPStatus, message: str) -> Response:
    """Keystone's form of an error."""
    title = "Request Entity Too Large" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else status.phrase
    return JSONResponse({"error": {"code": int(status), "message": message, "title": title}}, status_code=status)


def framed(response: Response) -> Response:
    """The response with the headers that all of them have."""
    response.headers["Vary"] = "X-Auth-Token"
    return numbered(response)


async def _read_body(request: Request) -> Any:
    if request.method in ("GET", "HEAD", "DELETE"):
        return None
    text = f"Request is too large: a body may have at most {MOST_BODY_BYTES} bytes."
    data = await read_body(request, refusal=text)
    return decode_json(data, refusal="Malformed JSON in request body.") if data else None
