"""Neutron v2.0 over HTTP, as far as clients need it to boot, to plug and to show servers: only ports are made."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kilonova.asgi.address import mount_of, own_address
from kilonova.asgi.app import mounted_app
from kilonova.asgi.body import decode_json, read_body
from kilonova.asgi.refusal import framed, pointed, status_of
from kilonova.domain.errors import (
    KilonovaError,
    NotFound,
    NotSupported,
    TooLarge,
    Unauthenticated,
)
from kilonova.network.embedded import FlatNetwork
from kilonova.network.question import answered, only
from kilonova.network.seam import Authenticates, KeptPorts, PluggedServers, Viewer
from kilonova.network.stand_in import NOUNS, StandIn, key_of
from kilonova.network.views import LIMITS, versions_view
from kilonova.network.wishes import body_of, check_names

_THREADS: Final = 8
"""Threads of its own: many who ask for ports do not take those of the other APIs."""

_LOG: Final = logging.getLogger(__name__)
_KIND: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.BAD_REQUEST: "InvalidInput",
    HTTPStatus.UNAUTHORIZED: "HTTPUnauthorized",
    HTTPStatus.FORBIDDEN: "PolicyNotAuthorized",
    HTTPStatus.NOT_FOUND: "HTTPNotFound",
    HTTPStatus.CONFLICT: "Conflict",
    HTTPStatus.NOT_IMPLEMENTED: "NotSupported",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RequestTooLarge",
    HTTPStatus.SERVICE_UNAVAILABLE: "ServiceUnavailable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A request, as handlers get it: they run in a thread."""

    request: Request
    stand_in: StandIn
    viewer: Viewer
    body: bytes

    @property
    def collection(self) -> str:
        return str(self.request.path_params["collection"])

    @property
    def id(self) -> str:
        return str(self.request.path_params["id"])

    @property
    def port(self) -> Mapping[str, Any]:
        """The port in the body. Invalid."""
        text = "The server could not comply with the request since it is malformed."
        return body_of(decode_json(self.body, refusal=text))

    @property
    def query(self) -> list[tuple[str, str]]:
        return self.request.query_params.multi_items()


_Reply = Callable[[_Call], Response]


def network_app(
    network: FlatNetwork, *, servers: PluggedServers, ports: KeptPorts, identity: Authenticates
) -> Starlette:
    """The service as an ASGI application, to be mounted at ``/network``."""
    stand_in, threads = StandIn(network, servers, ports), CapacityLimiter(_THREADS)

    def endpoint(reply: _Reply) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            try:
                read = await read_body(request, refusal="Request is too large.")
            except TooLarge as error:
                return framed(_refusal(error, request))
            return await to_thread.run_sync(_answer, reply, request, read, stand_in, identity, limiter=threads)

        return respond

    routes = [Route(path, _versions, methods=["GET"]) for path in ("/", "/v2.0", "/v2.0/")]
    routes += [Route(path, endpoint(reply), methods=methods) for methods, path, reply in _ROUTES]
    return mounted_app(routes, _unrouted)


def _answer(reply: _Reply, request: Request, body: bytes, stand_in: StandIn, identity: Authenticates) -> Response:
    try:
        token = request.headers.get("x-auth-token")
        if not token:
            raise Unauthenticated("Authentication required")
        viewer = identity.authenticate(token)
        call = _Call(request=request, stand_in=stand_in, viewer=viewer, body=body)
        return framed(reply(call))
    except KilonovaError as error:
        return framed(_refusal(error, request))
    except Exception:  # noqa: BLE001  the last door: told to the log, and to the client without details
        _LOG.exception("a network request failed", extra={"path": request.url.path})
        text = "Request Failed: internal server error while processing your request."
        return framed(_envelope(HTTPStatus.INTERNAL_SERVER_ERROR, "HTTPInternalServerError", text))


async def _versions(request: Request) -> Response:
    return framed(JSONResponse(versions_view(own_address(request) + mount_of(request))))


