"""What a handler gets, and what it may return."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from kilonova.api.plane import Plane
from kilonova.api.policy import Policy
from kilonova.api.shape import raw
from kilonova.domain.model import Instance, Request
from kilonova.identity.caller import Caller
from kilonova.wire.version import Microversion


class Links:
    """Builds the addresses that bodies carry (contract §0.2).

    ``base`` is the public address under which the API is mounted, ``mount`` its version's segment (``v2.1``) and
    ``project_id`` that of the caller if the request's own URL has it, else None. ``neighbourhood`` is the address that
    the services of the cloud have in common.
    """

    def __init__(self, base: str, mount: str, project_id: str | None, *, neighbourhood: str = "") -> None:
        self.mount = mount
        self._neighbourhood = neighbourhood
        project = f"/{project_id}" if project_id else ""
        self.root = f"{base}/{mount}{project}"
        self.bookmark_root = f"{base}{project}"
        self._self_start = f'[{{"rel":"self","href":{_inside(self.root)}/'
        self._bookmark_start = f'"}},{{"rel":"bookmark","href":{_inside(self.bookmark_root)}/'
        self._bookmark_only = f'[{{"rel":"bookmark","href":{_inside(self.bookmark_root)}/'

    def both(self, collection: str, id: str) -> msgspec.Raw:
        """The links ``self`` and ``bookmark`` of one thing, as JSON. ``id`` must need no escaping."""
        return raw(f'{self._self_start}{collection}/{id}{self._bookmark_start}{collection}/{id}"}}]')

    def bookmark(self, collection: str, id: str) -> str:
        """The text of a list with only the link ``bookmark``. ``id`` must need no escaping."""
        return f'{self._bookmark_only}{collection}/{id}"}}]'

    def beside(self, service: str) -> str:
        """The address of another service of the cloud, such as ``image``."""
        return f"{self._neighbourhood}/{service}"

    @property
    def host(self) -> str:
        """The name or address under which the API was asked, without a port; IPv6 in brackets."""
        name = urlsplit(self._neighbourhood).hostname or "127.0.0.1"
        return f"[{name}]" if ":" in name else name

    def to(self, path: str) -> str:
        """The address of a path below the API's root, such as ``servers/{id}``."""
        return f"{self.root}/{path}"


def _inside(text: str) -> str:
    """A JSON string without its closing quote."""
    return msgspec.json.encode(text).decode()[:-1]


@dataclass(kw_only=True)
class Call:
    """One request on its way through a handler: who asks, what for, and what stands behind.

    ``params`` are the parts of the path, ``query`` the parameters that the route knows (all their values, in order),
    ``body`` the parsed and validated JSON. ``server`` is there on every route below ``/servers/{server_id}``: looked
    up, visible to the caller, and within the route's policy. ``headers`` have names in lower case; ``is_signed_in``
    asks anew whether the caller's token is good, for what takes longer than a moment.
    """

    caller: Caller
    request: Request
    version: Microversion
    params: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: Any
    plane: Plane
    policy: Policy
    links: Links
    path: str
    route: Any = None
    instance: Instance | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_signed_in: Callable[[], bool] = lambda: True

    @property
    def server(self) -> Instance:
        """The server of the path."""
        if self.instance is None:
            raise LookupError("this route names no server")
        return self.instance

    @cached_property
    def is_admin(self) -> bool:
        """Whether the caller passes Nova's rule ``context_is_admin``."""
        return self.policy.passes("context_is_admin", self.caller)

    @cached_property
    def sees_all(self) -> bool:
        """Whether the caller sees what every project has: administrators and auditors. Says nothing of changing it."""
        return self.policy.passes("kilonova:read:all_projects", self.caller)

    def may(self, rule: str, *, project_id: str | None = None) -> bool:
        """Whether the caller passes a rule, for the server of the path or else a thing of their own.

        ``project_id`` is the thing's project where it is another one.
        """
        return self.policy.passes(rule, self.caller, **self._owner(project_id))

    def check(self, rule: str, *, project_id: str | None = None) -> None:
        """Forbidden where the caller does not pass the rule; about whose things as in ``may``."""
        self.policy.check(rule, self.caller, **self._owner(project_id))

    def _owner(self, project_id: str | None) -> dict[str, str | None]:
        """The project and the user that rules compare with."""
        about = self.caller if self.instance is None else self.instance
        own = about.project_id if project_id is None else project_id
        return {"project_id": own, "user_id": about.user_id}

    def first(self, name: str) -> str | None:
        """The only value of a query parameter, the last one where it was repeated (contract §0.7)."""
        values = self.query.get(name)
        return values[-1] if values else None

    def next_link(self, marker: str) -> str:
        """The address of the next page: this request's own, with the marker moved on."""
        pairs = {**self.query, "marker": [marker]}
        return f"{self.links.to(quote(self.path))}?{urlencode(sorted(pairs.items()), doseq=True)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of a collection. ``marker`` is the id that the next page starts after, None where there is none.

    ``view`` is what getters of the shape get beside the record, the call itself by default.
    """

    records: Sequence[Any]
    marker: str | None = None
    view: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One record with a view of its own."""

    record: Any
    view: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What was asked for goes on after the reply; ``location`` is where to look, ``body`` what is said at once.

    ``status`` replaces that of the route where one handler has two ways to succeed.
    """

    body: Any = None
    location: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Aged:
    """A body that was true so many seconds ago, which the header ``Age`` tells (RFC 9111 §5.1)."""

    body: Any
    seconds: float


@dataclass(frozen=True, slots=True)
class Plain:
    """Data that is the whole body already, whatever the route usually returns."""

    value: Any


@dataclass(frozen=True, slots=True)
class Text:
    """A body that is no JSON, such as a table for a spreadsheet."""

    content: bytes
    content_type: str
