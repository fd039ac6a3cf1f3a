"""``/os-simple-tenant-usage``: hours, and hours times what servers have, project by project (contract §5)."""

from dataclasses import dataclass
from typing import Any, Final

from kilonova.api.call import Call, Page, Plain
from kilonova.api.paging import page_limit
from kilonova.api.routes import Many, One, Target, route
from kilonova.api.schemas.types import NON_NEGATIVE, Param, param, query
from kilonova.api.shape import ABSENT, Shape, field
from kilonova.domain.errors import Invalid
from kilonova.domain.model import Instant
from kilonova.domain.usage import ProjectUsage, ServerUsage, Window, usage_by_project
from kilonova.store import usage
from kilonova.store.usage import UsageQuery
from kilonova.wire.times import naive, parse_naive
from kilonova.wire.version import Microversion, Versioned

_RULE: Final = "os_compute_api:os-simple-tenant-usage:"
_IS_PAGED: Final = Versioned(("2.1", False), ("2.40", True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What rendering needs beside the numbers: the window, the present, and whether servers are told one by one."""

    window: Window
    now: Instant
    version: Microversion
    is_detailed: bool


def _hours(server: ServerUsage, report: Report) -> float:
    return report.window.hours(server.launched_at, server.terminated_at)


def _ended_at(server: ServerUsage) -> str | None:
    return None if server.terminated_at is None else naive(server.terminated_at)


SERVER_USAGE: Final = Shape(
    "server_usage",
    field("hours", _hours),
    field("flavor", "flavor_name"),
    field("instance_id", "uuid"),
    field("name", "display_name"),
    field("tenant_id", "project_id"),
    field("memory_mb", "memory_mb"),
    field("local_gb", "local_gb"),
    field("vcpus", "vcpus"),
    field("started_at", lambda server: naive(server.launched_at)),
    field("ended_at", _ended_at),
    field("state", "state"),
    field("uptime", lambda server, report: server.uptime_seconds(report.now)),
)


def _servers(found: ProjectUsage, report: Report) -> Any:
    if not report.is_detailed:
        return ABSENT
    render = SERVER_USAGE.at(report.version)
    return [render(server, report) for server in found.servers]


TENANT_USAGE: Final = Shape(
    "tenant_usage",
    field("tenant_id", "project_id"),
    field("server_usages", _servers),
    field("total_local_gb_usage", "local_gb_hours"),
    field("total_vcpus_usage", "vcpu_hours"),
    field("total_memory_mb_usage", "memory_mb_hours"),
    field("total_hours", "hours"),
    field("start", lambda _, report: naive(report.window.start)),
    field("stop", lambda _, report: naive(report.window.stop)),
)


def index(call: Call) -> Page:
    """``GET /os-simple-tenant-usage``; only exactly ``detailed=1`` tells servers one by one."""
    report = _report(call, is_detailed=(call.query.get("detailed") or [""])[0] == "1")
    asked = _query(call, report.window)
    found = _found(call, asked, report)
    return Page(records=found, marker=_marker(call, asked, found), view=report)


def show(call: Call) -> Plain:
    """``GET /os-simple-tenant-usage/{project_id}``: an empty object where it used nothing, or does not exist."""
    project_id = call.params["project_id"]
    call.check(_RULE + "show", project_id=project_id)
    report = _report(call, is_detailed=True)
    asked = _query(call, report.window, project_id=project_id)
    found = _found(call, asked, report)
    render = TENANT_USAGE.at(call.version)
    body: dict[str, Any] = {"tenant_usage": render(found[0], report) if found else {}}
    marker = _marker(call, asked, found)
    if marker is not None:
        body["tenant_usage_links"] = [{"rel": "next", "href": call.next_link(marker)}]
    return Plain(body)


def _found(call: Call, asked: UsageQuery, report: Report) -> list[ProjectUsage]:
    """Added up here where the servers are told as well, so that both are of one moment; else by the database."""
    with call.plane.database.read() as connection:
        if not report.is_detailed:
            return usage.list_project_usages(connection, asked)
        servers = usage.list_server_usages(connection, asked)
    return usage_by_project(servers, report.window)


def _query(call: Call, window: Window, *, project_id: str | None = None) -> UsageQuery:
    return UsageQuery(window=window, limit=page_limit(call), project_id=project_id, marker=call.first("marker"))


def _marker(call: Call, asked: UsageQuery, found: list[ProjectUsage]) -> str | None:
    """The last server of a full page: pages are of servers, so a project may be on several (contract §5.5)."""
    is_full = 0 < asked.limit == sum(each.count for each in found)
    return found[-1].last_uuid if is_full and _IS_PAGED.at(call.version) else None


def _report(call: Call, *, is_detailed: bool) -> Report:
    """The window that was asked for. Invalid where it is none; only then it ends at the present (contract §5.2)."""
    start = _moment(call, "start")
    end = _moment(call, "end")
    # Two readings of Nova's clock are never the same; without either time the window is that short.
    now = call.plane.now()
    begin = now if start is None else start
    finish = max(now, Instant(begin + 1)) if start is None and end is None else now if end is None else end
    if begin >= finish:
        raise Invalid("Invalid start time. The start time cannot occur after the end time.")
    window = Window(begin, finish if end is None else min(finish, now))
    return Report(window=window, now=now, version=call.version, is_detailed=is_detailed)


def _moment(call: Call, name: str) -> Instant | None:
    """The first value of a parameter as an instant; None where it is missing or empty, which means the present."""
    text = (call.query.get(name) or [""])[0]
    if not text:
        return None
    try:
        return Instant(parse_naive(text))
    except ValueError as error:
        raise Invalid("Invalid datetime string: Datetime is in invalid format") from error


_TIMES: Final[tuple[Param, ...]] = (param("start"), param("end"))
_PAGES: Final[tuple[Param, ...]] = (param("limit", NON_NEGATIVE, since="2.40"), param("marker", since="2.40"))

ROUTES: Final = (
    route(
        "GET",
        "/os-simple-tenant-usage",
        index,
        policy=_RULE + "list",
        query=query(*_TIMES, param("detailed"), *_PAGES, strict="2.75"),
        returns=Many(shape=TENANT_USAGE, key="tenant_usages"),
    ),
    route(
        "GET",
        "/os-simple-tenant-usage/{project_id}",
        show,
        policy=_RULE + "show",
        target=Target.HANDLER,
        query=query(*_TIMES, *_PAGES, strict="2.75"),
        returns=One(shape=TENANT_USAGE),
    ),
)
