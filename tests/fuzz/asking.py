"""Requests to every route: whole ones, spoilt ones and nonsense."""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from kilonova.api.history import MAXIMUM
from kilonova.api.routes import Route
from kilonova.api.schemas.validation import Schema
from kilonova.wire.version import MIN, Microversion, Versioned
from tests.fuzz.documents import ANYTHING, NASTY, SCALARS, fitting, spoilt
from tests.plane.role_requests import ACTIONS, BODIES
from tests.policy_table import MOUNTED, request_of

PEOPLE: Final = (("admin", "demo"), ("admin", "demo"), ("member", "demo"), ("reader", "demo"), ("member", "other"))
ODD_VERSIONS: Final = ("latest", "2.0", "2.9999", "x")
Things = MutableMapping[str, list[str]]
"""What there is, by the names that paths and bodies have for it."""

_ROWS: Final = [each for each in MOUNTED for _ in range(1 if each[1].is_gone else 5)]
_PATH_KINDS: Final[Mapping[str, str]] = {
    "flavor_id": "flavors",
    "image_id": "images",
    "project_id": "projects",
    "hypervisor_id": "hypervisors",
    "host": "hosts",
    "request_id": "requests",
    "os-server-groups:id": "groups",
    "os-aggregates:id": "aggregates",
    "os-services:id": "services",
    "os-keypairs:name": "keypairs",
}
_BODY_KINDS: Final[Mapping[str, str]] = {
    "flavorRef": "flavors",
    "imageRef": "images",
    "rescue_image_ref": "images",
    "host": "hosts",
    "key_name": "keypairs",
    "group": "groups",
    "server_uuid": "servers",
    "same_host": "servers",
    "different_host": "servers",
    "tenant": "projects",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request."""

    method: str
    url: str
    user: str
    project: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None

    def __str__(self) -> str:
        body = "" if self.content is None else f" {self.content[:2000]!r}"
        return f"{self.method} {self.url} {dict(self.headers)} by {self.user}@{self.project}{body}"


@st.composite
def requests(draw: st.DrawFn, things: Things) -> Sent:
    """A request to some route, of whatever version, by somebody, more often right than wrong."""
    prefix, row = draw(st.sampled_from(_ROWS))
    user, project = draw(st.sampled_from(PEOPLE))
    version = draw(_versions(row))
    mount = prefix or "/compute/v2" + draw(st.sampled_from([".1", ".1", ".1", f".1/{things[project][0]}", ""]))
    parsed = MAXIMUM if version in ODD_VERSIONS else Microversion.parse(version)
    headers = {"OpenStack-API-Version": f"compute {version}", **draw(_HEADERS)}
    return Sent(
        method=row.method,
        url=mount + draw(_paths(row, things)) + draw(_queries(row, parsed, things)),
        user=user,
        project=project,
        headers=headers,
        content=draw(_contents(prefix, row, parsed, things)) if row.method in ("POST", "PUT") else None,
    )


_HEADERS: Final = st.sampled_from(
    [
        *({} for _ in range(12)),
        {"Accept": "application/xml"},
        {"X-OpenStack-Request-ID": "req-not-a-uuid"},
        {"X-OpenStack-Nova-API-Version": "2.9999"},
        {"OpenStack-API-Version": "compute"},
        {"OpenStack-API-Version": "identity 2.1, compute 2.60"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"X-Forwarded-Host": "evil example", "X-Forwarded-Proto": "gopher"},
        {"Host": "a b c"},
    ]
)


def _versions(row: Route) -> st.SearchStrategy[str]:
    last = row.span.until or MAXIMUM
    within = st.integers(row.span.since.minor, last.minor).map(lambda minor: f"2.{minor}")
    anywhere = st.integers(MIN.minor, MAXIMUM.minor).map(lambda minor: f"2.{minor}")
    odd = st.sampled_from([*("latest",) * 5, *ODD_VERSIONS])
    return st.one_of(*(within,) * 8, *(st.just(str(last)),) * 4, anywhere, odd)


def _one_of(things: Things, kind: str) -> st.SearchStrategy[str]:
    return st.integers(0, 999).map(lambda n: things[kind][n % len(things[kind])] if things[kind] else "nothing")


@st.composite
def _paths(draw: st.DrawFn, row: Route, things: Things) -> str:
    noun, parts = row.path.split("/")[1], []
    for part in row.path.split("/"):
        name = part[1:-1]
        if not part.startswith("{"):
            parts.append(part)
            continue
        kind = "servers" if name == "server_id" else _PATH_KINDS.get(f"{noun}:{name}", _PATH_KINDS.get(name, "words"))
        if row.method == "DELETE" and kind == "images":
            kind = "words"  # without its image no server could be made any more
        strange = draw(st.integers(0, 19)) == 0
        value = draw(st.sampled_from(NASTY) | st.text(max_size=9)) if strange else draw(_one_of(things, kind))
        parts.append(quote(value, safe=""))
    return "/".join(parts)


@st.composite
def _queries(draw: st.DrawFn, row: Route, version: Microversion, things: Things) -> str:
    schema = _at(row.query, version)
    if draw(st.integers(0, 3)) == 0 or schema is None:
        return draw(st.sampled_from(["", "", "?unknown=1", "?limit=1", "?%00=1", "?a=%ff", "?=&&;"]))
    known = schema.document["properties"]
    pairs = []
    for name in draw(st.lists(st.sampled_from(sorted(known)), max_size=3)) if known else []:
        values = fitting(known[name]["items"]) | st.sampled_from(NASTY) | _one_of(things, _meant(name))
        pairs.append((name, _spelt(draw(values))))
    if row.path in ("/decisions", "/operations/{request_id}"):
        pairs.append(("server", draw(_one_of(things, "servers"))))
    return "?" + urlencode(pairs, errors="surrogatepass") if pairs else ""


def _meant(name: str) -> str:
    kinds = {"marker": "servers", "server": "servers", "host": "hosts", "node": "hosts", "flavor": "flavors"}
    more = {"image": "images", "project_id": "projects", "tenant_id": "projects", "uuid": "servers", "name": "words"}
    return {**kinds, **more}.get(name, "words")


def _at(schemas: Versioned[Schema | None], version: Microversion) -> Schema | None:
    """The schema at a version; below the first one, where the route is not yet, the first all the same."""
    return schemas.at(max(version, schemas.steps[0][0]))


def _spelt(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@st.composite
def _contents(draw: st.DrawFn, prefix: str, row: Route, version: Microversion, things: Things) -> bytes:
    schema, request = _at(row.body, version), request_of(prefix, row)
    if schema is not None:
        whole: st.SearchStrategy[Any] = fitting(schema.document)
    elif row.action:
        whole = st.just({row.action: ACTIONS.get(row.action)})
    else:
        whole = st.just(BODIES.get(request, {}))
    how = draw(st.integers(0, 19))
    if how == 0:
        return draw(st.sampled_from(_GARBAGE))
    document = draw(ANYTHING if how == 1 else spoilt(whole) if how < 6 else whole)
    if how < 6 and row.action and draw(st.booleans()):
        document = {row.action: draw(SCALARS)}
    if draw(st.integers(0, 9)):
        document = _with_things(document, things, draw(st.integers(0, 999)))
    return json.dumps(document).encode()


def _with_things(document: Any, things: Things, n: int) -> Any:
    """The document with what is there in place of references to what is not."""
    if isinstance(document, dict):
        return {
            key: things[_BODY_KINDS[key]][n % len(things[_BODY_KINDS[key]])]
            if key in _BODY_KINDS and isinstance(value, str | int) and things[_BODY_KINDS[key]]
            else _with_things(value, things, n)
            for key, value in document.items()
        }
    return [_with_things(each, things, n) for each in document] if isinstance(document, list) else document


_GARBAGE: Final = (
    *(b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b'{"server": NaN}', b'{"server": 1e999}', b'{"a":1,"a":2}'),
    *(
        b"[" * 5000,
        b'{"a":' * 5000,
        b'{"server": {"name": "\\ud800"}}',
        b'{"server": {"name": "\\u0000"}}',
        b" " * 200_000,
    ),
)
