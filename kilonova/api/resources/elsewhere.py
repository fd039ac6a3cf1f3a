"""What Nova serves and Kilonova does not: nouns of which there are none, and what comes later.

Two kinds, each honest in its own way. ``NONE``: Kilonova keeps no such thing, so its list is empty and any one of them
is not found. ``LATER``: 501 with a sentence, at every version that has it in Nova.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

from kilonova.api.call import Call
from kilonova.api.resources import server_actions, servers
from kilonova.api.routes import ANY_QUERY, Route, route
from kilonova.api.schemas.types import BOOLEAN, NOTHING, STRING, body, the
from kilonova.api.schemas.validation import Schema
from kilonova.domain.errors import Invalid, NotFound, NotSupported
from kilonova.network.views import group_id
from kilonova.wire.version import Microversion, Span, Versioned

_API: Final = "os_compute_api:"
_SERVER: Final = "/servers/{server_id}"
_ACTION: Final = _SERVER + "/action"
_GROUPS: Final = _API + "os-security-groups:"
_VOLUMES: Final = _API + "os-volumes:"
_PROXIES: Final = "2.35"
"""The last version at which Nova passed requests on to other services (contract §0.5)."""


def _empty(key: str) -> Callable[[Call], dict[str, Any]]:
    return lambda _: {key: []}


def _missing(text: str) -> Callable[[Call], None]:
    """A handler that finds nothing; ``text`` may name the parameters of the path."""

    def show(call: Call) -> None:
        raise NotFound(text.format(**call.params))

    return show


def _later(what: str) -> Callable[[Call], None]:
    def refuse(_: Call) -> None:
        raise NotSupported(f"Kilonova does not have {what} yet.")

    return refuse


_NONE: Final = (
    route(
        "GET",
        _SERVER + "/topology",
        lambda _: {"nodes": [], "pagesize_kb": None},
        policy="compute:server:topology:index",
        since="2.78",
        query=NOTHING,
    ),
    route(
        "GET",
        _SERVER + "/os-server-password",
        lambda _: {"password": ""},
        policy=_API + "os-server-password:show",
        query=NOTHING,
    ),
    route(
        "DELETE",
        _SERVER + "/os-server-password",
        lambda _: None,
        policy=_API + "os-server-password:clear",
        status=204,
    ),
)

_NONE_IN_PROXIES: Final = (
    ("/os-floating-ips", "floating_ips", "os-floating-ips:list"),
    ("/os-floating-ip-pools", "floating_ip_pools", "os-floating-ip-pools"),
    ("/os-volumes", "volumes", "os-volumes:list"),
    ("/os-volumes/detail", "volumes", "os-volumes:detail"),
    ("/os-snapshots", "snapshots", "os-volumes:snapshots:list"),
    ("/os-snapshots/detail", "snapshots", "os-volumes:snapshots:detail"),
    ("/os-baremetal-nodes", "nodes", "os-baremetal-nodes:list"),
)
_NOT_IN_PROXIES: Final = (
    ("POST", "/os-floating-ips", "Floating IP pool not found.", "os-floating-ips:create"),
    ("GET", "/os-floating-ips/{id}", "Floating IP not found for ID {id}", "os-floating-ips:show"),
    ("DELETE", "/os-floating-ips/{id}", "Floating IP not found for ID {id}", "os-floating-ips:delete"),
    ("GET", "/os-volumes/{id}", "Volume {id} could not be found.", "os-volumes:show"),
    ("DELETE", "/os-volumes/{id}", "Volume {id} could not be found.", "os-volumes:delete"),
    ("GET", "/os-snapshots/{id}", "Snapshot {id} could not be found.", "os-volumes:snapshots:show"),
    ("DELETE", "/os-snapshots/{id}", "Snapshot {id} could not be found.", "os-volumes:snapshots:delete"),
    (
        "DELETE",
        "/os-security-group-rules/{id}",
        "Security group rule {id} not found.",
        "os-security-groups:rule:delete",
    ),
    ("GET", "/os-baremetal-nodes/{id}", "Node {id} could not be found.", "os-baremetal-nodes:show"),
)
_BAREMETAL_COMMANDS: Final = (
    ("POST", "/os-baremetal-nodes", "node-create"),
    ("DELETE", "/os-baremetal-nodes/{id}", "node-delete"),
    ("POST", "/os-baremetal-nodes/{id}/action", "port-create"),
)


def _ironic(command: str) -> Callable[[Call], None]:
    def refuse(_: Call) -> None:
        raise Invalid(f"Command Not supported. Please use Ironic command {command} to perform this action.")

    return refuse


def _in_proxies() -> Iterator[Route]:
    """Networks, volumes and machines of other services, as Nova told of them until 2.35: there are none."""
    for path, key, rule in _NONE_IN_PROXIES:
        yield route("GET", path, _empty(key), policy=_API + rule, until=_PROXIES)
    for method, path, text, rule in _NOT_IN_PROXIES:
        yield route(method, path, _missing(text), policy=_API + rule, until=_PROXIES)
    for method, path, command in _BAREMETAL_COMMANDS:
        yield route(method, path, _ironic(command), policy=None, until=_PROXIES)
    for method, rule in (("PUT", "update"), ("DELETE", "delete")):
        yield route(method, "/os-security-groups/{id}", _change_group, policy=_GROUPS + rule, until=_PROXIES)
    rule = _VOLUMES + "snapshots:create"
    yield route("POST", "/os-snapshots", _snapshot_volume, policy=rule, until=_PROXIES, body=_SNAPSHOT)


def _change_group(call: Call) -> None:
    own = group_id(call.caller.project_id or "")
    if call.params["id"] != own:
        raise NotFound(f"Security group {call.params['id']} not found.")
    raise NotSupported("Kilonova has one security group a project, and its rules do not change.")


def _snapshot_volume(call: Call) -> None:
    raise NotFound(f"Volume {call.body['snapshot']['volume_id']} could not be found.")


_SNAPSHOT: Final = body(
    the(
        {"snapshot": the({"volume_id": STRING, "force": BOOLEAN}, required=("volume_id",), extra=True)},
        required=("snapshot",),
    )
)


class _Later(NamedTuple):
    """Requests that Kilonova does not serve yet: methods and path, the name for people, policy and span."""

    methods: str
    path: str
    what: str
    policy: str | None
    since: str = "2.1"
    until: str | None = None
    query: Versioned[Schema | None] = ANY_QUERY

    def routes(self) -> Iterator[Route]:
        for method in self.methods.split():
            yield route(
                method,
                self.path,
                _later(self.what),
                policy=self.policy,
                since=self.since,
                until=self.until,
                query=self.query,
            )


_LATER: Final = (
    _Later("POST", "/os-security-groups", "security groups", _GROUPS + "create", until=_PROXIES),
    _Later("POST", "/os-security-group-rules", "security groups", _GROUPS + "rule:create", until=_PROXIES),
    _Later("POST", "/os-volumes", "volumes", _VOLUMES + "create", until=_PROXIES),
)


def _aliases() -> Iterator[Route]:
    """``/os-volumes_boot``: a second address of ``/servers`` until 2.102."""
    last = Microversion(2, 102)
    for row in (*servers.ROUTES, *server_actions.ROUTES):
        if row.span.since <= last:
            until = last if row.span.until is None else min(last, row.span.until)
            path = row.path.replace("/servers", "/os-volumes_boot", 1)
            yield replace(row, path=path, span=Span(row.span.since, until))


ROUTES: Final[tuple[Route, ...]] = (
    *_NONE,
    *_in_proxies(),
    *(each for row in _LATER for each in row.routes()),
    *_aliases(),
)
