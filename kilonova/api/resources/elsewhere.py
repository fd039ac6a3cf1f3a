"""What Nova serves and Kilonova does not: nouns of which there are none, and what comes later.

Two kinds, each honest in its own way. ``NONE``: Kilonova keeps no such thing, so its list is empty and any one of them
is not found. ``LATER``: 501 with a sentence, at every version that has it in Nova.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

from kilonova.api.call import Call
from kilonova.api.resources import server_actions, servers
from kilonova.api.routes import Route, route
from kilonova.api.schemas.types import DATE_TIME, NON_NEGATIVE, NOTHING, PAGING, STRING, param, query
from kilonova.domain.errors import Invalid, NotFound, NotSupported
from kilonova.wire.version import Microversion, Span

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


_PAGED: Final = query(*PAGING, param("offset", NON_NEGATIVE), strict="2.75")
_MIGRATIONS_LISTED: Final = query(
    *(param(name) for name in ("status", "host", "instance_uuid", "source_compute", "migration_type", "hidden")),
    param("limit", NON_NEGATIVE, since="2.59"),
    param("marker", STRING, since="2.59"),
    param("changes-since", DATE_TIME, since="2.59"),
    param("changes-before", DATE_TIME, since="2.66"),
    param("user_id", STRING, since="2.80"),
    param("project_id", STRING, since="2.80"),
    strict="2.59",
)

_NONE: Final = (
    route(
        "GET",
        "/os-migrations",
        _empty("migrations"),
        policy=_API + "os-migrations:index",
        query=_MIGRATIONS_LISTED,
    ),
    route(
        "GET",
        _SERVER + "/migrations",
        _empty("migrations"),
        policy=_API + "servers:migrations:index",
        since="2.23",
        query=NOTHING,
    ),
    route(
        "GET",
        _SERVER + "/os-volume_attachments",
        _empty("volumeAttachments"),
        policy=_API + "os-volumes-attachments:index",
        query=_PAGED,
    ),
    route(
        "GET",
        _SERVER + "/os-volume_attachments/{id}",
        _missing("Instance {server_id} is not attached to volume {id}"),
        policy=_API + "os-volumes-attachments:show",
    ),
    *(
        route(
            method,
            _SERVER + "/os-volume_attachments/{id}",
            _missing("Volume {id} could not be found."),
            policy=_API + f"os-volumes-attachments:{rule}",
        )
        for method, rule in (("PUT", "update"), ("DELETE", "delete"))
    ),
    *(
        route(
            method,
            _SERVER + "/shares/{id}",
            _missing("Share {id} could not be found."),
            policy=_API + f"os-server-shares:{rule}",
            since="2.97",
        )
        for method, rule in (("GET", "show"), ("DELETE", "delete"))
    ),
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
    route("GET", _SERVER + "/shares", _empty("shares"), policy=_API + "os-server-shares:index", since="2.97"),
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


class _Later(NamedTuple):
    """Requests that Kilonova does not serve yet: methods and path, the name for people, policy and span."""

    methods: str
    path: str
    what: str
    policy: str | None
    since: str = "2.1"
    until: str | None = None

    def routes(self) -> Iterator[Route]:
        for method in self.methods.split():
            yield route(
                method,
                self.path,
                _later(self.what),
                policy=self.policy,
                since=self.since,
                until=self.until,
            )


_LATER: Final = (
    _Later("POST", "/os-aggregates/{id}/images", "image caching", "compute:aggregates:images", "2.81"),
    _Later("GET", "/os-instance_usage_audit_log", "the audit log", _API + "os-instance-usage-audit-log:list"),
    _Later("GET", "/os-instance_usage_audit_log/{before}", "the audit log", _API + "os-instance-usage-audit-log:show"),
    _Later("POST", "/os-server-external-events", "external events", _API + "os-server-external-events:create"),
    _Later("GET", "/os-console-auth-tokens/{token}", "remote consoles", _API + "os-console-auth-tokens"),
    _Later("POST", "/os-security-groups", "security groups", _GROUPS + "create", until=_PROXIES),
    _Later("PUT", "/os-security-groups/{id}", "security groups", _GROUPS + "update", until=_PROXIES),
    _Later("DELETE", "/os-security-groups/{id}", "security groups", _GROUPS + "delete", until=_PROXIES),
    _Later("POST", "/os-security-group-rules", "security groups", _GROUPS + "rule:create", until=_PROXIES),
    _Later("POST", "/os-floating-ips", "floating IPs", _API + "os-floating-ips:create", until=_PROXIES),
    _Later("POST", "/os-volumes", "volumes", _VOLUMES + "create", until=_PROXIES),
    _Later("POST", "/os-snapshots", "volumes", _VOLUMES + "snapshots:create", until=_PROXIES),
    _Later("POST", "/os-assisted-volume-snapshots", "volumes", _API + "os-assisted-volume-snapshots:create"),
    _Later("DELETE", "/os-assisted-volume-snapshots/{id}", "volumes", _API + "os-assisted-volume-snapshots:delete"),
    _Later("GET", _SERVER + "/diagnostics", "diagnostics", _API + "os-server-diagnostics"),
    _Later("POST", _SERVER + "/os-interface", "the plugging of interfaces", _API + "os-attach-interfaces:create"),
    _Later(
        "DELETE", _SERVER + "/os-interface/{id}", "the plugging of interfaces", _API + "os-attach-interfaces:delete"
    ),
    _Later("POST", _SERVER + "/os-volume_attachments", "volumes", _API + "os-volumes-attachments:create"),
    _Later("POST", _SERVER + "/remote-consoles", "remote consoles", _API + "os-remote-consoles", "2.6"),
    _Later("POST", _SERVER + "/shares", "shares", _API + "os-server-shares:create", "2.97"),
)

_BY_HAND: Final = "addresses that are added by hand"
_LATER_ACTIONS: Final = (
    *(
        (f"os-get{kind}Console", "remote consoles", "os-remote-consoles", "2.5")
        for kind in ("VNC", "SPICE", "Serial", "RDP")
    ),
    *(
        row
        for verb in ("add", "remove")
        for row in (
            (f"{verb}FixedIp", _BY_HAND, f"os-multinic:{verb}", "2.43"),
            (f"{verb}FloatingIp", _BY_HAND, f"os-floating-ips:{verb}", "2.43"),
            (f"{verb}SecurityGroup", "security groups", f"os-security-groups:{verb}", None),
        )
    ),
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
    *(
        route("POST", _ACTION, _later(what), policy=_API + rule, action=action, until=until)
        for action, what, rule, until in _LATER_ACTIONS
    ),
    *_aliases(),
)
