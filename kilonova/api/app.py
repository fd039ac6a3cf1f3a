"""The compute API as one ASGI application: version documents, and Nova's routes below ``/v2.1`` and ``/v2``."""

from dataclasses import replace

from kilonova.api.dispatch import Dispatcher, Mount
from kilonova.api.frame import Frame, Plan
from kilonova.api.history import MAXIMUM
from kilonova.api.http import MAX_BODY_BYTES, Incoming, Receive, Reply, Scope, Send
from kilonova.api.plane import Plane
from kilonova.api.policy import Policy
from kilonova.api.resources import ROUTES
from kilonova.api.routes import Router
from kilonova.api.versions import choices, every_version, one_version, version_headers
from kilonova.identity.caller import Identity
from kilonova.wire.version import MIN, negotiate

_MICROVERSIONED = Mount(name="v2.1", maximum=MAXIMUM)
_LEGACY = Mount(name="v2", maximum=MAXIMUM, fixed=MIN, is_lenient=True)
_MOUNTS = {mount.name: mount for mount in (_MICROVERSIONED, _LEGACY)}
_IDS = {"v2": "v2.0", "v2.1": "v2.1"}


class ComputeApi:
    """Nova's API over a plane; an ASGI application that may be mounted under any prefix.

    ``identity_url`` is what 401 replies name (None: ``/identity/v3`` beside this application), ``threads`` how many
    requests are worked on at once, ``max_body`` the largest body in bytes.
    """

    def __init__(
        self,
        plane: Plane,
        identity: Identity,
        *,
        policy: Policy | None = None,
        identity_url: str | None = None,
        threads: int = 8,
        max_body: int = MAX_BODY_BYTES,
    ) -> None:
        self._frame = Frame(threads=threads, link_prefix=plane.settings.compute_link_prefix, max_body=max_body)
        self._dispatcher = Dispatcher(
            Router(ROUTES), plane, identity, policy=policy or Policy(), identity_url=identity_url
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; other kinds of connection are not taken."""
        if scope["type"] == "http":
            await self._frame.serve(self._plan, scope, receive, send)

    def close(self) -> None:
        """Let what is being answered end, and end the threads."""
        self._frame.close()

    def _plan(self, incoming: Incoming) -> Plan:
        segments = incoming.segments
        if len(segments) > 1 and segments[1:] == [""]:
            segments = segments[:1]
        if not segments:
            return Plan(answer=lambda: every_version(incoming, MAXIMUM), is_quick=True, shows_request_id=False)
        mount = _MOUNTS.get(segments[0])
        if mount is None:
            return Plan(answer=lambda: choices(incoming), is_quick=True, shows_request_id=False)
        if incoming.method == "GET" and (len(segments) == 1 or (len(segments) == 3 and segments[1] == "versions")):
            return Plan(answer=lambda: _document(incoming, segments, mount), is_quick=True)
        return self._dispatcher.plan(incoming, segments[1:], mount)


def _document(incoming: Incoming, segments: list[str], mount: Mount) -> Reply:
    """``GET /v2.1`` and ``GET /v2.1/versions/{id}``, which need no token (contract §0.1)."""
    if len(segments) == 1:
        reply = one_version(incoming, _IDS[mount.name], MAXIMUM)
    else:
        reply = one_version(incoming, segments[2], MAXIMUM, mount="v2.1")
    if mount.fixed is not None:
        return reply
    return replace(reply, headers=version_headers(negotiate(incoming.headers, MAXIMUM)))
