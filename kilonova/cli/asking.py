"""What the commands that ask a cloud have in common: which cloud, and how the answer is written."""

import csv
import io
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from kilonova.cli.watching import watched
from kilonova.console import board
from kilonova.console.accounts import find_login
from kilonova.console.client import Client
from kilonova.console.errors import CloudError

_ENDLESS: Final = 10_000
FORMATS: Final = ("table", "json", "yaml", "csv")


def asking(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--os-cloud``, ``-f`` and ``-w``; the first two reach it as ``os_cloud`` and ``form``."""
    return watched(asking_once(command))


def asking_once(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a command that goes on by itself, or that is not to be done again."""
    form = click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="table", help="How to write it.")
    cloud = click.option("--os-cloud", help="Which cloud of clouds.yaml; $OS_CLOUD, or this machine's own.")
    return cloud(form(command))


def connected(os_cloud: str | None) -> Client:
    """A client of the cloud that is meant."""
    return Client(find_login(os_cloud))


def sees_all(client: Client, *, own: bool) -> bool:
    """Whether to look at all projects: as administrators do who do not ask for their own."""
    return "admin" in client.sign_in_once().roles and not own


class ServerName(click.ParamType[str]):
    """The name or id of a server; the shell completes names that are a plain word to it."""

    name = "server"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Servers whose names begin so; none where the cloud does not say."""
        try:
            client = connected(ctx.params.get("os_cloud"))
            found = board.find_servers(client, all_projects=sees_all(client, own=False), search=incomplete)
        except CloudError:
            return []
        named = [each for each in found.servers if str(each["name"]).startswith(incomplete)]
        return [CompletionItem(each["name"], help=each["status"]) for each in named if _is_plain_word(each["name"])]


def _is_plain_word(name: str) -> bool:
    """Whether it means nothing to a shell: names are their makers' to choose, and shells read what was completed."""
    return shlex.quote(name) == name and not name.startswith("-")


def write(form: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as a table for people, or as data for programs; ``names`` are the columns and their order.

    What is a list in the data is in a table, and in CSV, a text with commas.
    """
    chosen = [{name: row.get(name) for name in names} for row in rows]
    match form:
        case "json":
            click.echo(json.dumps(chosen, indent=2))
        case "yaml":
            import yaml

            # By way of JSON, so that both say the same of values with a type of their own.
            click.echo(yaml.safe_dump(json.loads(json.dumps(chosen)), sort_keys=False), nl=False)
        case "csv":
            click.echo(_csv(names, _flat(chosen)), nl=False)
        case _:
            _table(names, _flat(chosen))


def _flat(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: flat(value) for name, value in row.items()} for row in rows]


def flat(value: Any) -> Any:
    """A list as a text; None for one without anything in it."""
    return ", ".join(map(str, value)) or None if isinstance(value, (list, tuple)) else value


def _csv(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def _table(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, header_style="bold")
    for name in names:
        is_number = bool(rows) and all(isinstance(row[name], (int, float)) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if is_number else "left")
    for row in rows:
        # As text, never as markup: names of servers and flavors are their makers' to choose.
        table.add_row(*(Text(_cell(row[name])) for name in names))
    # In a pipe nobody has a width, and nothing must be cut.
    console = Console()
    (console if console.is_terminal else Console(width=_ENDLESS)).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,.2f}" if isinstance(value, float) else plain(value)


def plain(text: Any) -> str:
    """Without what would move a terminal's cursor or colour it: names and messages are others' to choose."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in str(text))
