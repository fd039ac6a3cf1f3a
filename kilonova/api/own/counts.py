"""``/state/v1/counts``: how many servers there are, by status, host, project and zone, without listing them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.resources.zones import Zones, zones_of
from kilonova.api.routes import Route, route
from kilonova.api.schemas.types import param, query
from kilonova.domain.errors import Forbidden, Invalid
from kilonova.store import counts
from kilonova.store.counts import Group

_NUMBERS: Final = ("servers", "vcpus", "memory_mb", "disk_gb")
_FOR_OPERATORS: Final = frozenset({"host"})


def show_counts(call: Call) -> dict[str, Any]:
    """``GET /state/v1/counts?group_by=status,host,project,az``: numbers of living servers and what they are promised.

    Who sees only their own project gets the numbers of that one, and not by host. Memory in MiB, disk in GiB.
    """
    by = _group_by(call)
    sees_all = call.may("kilonova:counts:show:all_projects")
    if not sees_all and not _FOR_OPERATORS.isdisjoint(by):
        raise Forbidden("Only operators may count servers by host.")
    mine = (call.first("project") or None) if sees_all else call.caller.project_id or ""
    with call.plane.database.read() as connection:
        found = counts.count_servers(connection, by, project_id=mine)
    rows = _merged(found, by, zones_of(call))
    total = {name: sum(row[name] for row in rows) for name in _NUMBERS}
    return {"group_by": by, "counts": rows, "total": total}


def _group_by(call: Call) -> list[str]:
    names = [name.strip() for text in call.query.get("group_by", ()) for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in counts.GROUPS]
    if unknown:
        raise Invalid(f"Servers cannot be counted by {unknown[0][:40]!r}, only by {', '.join(counts.GROUPS)}.")
    return list(dict.fromkeys(names))


def _merged(found: list[Group], by: list[str], zones: Zones) -> list[dict[str, Any]]:
    """Rows of what was asked for: several states are one status, several hosts one zone. The largest first."""
    facts: Mapping[str, Callable[[Group], str | None]] = {
        "status": lambda group: group.status,
        "host": lambda group: group.host,
        "project": lambda group: group.project_id,
        "az": lambda group: zones.of_host(group.host) if group.host else group.requested_zone,
    }
    rows: dict[tuple[str | None, ...], dict[str, Any]] = {}
    for group in found:
        key = tuple(facts[name](group) for name in by)
        row = rows.setdefault(key, {**dict(zip(by, key, strict=True)), **dict.fromkeys(_NUMBERS, 0)})
        for name in _NUMBERS:
            row[name] += getattr(group, name)
    return sorted(rows.values(), key=lambda row: (-row["servers"], [row[name] or "" for name in by]))


ROUTES: Final[tuple[Route, ...]] = (
    route(
        "GET",
        "/counts",
        show_counts,
        policy="kilonova:counts:show",
        query=query(param("group_by"), param("project"), strict="2.1"),
    ),
)
