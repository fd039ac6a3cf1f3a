"""What failed: by cause, when, where, on which servers, and whether it gets more."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from kilonova.console.board.look import Look
from kilonova.console.board.servers import every_server
from kilonova.console.client import Client
from kilonova.console.timeline import instant

_MOST: Final = 1000
_SLOTS: Final = 24
_ID: Final = re.compile(r"(req-)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
"""What makes each of many messages of one kind another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failures of one cause. ``trend`` are numbers in equal slots of the time looked at, the oldest first."""

    code: str
    title: str
    advice: str
    count: int
    first_at: datetime | None
    last_at: datetime | None
    hosts: Sequence[tuple[str, int]]
    servers: Sequence[Mapping[str, Any]]
    trend: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """All groups, the largest first, of what failed since ``begin``; ``is_cut`` says that there were too many."""

    groups: Sequence[FailureGroup]
    begin: datetime
    is_cut: bool
    look: Look


def failures(client: Client, *, all_projects: bool, hours: int = 24) -> Failures:
    """What failed in the last hours. Without a Kilonova: the servers that are in error, whenever they failed."""
    look = Look(client=client)
    begin = look.at - timedelta(hours=hours)
    if client.has_state():
        found = look.state("faults", "/faults", {"faults": []}, limit=_MOST)["faults"]
        look.check_told("faults")
        own = None if all_projects else client.sign_in_once().project_id
        rows = [
            _row(each) for each in found if instant(each["created_at"]) >= begin and own in (None, each["project_id"])
        ]
    else:
        found = _in_error(look, all_projects=all_projects)
        rows = [_row_of_server(each) for each in found]
        begin = min((row["at"] for row in rows if row["at"]), default=begin)
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["code"], []).append(row)
    told = [_group(members, begin, look.at) for members in groups.values()]
    return Failures(
        groups=sorted(_named(look, told), key=lambda group: -group.count),
        begin=begin,
        is_cut=len(found) == _MOST,
        look=look,
    )


def _in_error(look: Look, *, all_projects: bool) -> list[Mapping[str, Any]]:
    query: dict[str, Any] = {"status": "ERROR"} | ({"all_tenants": 1} if all_projects else {})
    return every_server(look, query, at_most=_MOST)


def _row(fault: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "code": fault["code"],
        "title": fault["title"],
        "advice": fault.get("operator") or fault["next_step"],
        "at": instant(fault["created_at"]),
        "host": fault.get("host"),
        "server": fault["server"],
        "name": None,
        "message": fault["message"],
    }


def _row_of_server(server: Mapping[str, Any]) -> dict[str, Any]:
    fault = server.get("fault") or {}
    message = str(fault.get("message") or "no reason kept")
    kind = _ID.sub("…", message)
    return {
        "code": kind,
        "title": kind,
        "advice": "",
        "at": instant(fault["created"]) if fault.get("created") else None,
        "host": server.get("OS-EXT-SRV-ATTR:host"),
        "server": server["id"],
        "name": server["name"],
        "message": message,
    }


def _group(members: Sequence[Mapping[str, Any]], begin: datetime, end: datetime) -> FailureGroup:
    times = [row["at"] for row in members if row["at"]]
    servers = {row["server"]: row for row in reversed(members)}
    return FailureGroup(
        code=members[0]["code"],
        title=members[0]["title"],
        advice=members[0]["advice"],
        count=len(members),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        hosts=Counter(row["host"] for row in members if row["host"]).most_common(10),
        servers=list(servers.values())[::-1][:50],
        trend=_trend(times, begin, end),
    )


def _trend(times: Sequence[datetime], begin: datetime, end: datetime) -> list[int]:
    whole = max((end - begin).total_seconds(), 1.0)
    slots = [0] * _SLOTS
    for at in times:
        slots[min(_SLOTS - 1, max(0, int((at - begin).total_seconds() / whole * _SLOTS)))] += 1
    return slots


def _named(look: Look, groups: Sequence[FailureGroup]) -> list[FailureGroup]:
    """With the names of the servers that failed, for faults have their ids only."""
    wanted = {row["server"] for group in groups for row in group.servers if row["name"] is None}
    if not wanted:
        return list(groups)
    everyone: dict[str, Any] = {"all_tenants": 1} if "admin" in look.client.sign_in_once().roles else {}
    query = {"limit": _MOST, "sort_key": "updated_at", "sort_dir": "desc", **everyone}
    found = look.compute("servers", "/servers", {"servers": []}, **query)["servers"]
    if everyone and not wanted <= {each["id"] for each in found}:
        # What failed is often deleted next; to others than administrators Nova does not list what is.
        found = [*found, *look.compute("servers", "/servers", {"servers": []}, **query, deleted="True")["servers"]]
    known = {each["id"]: each["name"] for each in found}
    return [
        replace(group, servers=[{**row, "name": row["name"] or known.get(row["server"])} for row in group.servers])
        for group in groups
    ]
