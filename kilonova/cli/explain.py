"""``kilonova explain``: why a server is as it is."""

import sys

import click

from kilonova.cli.asking import asking, connected, write
from kilonova.console import board


@click.command(name="explain")
@asking
@click.argument("server")
def command(*, os_cloud: str | None, form: str, server: str) -> None:
    """Say in one sentence why SERVER (its id or name) is as it is, what to do, and from what that is known.

    Ends with status 1 where something is wrong.
    """
    client = connected(os_cloud)
    found = board.server_story(client, board.get_server_id(client, server)).explanation
    if form == "table":
        click.echo(found.sentence)
        click.echo(f"What to do: {found.advice}")
        for line in found.evidence:
            click.echo(f"  {line}")
    else:
        row = {"rule": found.rule, "sentence": found.sentence, "advice": found.advice, "evidence": list(found.evidence)}
        write(form, ("rule", "sentence", "advice", "evidence"), [row])
    sys.exit(1 if found.tone == "bad" else 0)
