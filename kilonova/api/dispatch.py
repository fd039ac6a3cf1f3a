"""One request through all its checks, in the order of the contract (§0.5), to the handler and back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from kilonova.api.bodies import action_of, decoded, replied
from kilonova.api.call import Call, Links
from kilonova.api.errors import NOT_THERE, Gone, refused
from kilonova.api.frame import Plan, complaint
from kilonova.api.http import Incoming, Reply
from kilonova.api.plane import Plane
from kilonova.api.policy import Policy
from kilonova.api.routes import SERVER_PARAM, Many, Match, Route, Router, Target
from kilonova.api.tags import tagged
from kilonova.api.versions import version_headers
from kilonova.domain.errors import Invalid, NotFound, Unauthenticated
from kilonova.domain.model import Instance, Request
from kilonova.identity.caller import Caller, Identity
from kilonova.store import instances
from kilonova.wire.version import Microversion, VersionUnsupported, negotiate

_PROJECT: Final = re.compile(r"[0-9a-f-]+\Z")
_LOCATE_IMAGES: Final = frozenset({"createImage", "createBackup"})
_LOGIN: Final = (
    b'{"error":{"code":401,"title":"Unauthorized","message":"The request you have made requires authentication."}}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A place where routes hang. ``fixed`` is the version of a mount whose clients cannot choose one.

    ``is_lenient`` has bodies read as before there were schemas; ``has_projects`` lets a project stand in the path.
    """

    name: str
    maximum: Microversion
    fixed: Microversion | None = None
    is_lenient: bool = False
    has_projects: bool = True


class Dispatcher:
    """Answers the requests below a mount. ``identity_url`` is told to who is not signed in."""

    def __init__(
        self, router: Router, plane: Plane, identity: Identity, *, policy: Policy, identity_url: str | None
    ) -> None:
        self.router = router
        self._plane = plane
        self._identity = identity
        self._policy = policy
        self._identity_url = identity_url

    def plan(self, incoming: Incoming, segments: list[str], mount: Mount) -> Plan:
        """How the request will be answered; ``segments`` are those behind the mount."""
        match, project_id = self._find(incoming.method, segments, mount)
        quick = match is not None and all(row.is_quick for row in match.choices.every)
        asked = _Asked(incoming, mount, match, project_id)
        return Plan(answer=lambda: self._answer(asked), is_quick=quick and self._plane.reads_inline)

    def _find(self, method: str, segments: list[str], mount: Mount) -> tuple[Match | None, str | None]:
        match = self.router.find(method, segments)
        if match is None and mount.has_projects and segments and _PROJECT.match(segments[0]):
            return self.router.find(method, segments[1:]), segments[0]
        return match, None

    def _answer(self, asked: "_Asked") -> Reply:
        try:
            caller = self._identity.authenticate(asked.incoming.headers.get("x-auth-token", ""))
        except Unauthenticated:
            return self._unauthenticated(asked.incoming)
        if asked.match is None:
            return unrouted(asked.incoming.headers)
        if asked.mount.fixed is not None:
            return self._served(asked, asked.match, caller, asked.mount.fixed)
        try:
            version = negotiate(asked.incoming.headers, asked.mount.maximum)
        except VersionUnsupported as error:
            return replace(refused(error), headers=version_headers(error.version))
        reply = self._served(asked, asked.match, caller, version)
        return replace(reply, headers={**reply.headers, **version_headers(version)})

    def _served(self, asked: "_Asked", match: Match, caller: Caller, version: Microversion) -> Reply:
        try:
            return self._handled(asked, match, caller, version)
        except Exception as error:  # noqa: BLE001  a reply to whatever it was still tells the version
            return complaint(error, asked.incoming.request_id)

    def _handled(self, asked: "_Asked", match: Match, caller: Caller, version: Microversion) -> Reply:
        body = decoded(asked.incoming)
        action = None
        if match.choices.actions:
            action = action_of(body)
            if action not in match.choices.actions:
                raise Invalid(f"There is no such action: {action}")
        if asked.project_id is not None and asked.project_id != caller.project_id:
            raise Invalid(
                f"Malformed request URL: URL's project_id '{asked.project_id}' doesn't match Context's project_id "
                f"'{caller.project_id}'"
            )
        row = match.choices.at(version, action)
        if row is None:
            raise NotFound(NOT_THERE)
        if row.is_gone:
            raise Gone
        call = self._call(asked, caller, version, body=body, params=match.params(row))
        self._admit(call, row, asked.incoming, is_lenient=asked.mount.is_lenient)
        reply = _traceable(replied(row.handle(call), call, row), row, asked.incoming)
        is_list = asked.incoming.method == "GET" and (isinstance(row.returns, Many) or not asked.mount.has_projects)
        return tagged(reply, asked.incoming.headers) if is_list else reply

    def _call(
        self, asked: "_Asked", caller: Caller, version: Microversion, *, body: Any, params: Mapping[str, str]
    ) -> Call:
        incoming = asked.incoming
        own = caller.project_id
        request = Request(
            request_id=incoming.request_id,
            user_id=caller.user_id,
            project_id=own,
            received_at=self._plane.now(),
            context_json=None if incoming.method == "GET" else _context_of(caller),
        )
        behind = incoming.path.strip("/").split("/", 1)[-1].removeprefix(f"{asked.project_id}/")
        return Call(
            caller=caller,
            request=request,
            version=version,
            params=params,
            query={},
            body=body,
            plane=self._plane,
            policy=self._policy,
            links=Links(
                incoming.base,
                asked.mount.name,
                own if own and own in incoming.url else None,
                neighbourhood=incoming.neighbourhood,
            ),
            path=behind,
            headers=incoming.headers,
            is_signed_in=lambda: self._is_good(incoming.headers),
        )

    def _is_good(self, headers: Mapping[str, str]) -> bool:
        try:
            self._identity.authenticate(headers.get("x-auth-token", ""))
        except Unauthenticated:
            return False
        return True

    def _admit(self, call: Call, row: Route, incoming: Incoming, *, is_lenient: bool) -> None:
        """Schema, server, policy: in this order, so that a bad body is 400 and an unknown server 404 before any 403."""
        query_schema = row.query.at(call.version)
        if query_schema is not None:
            query = incoming.query()
            query_schema.check(query)
            call.query = query_schema.known(query)
        body_schema = row.body.at(call.version)
        if body_schema is not None:
            if is_lenient:
                call.body = body_schema.relaxed(call.body)
            body_schema.check(call.body)
        if row.target is Target.SERVER:
            call.instance = self._server(call, include_deleted=row.sees_deleted.at(call.version))
        if row.policy is not None and row.target is not Target.HANDLER:
            call.check(row.policy)

    def _server(self, call: Call, *, include_deleted: bool) -> Instance:
        """The server of the path; another project's is not there for who sees only their own."""
        uuid = call.params[SERVER_PARAM]
        with self._plane.database.read() as connection:
            instance = instances.get_instance(connection, uuid, include_deleted=include_deleted)
        if instance.project_id != call.caller.project_id and not call.sees_all:
            raise NotFound(f"Instance {uuid} could not be found.")
        return instance

    def _unauthenticated(self, incoming: Incoming) -> Reply:
        """What keystonemiddleware answers in front of Nova (contract §0.5)."""
        url = self._identity_url or f"{incoming.neighbourhood}/identity/v3"
        return Reply(status=401, body=_LOGIN, headers={"WWW-Authenticate": f'Keystone uri="{url}"'})


