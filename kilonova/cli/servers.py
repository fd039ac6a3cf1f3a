"""``kilonova servers``: which servers there are."""

from collections.abc import Mapping
from typing import Any

import click

from kilonova.cli.asking import asking, connected, sees_all, write
from kilonova.console import board

COLUMNS = ("id", "name", "status", "task", "host", "addresses", "created", "fault")


@click.command(name="servers")
@asking
@click.option("--own", is_flag=True, help="Only the servers of the own project.")
@click.option("--status", default="", help="Only those with this status, such as ERROR.")
@click.argument("search", default="")
def command(*, os_cloud: str | None, form: str, own: bool, status: str, search: str) -> None:
    """List servers, the newest first; SEARCH is a part of a name, an id or an address."""
    client = connected(os_cloud)
    found = board.list_servers(client, all_projects=sees_all(client, own=own), search=search, status=status.upper())
    write(form, COLUMNS, [row(each) for each in found])


def row(server: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a server."""
    addresses = [each["addr"] for nets in (server.get("addresses") or {}).values() for each in nets]
    return {
        **{name: server.get(name) for name in ("id", "name", "status", "created")},
        "task": server.get("OS-EXT-STS:task_state"),
        "host": server.get("OS-EXT-SRV-ATTR:host"),
        "addresses": addresses,
        "fault": (server.get("fault") or {}).get("message"),
    }
