"""HTTP as the API's frame needs it: what came in, what goes out, and the ASGI between (nothing of Nova here)."""

import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from kilonova.domain.errors import Invalid, TooLarge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON: Final = "application/json"
JSON_UTF8: Final = "application/json; charset=UTF-8"
MAX_BODY_BYTES: Final = 114688
"""The default of Nova's ``[oslo_middleware] max_request_body_size``."""
MAX_QUERY_BYTES: Final = 16 * 1024
MAX_QUERY_FIELDS: Final = 500
NUL: Final = "The request has a NUL character in it."
"""Why such a request is refused: no database of ours keeps one in a text."""

_REQUEST_ID: Final = re.compile(rb"req-[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOST: Final = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,255}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One request, body included. ``path`` lies below ``root``, the prefix under which this application is mounted.

    ``headers`` have names in lower case; of a header that came twice the last one counts. ``base`` is the public
    address of the root, such as ``http://127.0.0.1:8774/compute``, as links have it; ``origin`` is the scheme and host
    that the request itself names.
    """

    method: str
    root: str
    path: str
    query_string: str
    headers: dict[str, str]
    base: str
    origin: str
    body: bytes = b""
    request_id: str

    @property
    def neighbourhood(self) -> str:
        """The address that all services of the cloud have in common."""
        return self.origin + self.root.rpartition("/")[0]

    @property
    def segments(self) -> list[str]:
        """The parts of the path; a slash at its end makes an empty one, which no route has."""
        return self.path.removeprefix("/").split("/") if self.path.strip("/") else []

    @property
    def url(self) -> str:
        """The request's own address, query included."""
        return f"{self.base}{self.path}{'?' if self.query_string else ''}{self.query_string}"

    def query(self) -> dict[str, list[str]]:
        """The query's parameters with all their values, in order. Invalid where there are too many of them."""
        if not self.query_string:
            return {}
        found: dict[str, list[str]] = {}
        try:
            pairs = parse_qsl(self.query_string, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
        except ValueError as error:
            raise Invalid("Too many query parameters.") from error
        for name, value in pairs:
            if "\0" in name or "\0" in value:
                raise Invalid(NUL)
            found.setdefault(name, []).append(value)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer; ``headers`` are those beyond Content-Type and Content-Length.

    Where there is a ``stream`` (``api.outlet.Stream``), it writes the body after the headers are gone.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    stream: Any = None


def new_request_id() -> str:
    """An id for one request, in Nova's form (contract §0.4)."""
    return f"req-{uuid.uuid4()}"


def target_of(scope: Scope) -> str:
    """The path as it came over the wire: ASCII, with everything else escaped."""
    raw_path = scope.get("raw_path")
    return raw_path.decode("latin-1") if raw_path else quote(scope["path"])


async def read_request(
    scope: Scope, receive: Receive, *, request_id: str, link_prefix: str | None, max_body: int
) -> Incoming:
    """The whole request. TooLarge when its body passes ``max_body`` bytes, announced or not; Invalid for a bad head.

    ``link_prefix`` replaces scheme, host and mount point in links, as ``[api] compute_link_prefix`` does.
    """
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    root = scope.get("root_path", "")
    query = scope["query_string"]
    if len(query) > MAX_QUERY_BYTES:
        raise Invalid(f"The query is longer than {MAX_QUERY_BYTES} bytes.")
    if "\0" in scope["path"]:
        raise Invalid(NUL)
    origin = _origin(scope, headers)
    return Incoming(
        method=scope["method"],
        root=root,
        path=scope["path"].removeprefix(root),
        query_string=query.decode("latin-1"),
        headers=headers,
        base=link_prefix.rstrip("/") if link_prefix else origin + root,
        origin=origin,
        body=await _read_body(headers, receive, max_body),
        request_id=request_id,
    )


def global_request_id(scope: Scope) -> str | None:
    """The id of the request, elsewhere in the cloud, that this one is a part of; None where it tells none in form."""
    for name, value in scope["headers"]:
        if name == b"x-openstack-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return None


async def send_reply(send: Send, reply: Reply, request_id: str | None) -> None:
    """The answer, whole, or only its head where a stream writes the rest; with the request's id where there is one."""
    head: list[tuple[bytes, bytes]] = []
    if reply.stream is not None:
        head = [(b"content-type", reply.content_type.encode())]
    elif reply.status not in (204, 304):
        head = [
            (b"content-length", str(len(reply.body)).encode()),
            (b"content-type", reply.content_type.encode()),
        ]
    if request_id:
        head += [(b"x-openstack-request-id", request_id.encode()), (b"x-compute-request-id", request_id.encode())]
    head += [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": head})
    if reply.stream is None:
        await send({"type": "http.response.body", "body": reply.body})


def _origin(scope: Scope, headers: dict[str, str]) -> str:
    host = headers.get("host", "")
    if not _HOST.match(host):
        server = scope.get("server") or ("127.0.0.1", None)
        host = f"{server[0]}:{server[1]}" if server[1] else str(server[0])
    return f"{scope.get('scheme', 'http')}://{host}"


async def _read_body(headers: dict[str, str], receive: Receive, max_body: int) -> bytes:
    announced = headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > max_body:
        raise TooLarge("Request is too large.")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError("the client went away")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > max_body:
            raise TooLarge("Request is too large.")
        if not message.get("more_body"):
            return b"".join(parts)
