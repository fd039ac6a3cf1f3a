"""``kilonova capacity``: what is taken of what there is."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from kilonova.cli.asking import asking, connected, write
from kilonova.console import board
from kilonova.console.board import Bar, Hosts
from kilonova.console.client import Client
from kilonova.console.errors import CloudError

COLUMNS = ("where", "what", "used", "total", "free", "percent")
GROUPINGS = ("cloud", "zone", "aggregate", "host")


@click.command(name="capacity")
@asking
@click.option(
    "--by",
    "grouping",
    type=click.Choice(GROUPINGS),
    default="zone",
    show_default=True,
    help="What to sum it up by.",
)
@click.option("--above", type=click.FloatRange(0, 100), metavar="PERCENT", help="Tell only what is fuller than this.")
def command(*, os_cloud: str | None, form: str, grouping: str, above: float | None) -> None:
    """Say how much of the hosts' vCPUs, memory and disk is promised to servers.

    With --above it ends with status 1 where there is anything to tell, 0 else.
    """
    told = rows(connected(os_cloud), grouping, above=above)
    write(form, COLUMNS, told)
    sys.exit(1 if above is not None and told else 0)


def rows(client: Client, grouping: str, *, above: float | None = None) -> list[dict[str, Any]]:
    """One for each group and what it has; of what is fuller than ``above`` percent only, if wanted.

    CloudError for a login that is not shown any host: that is not the same as a cloud that has room.
    """
    found = board.hosts(client)
    if not found.services:
        raise CloudError("This login is not shown hosts, so it cannot be told what of them is taken.")
    return [
        _row(where, bar)
        for where, bars in _groups(found, grouping)
        for bar in bars
        if above is None or bar.percent > above
    ]


def _groups(found: Hosts, grouping: str) -> list[tuple[str, Sequence[Bar]]]:
    match grouping:
        case "cloud":
            return [("cloud", found.capacity())]
        case "host":
            return [(host.name, host.bars) for host in found.hosts]
        case _:
            return [
                (name or "none", Hosts(hosts=hosts, services=(), look=found.look).capacity())
                for name, hosts in found.by(grouping)
            ]


def _row(where: str, bar: Bar) -> dict[str, Any]:
    free = max(0, int(bar.total - bar.used))
    amounts = {"used": int(bar.used), "total": int(bar.total), "free": free, "percent": round(bar.percent, 1)}
    return {"where": where, "what": bar.name, **amounts}
