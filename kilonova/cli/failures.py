"""``kilonova failures``: what went wrong, by cause."""

from datetime import datetime
from typing import Any, Final

import click

from kilonova.cli.asking import asking, connected, sees_all, write
from kilonova.console import board
from kilonova.console.client import Client

COLUMNS: Final = ("count", "cause", "first", "last", "hosts", "servers")
"""For people."""
DATA_COLUMNS: Final = ("count", "code", "cause", "first", "last", "hosts", "servers", "server_ids", "advice")
"""For programs."""
HOURS: Final = 24
_NAMED: Final = 10


@click.command(name="failures")
@asking
@click.option("--own", is_flag=True, help="Only the servers of the own project.")
@click.option("--hours", type=click.IntRange(1, 24 * 366), default=HOURS, show_default=True, help="So far back.")
def command(*, os_cloud: str | None, form: str, own: bool, hours: int) -> None:
    """Group what failed lately by its cause, the largest group first: when, where, and on which servers.

    Of a Nova that keeps no causes: the servers that are in error, by what their fault says, whenever they failed.
    """
    client = connected(os_cloud)
    names = COLUMNS if form == "table" else DATA_COLUMNS
    write(form, names, rows(client, all_projects=sees_all(client, own=own), hours=hours))


def rows(client: Client, *, all_projects: bool, hours: int = HOURS) -> list[dict[str, Any]]:
    """One for each cause."""
    return [
        {
            "count": group.count,
            "code": group.code,
            "cause": group.title,
            "first": _moment(group.first_at),
            "last": _moment(group.last_at),
            "hosts": [name for name, _ in group.hosts],
            "servers": [str(each["name"] or each["server"]) for each in group.servers[:_NAMED]],
            "server_ids": [str(each["server"]) for each in group.servers[:_NAMED]],
            "advice": group.advice,
        }
        for group in board.failures(client, all_projects=all_projects, hours=hours).groups
    ]


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")