def _list(call: _Call) -> Response:
    _refuse_unknown(call)
    listed = call.stand_in.list_all(call.collection, call.viewer, dict(call.query))
    return JSONResponse({key_of(call.collection): answered(listed, call.query)})


def _show(call: _Call) -> Response:
    _refuse_unknown(call)
    view = call.stand_in.get_one(call.collection, call.id, call.viewer)
    fields = [value for key, value in call.query if key == "fields"]
    return JSONResponse({NOUNS[call.collection].single: only(view, fields)})


def _refuse_unknown(call: _Call) -> None:
    if call.collection not in NOUNS:
        raise NotFound("The resource could not be found.")


def _write(call: _Call) -> Response:
    """What would change something: refused in a sentence, and what is not there is not there."""
    if call.collection not in {*NOUNS, "quotas"}:
        raise NotFound("The resource could not be found.")
    raise NotSupported("The built-in network has one network; ports alone can be made and deleted.")


def _make_port(call: _Call) -> Response:
    return JSONResponse({"port": call.stand_in.make_port(call.viewer, call.port)}, status_code=201)


def _change_port(call: _Call) -> Response:
    check_names(call.port)
    return JSONResponse({"port": call.stand_in.change_port(call.id, call.viewer, call.port)})


def _delete_port(call: _Call) -> Response:
    call.stand_in.delete_port(call.id, call.viewer)
    return Response(status_code=204)


def _delete_group(call: _Call) -> Response:
    call.stand_in.delete_group(call.id, call.viewer)
    return Response(status_code=204)


def _quotas(call: _Call) -> Response:
    """The limits that differ from the defaults: none do."""
    del call
    return JSONResponse({"quotas": []})


def _quota(call: _Call) -> Response:
    call.stand_in.quota(call.id, call.viewer)
    return JSONResponse({"quota": dict(LIMITS)})


def _quota_details(call: _Call) -> Response:
    return JSONResponse({"quota": call.stand_in.quota(call.id, call.viewer)})


def _unrouted(request: Request, error: Exception) -> Response:
    del request
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    text = "The resource could not be found." if status == HTTPStatus.NOT_FOUND else status.phrase
    return framed(_envelope(status, "HTTPNotFound" if status == HTTPStatus.NOT_FOUND else "HTTPError", text))


def _refusal(error: KilonovaError, request: Request) -> Response:
    status = status_of(error)
    response = _envelope(status, _KIND.get(status, "HTTPInternalServerError"), error.message)
    return pointed(response, identity=own_address(request) + mount_of(request).removesuffix("/network") + "/identity")


def _envelope(status: HTTPStatus, kind: str, message: str) -> Response:
    """Neutron's form of an error."""
    body: dict[str, Any] = {"NeutronError": {"type": kind, "message": message, "detail": ""}}
    return JSONResponse(body, status_code=status)


_ROUTES: Final[tuple[tuple[list[str], str, _Reply], ...]] = (
    (["GET"], "/v2.0/quotas", _quotas),
    (["GET"], "/v2.0/quotas/{id}", _quota),
    (["GET"], "/v2.0/quotas/{id}/default", _quota),
    (["GET"], "/v2.0/quotas/{id}/details", _quota_details),
    (["GET"], "/v2.0/{collection}", _list),
    (["GET"], "/v2.0/{collection}/{id}", _show),
    (["DELETE"], "/v2.0/security-groups/{id}", _delete_group),
    (["POST"], "/v2.0/ports", _make_port),
    (["PUT"], "/v2.0/ports/{id}", _change_port),
    (["DELETE"], "/v2.0/ports/{id}", _delete_port),
    (["POST"], "/v2.0/{collection}", _write),
    (["PUT", "DELETE"], "/v2.0/{collection}/{id}", _write),
    (["PUT", "POST", "DELETE"], "/v2.0/{collection}/{id}/{rest:path}", _write),
)
