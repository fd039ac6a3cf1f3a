"""``kilonova events``: the journal, as a list or as it grows."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from kilonova.cli.asking import ServerName, asking_once, connected, plain, write
from kilonova.console import board
from kilonova.console.client import BEYOND_ALL, Client
from kilonova.console.errors import CloudError

COLUMNS: Final = ("seq", "at", "topic", "of", "cause", "request_id")
_PAGE: Final = 1000
_WAIT_SECONDS: Final = 20
_PAUSE_SECONDS: Final = 2.0
_INTERRUPTED: Final = 130


@click.command(name="events")
@asking_once
@click.option("-F", "--follow", is_flag=True, help="Go on with what happens from now on, until Ctrl-C.")
@click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="Begin beyond this number.")
@click.option("-n", "--last", type=click.IntRange(min=0), default=20, show_default=True, help="Else, so many of them.")
@click.option("--topic", "topics", multiple=True, help="Such as instance, instance.stop or instance.stop.end.")
@click.option("--server", type=ServerName(), help="Only those of this server.")
@click.option("--project", help="Only those of this project.")
def command(*, os_cloud: str | None, form: str, follow: bool, after: int | None, last: int, **wanted: Any) -> None:
    """Tell what happened, the oldest first. What was forgotten in between is said on stderr.

    While it follows, json is a document a line, and a cloud that goes away is waited for.
    """
    client = connected(os_cloud)
    among = chosen(client, **wanted)
    if after is None:
        found, begin = latest(client, among, last)
    else:
        found, begin = _beyond(client, among, after)
    if not follow:
        write(form, COLUMNS, found)
        return
    try:
        told = _Lines(form)
        told.write(found)
        for rows in following(client, among, begin):
            told.write(rows)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def chosen(client: Client, *, topics: tuple[str, ...], server: str | None, project: str | None) -> dict[str, Any]:
    """What the journal is asked for."""
    among: dict[str, Any] = {"topic": list(topics)} if topics else {}
    among |= {"server": board.get_server_id(client, server)} if server else {}
    return among | ({"project": client.get_project(project)} if project else {})


def latest(client: Client, among: Mapping[str, Any], last: int) -> tuple[list[dict[str, Any]], int]:
    """The last rows that match, and where to go on."""
    page = client.state("/events", after=BEYOND_ALL, limit=1)
    onward, before = int(page["head"]), int(page["head"]) + 1
    found: list[dict[str, Any]] = []
    while len(found) < last:
        limit = min(last - len(found), _PAGE)
        page = client.state("/events", before=before, limit=limit, **among)
        found = [*_rows(page), *found]
        if len(page["events"]) < limit:
            break
        before = page["events"][0]["seq"]
    return found, onward


def _beyond(client: Client, among: Mapping[str, Any], after: int) -> tuple[list[dict[str, Any]], int]:
    found: list[dict[str, Any]] = []
    while True:
        page = client.state("/events", after=after, limit=_PAGE, **among)
        found += _rows(page)
        after = int(page["next"])
        if len(page["events"]) < _PAGE:
            return found, after


def following(client: Client, among: Mapping[str, Any], after: int) -> Iterator[list[dict[str, Any]]]:
    """What comes beyond a number, page by page and for ever; a cloud that is away is waited for."""
    is_away = False
    while True:
        try:
            page = client.state("/events", after=after, limit=_PAGE, wait=_WAIT_SECONDS, **among)
        except CloudError as error:
            if error.status is not None and error.status < 500:
                raise
            if not is_away:
                click.echo(f"kilonova: {error.message}; waiting for it", err=True)
            is_away = True
            time.sleep(_PAUSE_SECONDS)
            continue
        is_away, after = False, int(page["next"])
        yield _rows(page)


def _rows(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    if page["gap"]:
        gap = page["gap"]
        click.echo(f"kilonova: rows beyond {gap['after']} up to {gap['to']} were forgotten", err=True)
    return [_row(each) for each in page["events"]]


def _row(event: Mapping[str, Any]) -> dict[str, Any]:
    snapshot = event.get("snapshot") or {}
    name = snapshot.get("display_name") or snapshot.get("name") or event["key"]
    same = {key: event[key] for key in ("seq", "topic", "cause", "request_id")}
    return {**same, "at": event["occurred_at"], "of": name, "key": event["key"]}


class _Lines:
    """Rows as they come, in a form that can go on for ever."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._is_begun = False

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Some more of them."""
        for row in rows:
            click.echo(self._line(row), nl=self._form != "yaml")
        sys.stdout.flush()

    def _line(self, row: Mapping[str, Any]) -> str:
        told = {name: row[name] for name in COLUMNS}
        match self._form:
            case "json":
                return json.dumps(told)
            case "yaml":
                import yaml

                return str(yaml.safe_dump([told], sort_keys=False))
            case "csv":
                return self._csv(told)
            case _:
                at = click.style(str(row["at"])[:19], dim=True)
                return f"{row['seq']:>8}  {at}  {click.style(row['topic'], bold=True)}  {plain(row['of'])}"

    def _csv(self, told: Mapping[str, Any]) -> str:
        import csv
        import io

        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        if not self._is_begun:
            table.writeheader()
        self._is_begun = True
        table.writerow(told)
        return text.getvalue().rstrip("\n")
