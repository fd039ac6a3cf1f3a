"""``kilonova explain``: why something is as it is."""

import sys

import click

from kilonova.cli.asking import ServerName, asking, connected, write
from kilonova.console.board import Samples
from kilonova.console.web.answers import answer

_COLUMNS = ("kind", "name", "rule", "sentence", "advice", "evidence")


@click.command(name="explain")
@asking
@click.argument("thing", type=ServerName(), metavar="SERVER|HOST|REQUEST")
def command(*, os_cloud: str | None, form: str, thing: str) -> None:
    """Say in one sentence why a server, a host or a request is as it is, what to do, and from what that is known.

    A server is named by its name or id, a host by its name, a request by its id (req-…). Ends with status 1 where
    something is wrong.
    """
    told = answer(connected(os_cloud), thing, Samples())
    found = told.explanation
    if form == "table":
        click.echo(found.sentence)
        click.echo(f"What to do: {found.advice}")
        for line in found.evidence:
            click.echo(f"  {line}")
    else:
        row = {"kind": told.kind, "name": told.name, "rule": found.rule, "sentence": found.sentence}
        write(form, _COLUMNS, [{**row, "advice": found.advice, "evidence": [str(line) for line in found.evidence]}])
    sys.exit(1 if found.tone == "bad" else 0)
