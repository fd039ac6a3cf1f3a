"""``kilonova audit``: the usage audit, and the proof that it is whole."""

import sys
from typing import Any

import click

from kilonova.cli.asking import asking, connected, write

_COLUMNS = ("period_beginning", "period_ending", "servers", "finished_at", "digest")


@click.group(name="audit")
def command() -> None:
    """Tell usage period by period, and prove that all of it was told."""


@command.command(name="list")
@asking
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many periods.")
def list_(*, os_cloud: str | None, form: str, limit: int) -> None:
    """The periods that were told, the latest first."""
    write(form, _COLUMNS, connected(os_cloud).state("/audits", limit=limit)["audits"])


@command.command()
@asking
def run(*, os_cloud: str | None, form: str) -> None:
    """Tell now what is due, rather than within the next minute."""
    client = connected(os_cloud)
    while True:
        answer = client.state("/audits", method="POST")
        if answer["is_complete"]:
            break
    write(form, _COLUMNS, [answer["latest"]] if answer["latest"] else [])


@command.command()
@asking
@click.argument("period")
def verify(*, os_cloud: str | None, form: str, period: str) -> None:
    """Compare what was told of PERIOD (its beginning, such as 2026-11-01) with what lived in it.

    Ends with status 1 where something is missing.
    """
    answer: dict[str, Any] = connected(os_cloud).state(f"/audits/{period}/verify")
    write(form, ("is_complete", "lived", "told", "missing", "unexpected", "digest"), [answer])
    if not answer["is_complete"]:
        sys.exit(1)
