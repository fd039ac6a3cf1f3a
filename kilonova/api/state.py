"""Our own surface beside Nova's: scheduling decisions, operations to their end, the journal, and health.

Below ``/state/v1`` everything needs a token; times are UTC with microseconds. ``/healthz`` and ``/readyz`` need none,
and name nothing; ``/metrics`` has a token of its own. What is answered there is in ``api/own``.
"""

from collections.abc import Callable
from typing import Final

from kilonova.api.dispatch import Dispatcher, Mount
from kilonova.api.errors import NOT_THERE, envelope
from kilonova.api.frame import Frame, Plan
from kilonova.api.http import MAX_BODY_BYTES, Incoming, Receive, Reply, Scope, Send
from kilonova.api.own import ROUTES
from kilonova.api.own.health import health, readiness
from kilonova.api.own.metrics import Metrics
from kilonova.api.plane import Plane
from kilonova.api.policy import Policy
from kilonova.api.routes import Router
from kilonova.api.settings import MetricsSettings
from kilonova.identity.caller import Identity
from kilonova.wire.version import NOVA_MAX

_MOUNT: Final = Mount(name="v1", maximum=NOVA_MAX, fixed=NOVA_MAX, has_projects=False)


class StateApi:
    """What Nova has no words for; an ASGI application for ``/state``, ``/healthz``, ``/readyz`` and ``/metrics``."""

    def __init__(
        self,
        plane: Plane,
        identity: Identity,
        *,
        policy: Policy | None = None,
        metrics: MetricsSettings | None = None,
        threads: int = 8,
        max_body: int = MAX_BODY_BYTES,
    ) -> None:
        self._plane = plane
        patience = plane.settings.feed.slow_reader_seconds
        self._frame = Frame(threads=threads, max_body=max_body, patience_seconds=patience)
        rules = policy or Policy()
        self._metrics = Metrics(plane, identity, rules, settings=metrics or MetricsSettings())
        self._dispatcher = Dispatcher(Router(ROUTES), plane, identity, policy=rules, identity_url=None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] == "http":
            await self._frame.serve(self._plan, scope, receive, send)

    def _page(self, incoming: Incoming) -> Callable[[], Reply] | None:
        """What is answered beside the versioned surface, by the first part of the path."""
        first = (incoming.segments or [incoming.root.rsplit("/", 1)[-1]])[0]
        pages: dict[str, Callable[[], Reply]] = {
            "healthz": lambda: health(self._plane),
            "readyz": lambda: readiness(self._plane),
            "metrics": lambda: self._metrics.answer(incoming),
        }
        return pages.get(first)

    def close(self) -> None:
        """Let what is being answered end, and end the threads."""
        self._frame.close()

    def _plan(self, incoming: Incoming) -> Plan:
        page = self._page(incoming)
        if page is not None:
            return Plan(answer=page)
        segments = incoming.segments
        if segments and segments[0] == _MOUNT.name:
            return self._dispatcher.plan(incoming, segments[1:], _MOUNT)
        return Plan(answer=lambda: envelope(404, NOT_THERE), is_quick=True)
