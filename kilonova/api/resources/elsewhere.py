"""What Nova serves and Kilonova does not: nouns of which there are none, what comes later, and what Nova removed.

Three kinds, each honest in its own way. ``NONE``: Kilonova keeps no such thing, so its list is empty and any one of
them is not found. ``LATER``: 501 with a sentence, at every version that has it in Nova. ``GONE``: 410, as in Nova
(contract §0.5).
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from kilonova.api.call import Call
from kilonova.api.routes import Route, route
from kilonova.api.schemas.types import DATE_TIME, NON_NEGATIVE, NOTHING, PAGING, STRING, param, query
from kilonova.domain.errors import NotFound, NotSupported

_API: Final = "os_compute_api:"
_SERVER: Final = "/servers/{server_id}"
_ACTION: Final = _SERVER + "/action"


def _empty(key: str) -> Callable[[Call], dict[str, Any]]:
    return lambda _: {key: []}


def _missing(text: str) -> Callable[[Call], None]:
    """A handler that finds nothing; in ``text``, ``{id}`` is the path's last parameter and ``{user}`` the caller."""

    def show(call: Call) -> None:
        *_, wanted = call.params.values()
        raise NotFound(text.format(id=wanted, user=call.caller.user_id))

    return show


def _later(what: str) -> Callable[[Call], None]:
    def refuse(_: Call) -> None:
        raise NotSupported(f"Kilonova does not have {what} yet.")

    return refuse


def _gone(call: Call) -> None:
    raise LookupError(f"{call.path} is refused before it gets here")


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
_NO_AGGREGATE: Final = "Aggregate {id} could not be found."

_NONE: Final = (
    route("GET", "/os-aggregates", _empty("aggregates"), policy=_API + "os-aggregates:index", query=NOTHING),
    route("GET", "/os-aggregates/{id}", _missing(_NO_AGGREGATE), policy=_API + "os-aggregates:show", query=NOTHING),
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
    route("GET", _SERVER + "/shares", _empty("shares"), policy=_API + "os-server-shares:index", since="2.97"),
)


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
    _Later("POST", "/os-aggregates", "aggregates", _API + "os-aggregates:create"),
    _Later("PUT", "/os-aggregates/{id}", "aggregates", _API + "os-aggregates:update"),
    _Later("DELETE", "/os-aggregates/{id}", "aggregates", _API + "os-aggregates:delete"),
    _Later("POST", "/os-aggregates/{id}/action", "aggregates", _API + "os-aggregates:add_host"),
    _Later("POST", "/os-aggregates/{id}/images", "image caching", "compute:aggregates:images", "2.81"),
    _Later("PUT", "/os-services/{id}", "the management of services", _API + "os-services:update"),
    _Later("DELETE", "/os-services/{id}", "the management of services", _API + "os-services:delete"),
    _Later("GET", "/os-hosts", "os-hosts", _API + "os-hosts:list", until="2.42"),
    _Later("GET", "/os-hosts/{host}", "os-hosts", _API + "os-hosts:show", until="2.42"),
    _Later("PUT", "/os-hosts/{host}", "os-hosts", _API + "os-hosts:update", until="2.42"),
    _Later("GET", "/os-hosts/{host}/reboot", "os-hosts", _API + "os-hosts:reboot", until="2.42"),
    _Later("GET", "/os-hosts/{host}/shutdown", "os-hosts", _API + "os-hosts:shutdown", until="2.42"),
    _Later("GET", "/os-hosts/{host}/startup", "os-hosts", _API + "os-hosts:start", until="2.42"),
    _Later("PUT", "/os-quota-sets/{project_id}", "quotas of single projects", _API + "os-quota-sets:update"),
    _Later("DELETE", "/os-quota-sets/{project_id}", "quotas of single projects", _API + "os-quota-sets:delete"),
    _Later("PUT", "/os-quota-class-sets/{name}", "quota classes", _API + "os-quota-class-sets:update"),
    _Later("GET", "/os-simple-tenant-usage", "usage reports", _API + "os-simple-tenant-usage:list"),
    _Later("GET", "/os-simple-tenant-usage/{project_id}", "usage reports", _API + "os-simple-tenant-usage:show"),
    _Later("GET", "/os-instance_usage_audit_log", "the audit log", _API + "os-instance-usage-audit-log:list"),
    _Later("GET", "/os-instance_usage_audit_log/{before}", "the audit log", _API + "os-instance-usage-audit-log:show"),
    _Later("POST", "/os-server-external-events", "external events", _API + "os-server-external-events:create"),
    _Later("GET", "/os-console-auth-tokens/{token}", "remote consoles", _API + "os-console-auth-tokens"),
    _Later("POST", "/os-volumes_boot", "a second address for servers", _API + "servers:create", until="2.102"),
    *(
        _Later("GET", path, "a proxy to other services", None, until="2.35")
        for root in (
            "images",
            "os-networks",
            "os-tenant-networks",
            "os-security-groups",
            "os-floating-ips",
            "os-volumes",
        )
        for path in (f"/{root}", f"/{root}/{{id}}")
    ),
    _Later("GET", "/images/detail", "a proxy to other services", None, until="2.35"),
    _Later("GET", _SERVER + "/diagnostics", "diagnostics", _API + "os-server-diagnostics"),
    _Later("GET", _SERVER + "/topology", "NUMA topology", "compute:server:topology:index", "2.78"),
    _Later("GET", _SERVER + "/os-security-groups", "security groups", None),
    _Later("POST", _SERVER + "/os-interface", "the plugging of interfaces", _API + "os-attach-interfaces:create"),
    _Later(
        "DELETE", _SERVER + "/os-interface/{id}", "the plugging of interfaces", _API + "os-attach-interfaces:delete"
    ),
    _Later("POST", _SERVER + "/os-volume_attachments", "volumes", _API + "os-volumes-attachments:create"),
    _Later("POST", _SERVER + "/remote-consoles", "remote consoles", _API + "os-remote-consoles", "2.6"),
    _Later("POST", _SERVER + "/shares", "shares", _API + "os-server-shares:create", "2.97"),
    _Later("GET DELETE", _SERVER + "/os-server-password", "encrypted passwords", None),
)

