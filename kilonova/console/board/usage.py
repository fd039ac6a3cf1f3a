"""What is taken of the limits, and what was used: by project and day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kilonova.console.board.look import Bar, Look
from kilonova.console.client import Client
from kilonova.console.errors import CloudError

_LIMITS: Final = (
    ("servers", "totalInstancesUsed", "maxTotalInstances", "instances"),
    ("vCPUs", "totalCoresUsed", "maxTotalCores", "cores"),
    ("memory, MiB", "totalRAMUsed", "maxTotalRAMSize", "ram"),
    ("server groups", "totalServerGroupsUsed", "maxServerGroups", "server_groups"),
)
_AMOUNTS: Final = ("hours", "vcpu_hours", "memory_mb_hours", "disk_gb_hours")
_SHOWN: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """``limits`` are bars by the name of their project; ``rows`` what projects used; ``days`` vCPU hours a day.

    ``is_exact`` says that it is from segments of the servers' lives, not from Nova's report.
    """

    month: str
    limits: Sequence[tuple[str, Sequence[Bar]]]
    rows: Sequence[Mapping[str, Any]]
    days: Sequence[tuple[str, float]]
    is_exact: bool
    look: Look


def usage(client: Client, *, all_projects: bool, month: str = "") -> Usage:
    """The usage of a month (such as 2026-11; this one without), of all projects or of the own one."""
    look = Look(client=client)
    begin, end = _month(month, look.at)
    names = client.list_projects()
    is_exact = client.has_state()
    rows, days = (
        _exact(look, _asked(begin, end) if month else {}, all_projects=all_projects)
        if is_exact
        else _reported(look, begin, end, all_projects=all_projects)
    )
    look.check_told("usage")
    return Usage(
        month=begin.strftime("%Y-%m"),
        limits=_limits(look, names, all_projects=all_projects),
        rows=[{**row, "name": names.get(row["project"], row["project"])} for row in rows],
        days=days,
        is_exact=is_exact,
        look=look,
    )


def _asked(begin: datetime, end: datetime) -> dict[str, str]:
    return {"start": begin.isoformat()[:19] + "Z", "end": end.isoformat()[:19] + "Z"}


def _exact(
    look: Look, window: Mapping[str, Any], *, all_projects: bool
) -> tuple[list[Mapping[str, Any]], list[tuple[str, float]]]:
    """Without a window, of the month so far: when that began, the cloud tells by its own clock."""
    if not all_projects:
        window = {**window, "project": look.client.sign_in_once().project_id}
    empty: dict[str, Any] = {"usage": []}
    rows = look.state("usage", "/usage", empty, group_by="project,flavor", **window)["usage"]
    by_day = look.state("usage", "/usage", empty, group_by="day", **window)["usage"]
    return list(rows), sorted((str(row["day"]), float(row["vcpu_hours"])) for row in by_day)


def _reported(
    look: Look, begin: datetime, end: datetime, *, all_projects: bool
) -> tuple[list[Mapping[str, Any]], list[tuple[str, float]]]:
    """As Nova's report says it, which has no days and counts a server by its latest flavor."""
    window = {"start": begin.isoformat()[:19], "end": end.isoformat()[:19]}
    if all_projects:
        found = look.compute("usage", "/os-simple-tenant-usage", {"tenant_usages": []}, **window)["tenant_usages"]
    else:
        own = look.client.sign_in_once().project_id
        answer = look.compute("usage", f"/os-simple-tenant-usage/{own}", {"tenant_usage": {}}, **window)
        found = [answer["tenant_usage"]] if answer["tenant_usage"] else []
    rows = [
        {
            "project": each["tenant_id"],
            "flavor": "",
            "servers": None,
            "hours": each["total_hours"],
            "vcpu_hours": each["total_vcpus_usage"],
            "memory_mb_hours": each["total_memory_mb_usage"],
            "disk_gb_hours": each["total_local_gb_usage"],
        }
        for each in found
    ]
    return list(rows), []


def _limits(look: Look, names: Mapping[str, str], *, all_projects: bool) -> list[tuple[str, list[Bar]]]:
    if not all_projects:
        told = look.compute("limits", "/limits", {"limits": {"absolute": {}}})["limits"]["absolute"]
        bars = [Bar(name=name, used=told[used], total=told[most]) for name, used, most, _ in _LIMITS if used in told]
        return [(look.client.sign_in_once().project_name or "", bars)]
    found = []
    for project, name in list(names.items())[:_SHOWN]:
        path = f"/os-quota-sets/{project}/detail"
        told = look.compute("quotas", path, {"quota_set": {}})["quota_set"]
        bars = [
            Bar(name=title, used=told[key]["in_use"], total=told[key]["limit"])
            for title, _, _, key in _LIMITS
            if isinstance(told.get(key), dict)
        ]
        if any(bar.used for bar in bars):
            found.append((name, bars))
    return found


def _month(text: str, now: datetime) -> tuple[datetime, datetime]:
    """The first moment of a month and that of the next one, or now. CloudError for what is no month."""
    if not text:
        return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0), now
    try:
        first = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        raise CloudError("That is no month, such as 2026-11.", status=400) from error
    if first > now:
        raise CloudError("That month is still to come.", status=400)
    following = (first + timedelta(days=32)).replace(day=1)
    return first, min(following, now)
