"""``/limits``, ``/os-quota-sets`` and ``/os-quota-class-sets``: what a project may have, and has (contract §4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.routes import One, Target, route
from kilonova.api.schemas.types import NOTHING, STRING, param, query
from kilonova.api.shape import Field, Shape, field
from kilonova.domain.quota import UNLIMITED, Usage
from kilonova.store import instances, server_groups
from kilonova.wire.version import Span

_OTHER: Final = "os_compute_api:limits:other_project"
_RULE: Final = "os_compute_api:os-quota-sets:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The limits of a project (or of a class) by Nova's names, and what it uses of them."""

    project_id: str
    limits: dict[str, int]
    used: Usage
    server_groups: int = 0

    def in_use(self, name: str) -> int:
        """How much of a resource is used, 0 for one that is not counted (contract §4.3)."""
        return self.server_groups if name == "server_groups" else getattr(self.used, name, 0)


def _limit(name: str) -> Callable[[Allowance], int]:
    return lambda allowance: allowance.limits[name]


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
    field("totalInstancesUsed", lambda allowance: allowance.used.instances),
    field("totalCoresUsed", lambda allowance: allowance.used.cores),
    field("totalRAMUsed", lambda allowance: allowance.used.ram),
    field("totalServerGroupsUsed", "server_groups"),
    field("totalFloatingIpsUsed", _always(0), until="2.35"),
    field("totalSecurityGroupsUsed", _always(0), until="2.35"),
)

LIMITS: Final = Shape(
    "limits",
    field("rate", lambda _: []),
    field("absolute", lambda allowance, call: ABSOLUTE.at(call.version)(allowance, call)),
)

_RESOURCES: Final[dict[str, tuple[str | None, str | None]]] = {
    "cores": ("cores", None),
    "fixed_ips": (None, "2.35"),
    "floating_ips": (None, "2.35"),
    "injected_file_content_bytes": ("injected_file_content_bytes", "2.56"),
    "injected_file_path_bytes": ("injected_file_path_length", "2.56"),
    "injected_files": ("injected_files", "2.56"),
    "instances": ("instances", None),
    "key_pairs": ("key_pairs", None),
    "metadata_items": ("metadata_items", None),
    "ram": ("ram", None),
    "security_group_rules": (None, "2.35"),
    "security_groups": (None, "2.35"),
    "server_group_members": ("server_group_members", None),
    "server_groups": ("server_groups", None),
}
"""Every resource of a quota set: the setting that limits it (None: nothing does), and the last version with it."""


def _value(name: str, setting: str | None) -> Callable[[Allowance], int]:
    del name
    return lambda allowance: UNLIMITED if setting is None else allowance.limits[setting]


def _detail(name: str, setting: str | None) -> Callable[[Allowance], Any]:
    def detail(allowance: Allowance) -> dict[str, int]:
        limit = UNLIMITED if setting is None else allowance.limits[setting]
        return {"limit": limit, "in_use": allowance.in_use(name), "reserved": 0}

    return detail


def _fields(get: Callable[[str, str | None], Callable[[Allowance], Any]]) -> tuple[Field, ...]:
    rows = _RESOURCES.items()
    named = (Field(key=name, get=get(name, setting), span=Span.of("2.1", end)) for name, (setting, end) in rows)
    return (field("id", "project_id"), *named)


QUOTA_SET: Final = Shape("quota_set", *_fields(_value))
QUOTA_DETAIL: Final = Shape("quota_set", *_fields(_detail))


def _of_class(name: str, setting: str | None, end: str | None) -> Field:
    """A class has networks longer than a project, and groups of servers later (contract §4.4)."""
    begin = "2.50" if name.startswith("server_group") else "2.1"
    return Field(key=name, get=_value(name, setting), span=Span.of(begin, "2.49" if end == "2.35" else end))


QUOTA_CLASS: Final = Shape(
    "quota_class_set",
    field("id", "project_id"),
    *(_of_class(name, setting, end) for name, (setting, end) in _RESOURCES.items()),
)


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
    """``GET /os-quota-sets/{project}/defaults``."""
    return Allowance(project_id=call.params["project_id"], limits=dict(call.plane.settings.limits), used=Usage())


def quota_class(call: Call) -> Allowance:
    """``GET /os-quota-class-sets/{name}``: whatever it is called, its limits are the settings'."""
    return Allowance(project_id=call.params["name"], limits=dict(call.plane.settings.limits), used=Usage())


def _of_project(call: Call, rule: str) -> Allowance:
    project_id = call.params["project_id"]
    call.check(rule, project_id=project_id)
    return _allowance(call, project_id, user_id=call.first("user_id") or None)


def _allowance(call: Call, project_id: str, *, user_id: str | None = None) -> Allowance:
    with call.plane.database.read() as connection:
        used = instances.project_usage(connection, project_id, user_id)
        groups = server_groups.count_server_groups(connection, project_id)
    limits = dict(call.plane.settings.limits)
    return Allowance(project_id=project_id, limits=limits, used=used, server_groups=groups)


_BY_USER: Final = query(param("user_id", STRING), strict="2.75")
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
        query=_BY_USER,
        returns=One(shape=QUOTA_SET),
    ),
    route(
        "GET",
        _SETS + "/detail",
        quota_detail,
        policy=_RULE + "detail",
        target=Target.HANDLER,
        query=_BY_USER,
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
