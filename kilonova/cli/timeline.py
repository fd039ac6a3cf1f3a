"""``kilonova timeline``: what happened to a server, in order."""

from typing import Any

import click

from kilonova.cli.asking import ServerName, asking, connected, write
from kilonova.console import board
from kilonova.console.client import Client

COLUMNS = ("started", "what", "step", "host", "seconds", "result", "request_id", "changes")


@click.command(name="timeline")
@asking
@click.argument("server", type=ServerName())
def command(*, os_cloud: str | None, form: str, server: str) -> None:
    """Tell what happened to SERVER (its id or name): every request and each of its steps, the latest request first.

    ``changes`` are what it changed beside states: a new name, metadata, a flavor.
    """
    write(form, COLUMNS, rows(connected(os_cloud), server))


def rows(client: Client, server: str) -> list[dict[str, Any]]:
    """One for each request and each of its steps."""
    story = board.server_story(client, board.get_server_id(client, server))
    rows: list[dict[str, Any]] = []
    for entry in story.timeline:
        same = {"what": entry.action, "request_id": entry.request_id}
        started = entry.started_at.isoformat(timespec="seconds")
        rows.append(
            {
                **same,
                "started": started,
                "seconds": entry.seconds,
                "result": entry.outcome,
                "changes": list(map(str, entry.turns)),
            }
        )
        rows += [
            {
                **same,
                "started": step.started_at.isoformat(timespec="seconds"),
                "step": step.name,
                "host": step.host,
                "seconds": step.seconds,
                "result": step.result or "open",
            }
            for step in entry.steps
        ]
    return rows
