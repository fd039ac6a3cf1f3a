"""``/limits``, ``/os-quota-sets`` and ``/os-quota-class-sets``: what a project may have, and has (contract §4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.quotas import project_of
from kilonova.api.routes import One, Target, route
from kilonova.api.schemas.types import NOTHING, STRING, param, query
from kilonova.api.shape import Field, Shape, field
from kilonova.domain.quota import RESOURCES, UNLIMITED
from kilonova.store import quotas
from kilonova.store.project_counts import count_used
from kilonova.wire.version import Span

_OTHER: Final = "os_compute_api:limits:other_project"
_RULE: Final = "os_compute_api:os-quota-sets:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The limits of a project (or of a class) by Nova's names, and what it uses of them."""

    project_id: str
    limits: Mapping[str, int]
    used: Mapping[str, int]

    def in_use(self, name: str) -> int:
        """How much of a resource is used, 0 for one that is not counted (contract §4.3)."""
        return self.used.get(name, 0)


def _limit(name: str) -> Callable[[Allowance], int]:
    return lambda allowance: allowance.limits[name]


def _used(name: str) -> Callable[[Allowance], int]:
    return lambda allowance: allowance.in_use(name)


def _always(value: int) -> Callable[[Allowance], int]:
    return lambda _: value


ABSOLUTE: Final = Shape(
    "absolute",
    field("maxTotalInstances", _limit("instances")),
    field("maxTotalCores", _limit("cores")),
    field("maxTotalRAMSize", _limit("ram")),
    field("maxTotalKeypairs", _limit("key_pairs")),
    field("maxServerMeta", _limit("metadata_items")),
    field("maxServerGroups", _limit("server_groups")),
    field("maxServerGroupMembers", _limit("server_group_members")),
    field("maxImageMeta", _limit("metadata_items"), until="2.38"),
    field("maxPersonality", _limit("injected_files"), until="2.56"),
    field("maxPersonalitySize", _limit("injected_file_content_bytes"), until="2.56"),
    field("maxTotalFloatingIps", _always(UNLIMITED), until="2.35"),
    field("maxSecurityGroups", _always(UNLIMITED), until="2.35"),
    field("maxSecurityGroupRules", _always(UNLIMITED), until="2.35"),
    field("totalInstancesUsed", _used("instances")),
    field("totalCoresUsed", _used("cores")),
    field("totalRAMUsed", _used("ram")),
    field("totalServerGroupsUsed", _used("server_groups")),
    field("totalFloatingIpsUsed", _always(0), until="2.35"),
    field("totalSecurityGroupsUsed", _always(0), until="2.35"),
)

LIMITS: Final = Shape(
    "limits",
    field("rate", lambda _: []),
    field("absolute", lambda allowance, call: ABSOLUTE.at(call.version)(allowance, call)),
)

_NETWORKS: Final = frozenset({"fixed_ips", "floating_ips", "security_group_rules", "security_groups"})


def _until(name: str) -> str | None:
    """The last version at which quota sets have a resource."""
    if name in _NETWORKS:
        return "2.35"
    return "2.56" if name.startswith("injected_file") else None


def _detail(name: str) -> Callable[[Allowance], dict[str, int]]:
    return lambda allowance: {"limit": allowance.limits[name], "in_use": allowance.in_use(name), "reserved": 0}


def _fields(get: Callable[[str], Callable[[Allowance], Any]]) -> tuple[Field, ...]:
    named = (Field(key=name, get=get(name), span=Span.of("2.1", _until(name))) for name in RESOURCES)
    return (field("id", "project_id"), *named)


QUOTA_SET: Final = Shape("quota_set", *_fields(_limit))
QUOTA_DETAIL: Final = Shape("quota_set", *_fields(_detail))


def _of_class(name: str) -> Field:
    """A class has networks longer than a project, and groups of servers later (contract §4.4)."""
    begin, end = ("2.50" if name.startswith("server_group") else "2.1"), _until(name)
    return Field(key=name, get=_limit(name), span=Span.of(begin, "2.49" if end == "2.35" else end))


QUOTA_CLASS: Final = Shape("quota_class_set", field("id", "project_id"), *(_of_class(name) for name in RESOURCES))


def limits(call: Call) -> Allowance:
    """``GET /limits``; another project's, or one's own by name, only for who may (contract §4.1)."""
    project_id = call.first("tenant_id")
    if project_id is not None:
        call.check(_OTHER)
    return _allowance(call, project_id or call.caller.project_id or "")


def quota_set(call: Call) -> Allowance:
    """``GET /os-quota-sets/{project}``."""
    return _of_project(call, _RULE + "show")


def quota_detail(call: Call) -> Allowance:
    """``GET /os-quota-sets/{project}/detail``."""
    return _of_project(call, _RULE + "detail")


def quota_defaults(call: Call) -> Allowance:
    """``GET /os-quota-sets/{project}/defaults``: what a project has that nobody gave limits of its own."""
    return _class(call, project_of(call), quotas.DEFAULT_CLASS)


def quota_class(call: Call) -> Allowance:
    """``GET /os-quota-class-sets/{name}``: whatever it is called, it has limits."""
    return _class(call, call.params["name"], call.params["name"])


def _class(call: Call, id: str, name: str) -> Allowance:
    defaults = call.plane.settings.limits
    with call.plane.database.read() as connection:
        return Allowance(project_id=id, limits=quotas.get_class_limits(connection, defaults, name), used={})


def _of_project(call: Call, rule: str) -> Allowance:
    project_id = call.params["project_id"]
    call.check(rule, project_id=project_id)
    return _allowance(call, project_of(call), user_id=call.first("user_id") or None)


def _allowance(call: Call, project_id: str, *, user_id: str | None = None) -> Allowance:
    defaults = call.plane.settings.limits
    with call.plane.database.read() as connection:
        used = count_used(connection, project_id, user_id)
        limits = quotas.get_limits(connection, defaults, project_id, user_id).effective
    return Allowance(project_id=project_id, limits=limits, used=used)


BY_USER: Final = query(param("user_id", STRING), strict="2.75")
_SETS: Final = "/os-quota-sets/{project_id}"

ROUTES: Final = (
    route(
        "GET",
        "/limits",
        limits,
        policy="os_compute_api:limits",
        query=query(param("tenant_id", STRING), strict="2.75"),
        returns=One(shape=LIMITS),
    ),
    route(
        "GET",
        _SETS,
        quota_set,
        policy=_RULE + "show",
        target=Target.HANDLER,
        query=BY_USER,
        returns=One(shape=QUOTA_SET),
    ),
    route(
        "GET",
        _SETS + "/detail",
        quota_detail,
        policy=_RULE + "detail",
        target=Target.HANDLER,
        query=BY_USER,
        returns=One(shape=QUOTA_DETAIL),
    ),
    route("GET", _SETS + "/defaults", quota_defaults, policy=_RULE + "defaults", returns=One(shape=QUOTA_SET)),
    route(
        "GET",
        "/os-quota-class-sets/{name}",
        quota_class,
        policy="os_compute_api:os-quota-class-sets:show",
        query=NOTHING,
        returns=One(shape=QUOTA_CLASS),
    ),
)
