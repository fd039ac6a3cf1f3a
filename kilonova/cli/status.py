"""``kilonova status``: whether the cloud is well."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from kilonova.cli.asking import asking, connected, sees_all, write
from kilonova.console import board
from kilonova.console.board import Overview

COLUMNS: Final = ("what", "is")
"""For people."""
DATA_COLUMNS: Final = ("part", "name", "host", "state", "count", "total")
"""For programs: ``part`` is ``servers``, ``capacity``, ``service``, ``failed`` or ``unknown``."""


@click.command(name="status")
@asking
@click.option("--own", is_flag=True, help="Only the servers of the own project.")
def command(*, os_cloud: str | None, form: str, own: bool) -> None:
    """Say whether the cloud is well: services, servers by status, capacity.

    Ends with status 2 where a service is down, 1 where a server is in error, 0 else.
    """
    client = connected(os_cloud)
    found = board.overview(client, all_projects=sees_all(client, own=own))
    if form == "table":
        write(form, COLUMNS, rows(found))
    else:
        write(form, DATA_COLUMNS, data(found))
    sys.exit({"good": 0, "wait": 1, "bad": 2}[found.verdict])


def rows(found: Overview) -> list[dict[str, Any]]:
    """One for each thing there is to say, in two columns for people."""
    return [_spoken(each) for each in data(found)]


def data(found: Overview) -> list[dict[str, Any]]:
    """The same for programs."""
    return [*_parts(found)]


def _parts(found: Overview) -> Iterator[dict[str, Any]]:
    if not found.statuses and found.are_counted:
        yield {"part": "servers", "count": 0}
    for status, count in found.statuses:
        yield {"part": "servers", "name": status, "count": count}
    for bar in found.capacity:
        yield {"part": "capacity", "name": bar.name, "count": round(bar.used), "total": round(bar.total)}
    for each in found.services:
        yield {"part": "service", "name": each["binary"], "host": each["host"], "state": _state(each)}
    for message, count in found.failures:
        yield {"part": "failed", "name": message, "count": count}
    if not found.services:
        # Who sees none must not take that for all being well.
        yield {"part": "unknown", "name": "services and capacity", "state": "not shown to this login"}


def _state(service: Mapping[str, Any]) -> str:
    """``up`` or ``down``, and that it takes no new servers."""
    if service.get("status") != "disabled":
        return str(service["state"])
    reason = service.get("disabled_reason")
    return f"{service['state']}, disabled{f' ({reason})' if reason else ''}"


def _spoken(row: Mapping[str, Any]) -> dict[str, Any]:
    match row["part"]:
        case "servers":
            return {"what": " ".join(filter(None, ("servers", row.get("name")))), "is": row["count"]}
        case "capacity":
            return {"what": f"{row['name']} taken", "is": f"{row['count']:,} of {row['total']:,}"}
        case "service":
            return {"what": f"{row['name']} on {row['host']}", "is": row["state"]}
        case "failed":
            return {"what": f"failed: {row['name']}", "is": row["count"]}
    return {"what": row["name"], "is": row["state"]}
