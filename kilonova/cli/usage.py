"""``kilonova usage``: what was used, for people who write bills."""

from datetime import UTC, datetime
from typing import Any

import click

from kilonova.cli.asking import asking, connected, write
from kilonova.console import board
from kilonova.console.client import Client

_AMOUNTS = ("servers", "hours", "vcpu_hours", "memory_mb_hours", "disk_gb_hours")
COLUMNS = ("project", "flavor", *_AMOUNTS)


@click.group(name="usage")
def command() -> None:
    """Say what projects used."""


@command.command()
@asking
@click.option("--project", help="Name or id of a project; all that you may see without.")
@click.option("--month", help="Such as 2026-11; this month without.")
@click.option(
    "--by",
    "groups",
    type=click.Choice(["project", "flavor", "state", "day"]),
    multiple=True,
    default=("project", "flavor"),
    show_default=True,
    help="What to tell it by; may be repeated.",
)
@click.option("--difference", is_flag=True, help="Say why Nova's usage report has other hours.")
def report(
    *,
    os_cloud: str | None,
    form: str,
    project: str | None,
    month: str | None,
    groups: tuple[str, ...],
    difference: bool,
) -> None:
    """Exact usage of a month, as it was used: from what servers had at each moment of it."""
    window = _month(month)
    client = connected(os_cloud)
    if project:
        window["project"] = client.get_project(project)
    if difference:
        _write_differences(form, _named(client, client.state("/usage/difference", **window)["differences"]))
        return
    found = client.state("/usage", group_by=",".join(groups), **window)["usage"]
    names = (*groups, *(["project_id"] if "project" in groups and form != "table" else []), *_AMOUNTS)
    write(form, names, _named(client, found))


def rows(client: Client, *, month: str | None, own: bool) -> list[dict[str, Any]]:
    """What was used in a month (this one without), by project and flavor; of another Nova, as it reports it itself.

    CloudError for what is no month.
    """
    found = board.usage(client, all_projects=not own, month=month or "")
    return [{**row, "project": row["name"]} for row in found.rows]


def _named(client: Client, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Projects by their names, as people know them, with the ids beside."""
    names = client.list_projects() if any("project" in row for row in rows) else {}
    return [
        {**row, "project": names.get(row["project"], row["project"]), "project_id": row["project"]}
        if "project" in row
        else row
        for row in rows
    ]


def _write_differences(form: str, differences: list[dict[str, Any]]) -> None:
    causes = ("nova", "exact", "before_launch", "resized", "unexplained")
    rows = [
        {"project": found["project"], "amount": amount, **{cause: found[cause][amount] for cause in causes}}
        for found in differences
        for amount in _AMOUNTS[1:]
    ]
    write(form, ("project", "amount", *causes), rows)


def _month(text: str | None) -> dict[str, str]:
    """The first moment of a month and that of the next one; nothing for this month, which the cloud itself knows."""
    if text is None:
        return {}
    try:
        first = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no month, such as 2026-11.", param_hint="--month") from error
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return {"start": f"{first:%Y-%m-%d}", "end": f"{after:%Y-%m-%d}"}
