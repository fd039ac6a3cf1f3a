"""Which function answers which request at which microversion.

A ``Route`` is one row; the ``Router`` folds them into a tree of path segments. ``{name}`` in a path stands for any one
segment. Rows of the same method and path have spans that do not overlap. Rows of an action share method and path, and
are told apart by the one key of the body.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypedDict, Unpack

from kilonova.api.call import Call
from kilonova.api.schemas.validation import Schema
from kilonova.api.shape import Shape
from kilonova.wire.version import Microversion, Span, Versioned

Handle = Callable[[Call], Any]
"""Answers a call with a record, a ``Page``, an ``Accepted``, or plain data where the route returns no shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class One:
    """A body with a single record under a key, the shape's name unless another is given."""

    shape: Shape
    key: str = ""

    @property
    def name(self) -> str:
        """The key of the body."""
        return self.key or self.shape.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Many:
    """A body with a list of records, and the link to the next page under ``links`` (None: ``<key>_links``)."""

    shape: Shape
    key: str
    links: str | None = None
    item: str | None = None

    @property
    def links_key(self) -> str:
        """The key that the link to the next page has."""
        return self.links or f"{self.key}_links"


class Target(Enum):
    """Whose thing a route's policy is about."""

    CALLER = "the caller's own project"
    SERVER = "the project of the server in the path, which is looked up first"
    HANDLER = "known only to the handler, which checks it"


NO_BODY: Final = Versioned[Schema | None](("2.1", None))
ANY_QUERY: Final = Versioned[Schema | None](("2.1", None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row. Both ends of ``span`` are included; ``action`` is the key of the body for actions on a server.

    ``policy`` None lets in whoever is signed in; ``status`` is that of success. ``body`` and ``query`` are the schemas
    of what may be sent, None for anything (a body) and for nothing known (a query, whose parameters then are all
    dropped). ``sees_deleted`` says whether the server of the path may be gone already. ``is_gone`` marks what Nova
    had once. ``is_quick`` marks reads of a few rows by their keys, however many there are: where reads are local, they
    are answered on the event loop, where nobody else is answered meanwhile.
    """

    method: str
    path: str
    handle: Handle
    policy: str | None
    span: Span
    action: str | None = None
    returns: One | Many | None = None
    status: Versioned[int] = field(default_factory=lambda: Versioned(("2.1", 200)))
    body: Versioned[Schema | None] = NO_BODY
    query: Versioned[Schema | None] = ANY_QUERY
    target: Target = Target.CALLER
    sees_deleted: Versioned[bool] = field(default_factory=lambda: Versioned(("2.1", False)))
    is_gone: bool = False
    is_quick: bool = False

    @property
    def name(self) -> str:
        """What it is called in a log or a reference page."""
        action = f" {self.action}" if self.action else ""
        return f"{self.method} {self.path}{action} ({self.span.since}–{self.span.until or ''})"


SERVER_PARAM: Final = "server_id"


class RouteOptions(TypedDict, total=False):
    """What a row may have beyond method, path, handler and policy: fields of ``Route``, the span as two texts."""

    since: str
    until: str | None
    status: int | Versioned[int]
    action: str
    returns: One | Many
    body: Versioned[Schema | None]
    query: Versioned[Schema | None]
    target: Target
    sees_deleted: Versioned[bool]
    is_gone: bool
    is_quick: bool


def route(method: str, path: str, handle: Handle, *, policy: str | None, **options: Unpack[RouteOptions]) -> Route:
    """A row from texts. Below ``/servers/{server_id}`` the policy is about the server unless ``target`` says else."""
    since, until = options.pop("since", "2.1"), options.pop("until", None)
    status = options.pop("status", 200)
    if f"{{{SERVER_PARAM}}}" in path:
        options.setdefault("target", Target.SERVER)
    rest: dict[str, Any] = dict(options)
    rest["span"] = Span.of(since, until)
    rest["status"] = status if isinstance(status, Versioned) else Versioned(("2.1", status))
    return Route(method=method, path=path, handle=handle, policy=policy, **rest)


@dataclass(slots=True)
class _Node:
    """One place in the tree: what follows literally, what follows as a parameter, and who answers right here."""

    literal: dict[str, "_Node"] = field(default_factory=dict)
    param: "_Node | None" = None
    methods: dict[str, "Choices"] = field(default_factory=dict)


@dataclass(slots=True)
class Choices:
    """All rows of one method and path: those of whole requests, and those of each action."""

    plain: list[Route] = field(default_factory=list)
    actions: dict[str, list[Route]] = field(default_factory=dict)

    def at(self, version: Microversion, action: str | None = None) -> Route | None:
        """The row that answers at a version, None where the path is there but not at this one."""
        rows = self.plain if action is None else self.actions[action]
        return next((row for row in rows if row.span.has(version)), None)

    @property
    def every(self) -> list[Route]:
        """Each row once."""
        return [*self.plain, *(row for rows in self.actions.values() for row in rows)]


@dataclass(frozen=True, slots=True)
class Match:
    """What a path leads to, with the values of its parameters in the order of the path."""

    choices: Choices
    values: tuple[str, ...]

    def params(self, row: Route) -> dict[str, str]:
        """The parameters of the path by the names that the row gives them."""
        names = [part[1:-1] for part in row.path.split("/") if part.startswith("{")]
        return dict(zip(names, self.values, strict=True))


class Router:
    """Finds the rows of a method and path. ValueError for two rows that would answer the same request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        for row in self.routes:
            self._add(row)

    def find(self, method: str, segments: list[str]) -> Match | None:
        """The rows for a request, whatever its version; None where no row has this path and method."""
        return _walk(self._root, segments, 0, method, ())

    def _add(self, row: Route) -> None:
        node = self._root
        for part in row.path.strip("/").split("/"):
            if part.startswith("{"):
                if node.param is None:
                    node.param = _Node()
                node = node.param
            else:
                node = node.literal.setdefault(part, _Node())
        choices = node.methods.setdefault(row.method, Choices())
        rows = choices.plain if row.action is None else choices.actions.setdefault(row.action, [])
        for twin in rows:
            if twin.span.overlaps(row.span):
                raise ValueError(f"{twin.name} and {row.name} answer the same request")
        rows.append(row)


def _walk(node: _Node, segments: list[str], depth: int, method: str, values: tuple[str, ...]) -> Match | None:
    if depth == len(segments):
        choices = node.methods.get(method)
        return None if choices is None else Match(choices, values)
    part = segments[depth]
    literal = node.literal.get(part)
    if literal is not None and (found := _walk(literal, segments, depth + 1, method, values)) is not None:
        return found
    if node.param is None or not part:
        return None
    return _walk(node.param, segments, depth + 1, method, (*values, part))