_LATER_ACTIONS: Final = (
    *((f"os-get{kind}Console", "remote consoles", "2.5") for kind in ("VNC", "SPICE", "Serial", "RDP")),
    *((f"{verb}FixedIp", "addresses that are added by hand", "2.43") for verb in ("add", "remove")),
    *((f"{verb}FloatingIp", "addresses that are added by hand", "2.43") for verb in ("add", "remove")),
    *((f"{verb}SecurityGroup", "security groups", None) for verb in ("add", "remove")),
)

_REMOVED: Final = (
    *(f"/{root}" for root in ("os-agents", "os-cells", "os-certificates", "os-cloudpipe", "os-fixed-ips")),
    *(f"/{root}" for root in ("os-floating-ip-dns", "os-floating-ips-bulk", "os-fping")),
    *("/os-security-group-default-rules", _SERVER + "/os-virtual-interfaces", _SERVER + "/consoles"),
)


def _removed() -> Iterator[Route]:
    for path in _REMOVED:
        for method, below in (("GET", ""), ("POST", ""), ("GET", "/{id}"), ("PUT", "/{id}"), ("DELETE", "/{id}")):
            yield Route(method=method, path=path + below, handle=_gone, policy=None, span=_EVERY.span, is_gone=True)


_EVERY: Final = route("POST", _ACTION, _gone, policy=None, action="resetNetwork", is_gone=True)

ROUTES: Final[tuple[Route, ...]] = (
    *_NONE,
    *(each for row in _LATER for each in row.routes()),
    *(
        route("POST", _ACTION, _later(what), policy=None, action=action, until=until)
        for action, what, until in _LATER_ACTIONS
    ),
    *_removed(),
    _EVERY,
)