def _traceable(reply: Reply, row: Route, incoming: Incoming) -> Reply:
    """The reply to what goes on with a server after it: with the address where one sees how it ends.

    It is the ``Location`` where Nova says none. Actions whose clients take that for an image's address have it as a
    ``Link`` only, which all have.
    """
    if reply.status != 202 or not row.path.startswith("/servers") or row.method == "GET":
        return reply
    address = f"{incoming.base.removesuffix(incoming.root)}/state/v1/operations/{incoming.request_id}"
    headers = {"Link": f'<{address}>; rel="monitor"', **reply.headers}
    if row.action not in _LOCATE_IMAGES:
        headers.setdefault("Location", address)
    return replace(reply, headers=headers)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request with what its path leads to."""

    incoming: Incoming
    mount: Mount
    match: Match | None
    project_id: str | None


def unrouted(headers: Mapping[str, str]) -> Reply:
    """The answer to a path or method that nobody serves: not Nova's envelope, but its web library's (contract §0.5)."""
    accept = headers.get("accept", "")
    if "html" in accept or "*/*" in accept:
        return Reply(status=404, body=_NO_ROUTE_HTML, content_type="text/html; charset=UTF-8")
    if "json" in accept:
        return Reply(status=404, body=_NO_ROUTE_JSON, content_type="application/json; charset=UTF-8")
    return Reply(status=404, body=_NO_ROUTE_TEXT, content_type="text/plain; charset=UTF-8")


_NO_ROUTE_JSON: Final = (
    b'{"message": "The resource could not be found.<br /><br />\\n\\n\\n", '
    b'"code": "404 Not Found", "title": "Not Found"}'
)
_NO_ROUTE_HTML: Final = (
    b"<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n"
    b"  The resource could not be found.<br /><br />\n\n\n\n </body>\n</html>"
)
_NO_ROUTE_TEXT: Final = b"404 Not Found\n\nThe resource could not be found.\n\n\n\n\n"


def _context_of(caller: Caller) -> str:
    """What the journal tells of the caller besides the ids (contract §10.2)."""
    told = {
        "user_name": caller.user_name,
        "project_name": caller.project_name,
        "user_domain": caller.user_domain_id,
        "project_domain": caller.project_domain_id,
        "roles": sorted(caller.roles),
        "is_admin": caller.is_admin,
    }
    return msgspec.json.encode(told).decode()
