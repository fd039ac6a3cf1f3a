"""``kilonova failures``: what went wrong, by cause."""

from typing import Any

import click

from kilonova.cli.asking import asking, connected, sees_all, write
from kilonova.console import board
from kilonova.console.client import Client

COLUMNS = ("count", "message", "servers")


@click.command(name="failures")
@asking
@click.option("--own", is_flag=True, help="Only the servers of the own project.")
def command(*, os_cloud: str | None, form: str, own: bool) -> None:
    """Group the servers that are in error by what their fault says, the largest group first."""
    client = connected(os_cloud)
    write(form, COLUMNS, rows(client, all_projects=sees_all(client, own=own)))


def rows(client: Client, *, all_projects: bool) -> list[dict[str, Any]]:
    """One for each cause."""
    groups = board.list_failures(client, all_projects=all_projects)
    return [{**group, "servers": " ".join(str(each["name"]) for each in group["servers"][:10])} for group in groups]
