"""``kilonova explain``: why something is as it is."""

import sys
from typing import Any

import click

from kilonova.cli.asking import ServerName, asking, connected, plain, write
from kilonova.console.answers import Answer, answer
from kilonova.console.board import Samples
from kilonova.console.client import Client

COLUMNS = ("kind", "name", "rule", "sentence", "advice", "evidence")


@click.command(name="explain")
@asking
@click.argument("thing", type=ServerName(), metavar="SERVER|HOST|REQUEST")
def command(*, os_cloud: str | None, form: str, thing: str) -> None:
    """Say in one sentence why a server, a host or a request is as it is, what to do, and from what that is known.

    A server is named by its name or id, a host by its name, a request by its id (req-…). Ends with status 1 where
    something is wrong.
    """
    told = explained(connected(os_cloud), thing)
    found = told.explanation
    if form == "table":
        click.echo(plain(found.sentence))
        click.echo(f"What to do: {plain(found.advice)}")
        for line in found.evidence:
            click.echo(f"  {plain(line)}")
    else:
        write(form, COLUMNS, [row(told)])
    sys.exit(1 if found.tone == "bad" else 0)


def explained(client: Client, thing: str) -> Answer:
    """Why it is as it is. CloudError where there is none such."""
    return answer(client, thing, Samples())


def row(told: Answer) -> dict[str, Any]:
    """The answer as data."""
    found = told.explanation
    lines = [str(line) for line in found.evidence]
    what = {"kind": told.kind, "name": told.name, "rule": found.rule}
    return {**what, "sentence": found.sentence, "advice": found.advice, "evidence": lines}
