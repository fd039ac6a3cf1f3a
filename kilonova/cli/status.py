"""``kilonova status``: whether the cloud is well."""

import sys
from typing import Any

import click

from kilonova.cli.asking import asking, connected, sees_all, write
from kilonova.console import board
from kilonova.console.board import Overview

COLUMNS = ("what", "is")


@click.command(name="status")
@asking
@click.option("--own", is_flag=True, help="Only the servers of the own project.")
def command(*, os_cloud: str | None, form: str, own: bool) -> None:
    """Say whether the cloud is well: services, servers by status, capacity.

    Ends with status 2 where a service is down, 1 where a server is in error, 0 else.
    """
    client = connected(os_cloud)
    found = board.overview(client, all_projects=sees_all(client, own=own))
    write(form, COLUMNS, rows(found))
    sys.exit({"good": 0, "wait": 1, "bad": 2}[found.verdict])


def rows(found: Overview) -> list[dict[str, Any]]:
    """One for each thing there is to say."""
    rows: list[dict[str, Any]] = [{"what": f"servers {status}", "is": count} for status, count in found.statuses]
    rows += [{"what": f"{bar.name} taken", "is": f"{bar.used:,.0f} of {bar.total:,.0f}"} for bar in found.capacity]
    rows += [{"what": f"{each['binary']} on {each['host']}", "is": each["state"]} for each in found.services]
    rows += [{"what": f"failed: {message}", "is": count} for message, count in found.failures]
    return rows
