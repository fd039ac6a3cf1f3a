"""``kilonova top``: the cloud, live in a terminal."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kilonova.cli.asking import connected, plain, sees_all
from kilonova.console import board
from kilonova.console.board import Bar, Overview
from kilonova.console.errors import CloudError
from kilonova.console.words import counted

_WIDTH: Final = 30
_FULL, _FULLER = 70.0, 90.0
_VERDICTS: Final = {
    "good": ("green", "Everything is well."),
    "wait": ("yellow", "Some servers are in error."),
    "bad": ("red", "Something is down."),
}
_INTERRUPTED: Final = 130


@click.command(name="top")
@click.option("--os-cloud", help="Which cloud of clouds.yaml; $OS_CLOUD, or this machine's own.")
@click.option("--own", is_flag=True, help="Only the servers of the own project.")
@click.option("-d", "--delay", type=click.FloatRange(min=0.2), default=2.0, show_default=True, help="Seconds between.")
@click.option("--once", is_flag=True, help="Tell how it is now, and end; so it does also where there is no terminal.")
def command(*, os_cloud: str | None, own: bool, delay: float, once: bool) -> None:
    """Show services, capacity, servers by status, what is under way and what failed, until Ctrl-C."""
    client = connected(os_cloud)
    everything = sees_all(client, own=own)
    terminal = Console()
    if once or not terminal.is_terminal:
        terminal.print(_frame(board.overview(client, all_projects=everything)))
        return
    try:
        with Live(console=terminal, screen=True, auto_refresh=False) as live:
            while True:
                try:
                    shown: RenderableType = _frame(board.overview(client, all_projects=everything))
                except CloudError as error:
                    shown = Text(error.message, style="bold red")
                live.update(shown, refresh=True)
                time.sleep(delay)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _frame(found: Overview) -> Group:
    colour, sentence = _VERDICTS[found.verdict]
    servers = counted("{count} servers", found.total).format(count=found.total)
    head = Text.assemble((sentence, f"bold {colour}"), f"   {datetime.now(UTC):%H:%M:%S} UTC   {servers}")
    return Group(head, Text(), *_parts(found))


def _parts(found: Overview) -> Iterator[RenderableType]:
    """What there is to say; a part without anything is left out."""
    if found.statuses:
        counts = [
            Text.assemble((f"{count} ", "bold"), (status, _of_status(status))) for status, count in found.statuses
        ]
        yield Text("   ").join(counts)
        yield Text()
    yield from (_bar(bar) for bar in found.capacity)
    if not found.services:
        yield Text("This login is not shown services and capacity.", style="yellow")
    if found.unwell:
        services = (
            (each["host"], each["binary"], found.hosts.trouble(each), each.get("updated_at")) for each in found.unwell
        )
        yield _table(("service on", "binary", "trouble", "last seen"), services)
    if found.running:
        now = found.look.at
        running = (
            (each.name or each.server_id, each.what, f"{(now - each.since).total_seconds():.0f} s", _late(each.is_late))
            for each in found.running
        )
        yield _table((f"under way ({found.open_count})", "what", "for", ""), running)
    if found.failures:
        yield _table(("failed, last week", "times"), found.failures)
    if found.sinks:
        sinks = (
            (each["name"], each["state"], each["lag"]["rows"], f"{each['lag']['seconds']:.0f} s")
            for each in found.sinks
        )
        yield _table(("sink", "state", "rows behind", "behind"), sinks)


def _late(is_late: bool) -> str:  # noqa: FBT001 - one fact, one word
    return "late" if is_late else ""


def _of_status(status: str) -> str:
    return {"ACTIVE": "green", "ERROR": "red"}.get(status, "yellow" if status == "BUILD" else "default")


def _bar(bar: Bar) -> Text:
    full = round(_WIDTH * bar.percent / 100)
    colour = "red" if bar.percent > _FULLER else "yellow" if bar.percent > _FULL else "green"
    amounts = f"  {bar.percent:5.1f} %  {bar.used:,.0f} of {bar.total:,.0f}"
    return Text.assemble(f"{bar.name:<14}", ("█" * full, colour), ("░" * (_WIDTH - full), "dim"), amounts)


def _table(names: tuple[str, ...], rows: Any) -> Table:
    table = Table(show_edge=False, header_style="bold", title_justify="left", padding=(0, 2, 0, 0), box=None)
    for name in names:
        table.add_column(name)
    for row in rows:
        table.add_row(*(Text("–" if cell is None else plain(cell)) for cell in row))
    return table
