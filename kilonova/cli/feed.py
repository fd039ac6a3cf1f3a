"""``kilonova feed``: who is told what happens, and how far they are."""

import json
from typing import Any

import click

from kilonova.cli.asking import asking, connected, write

_COLUMNS = ("name", "kind", "state", "cursor", "lag_rows", "lag_seconds", "delivered", "missing", "last_error")


@click.group(name="feed")
def command() -> None:
    """Look after the sinks that are told what happens."""


@command.command("list")
@asking
def list_(*, os_cloud: str | None, form: str) -> None:
    """Every sink, how far it is, and what is wrong with it."""
    write(form, _COLUMNS, [_row(sink) for sink in connected(os_cloud).state("/sinks")["sinks"]])


@command.command()
@asking
@click.argument("name")
def show(*, os_cloud: str | None, form: str, name: str) -> None:
    """One sink, with its settings, what it was not told, and its latest deliveries."""
    sink = connected(os_cloud).state(f"/sinks/{name}")["sink"]
    if form != "table":
        write(form, tuple(sink), [sink])
        return
    write(form, ("field", "value"), [{"field": key, "value": _told(value)} for key, value in sink.items()])


@command.command()
@asking
@click.argument("name")
@click.option("--kind", type=click.Choice(["amqp", "file", "webhook"]), required=True, help="What kind of sink.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting; may be repeated.")
@click.option("--after", type=int, help="Tell it everything beyond this number; what is new from now on without.")
def add(*, os_cloud: str | None, form: str, name: str, kind: str, settings: tuple[str, ...], after: int | None) -> None:
    """Make a sink."""
    wanted: dict[str, Any] = {"name": name, "kind": kind, "settings": dict(map(_setting, settings))}
    if after is not None:
        wanted["after"] = after
    made = connected(os_cloud).state("/sinks", method="POST", body={"sink": wanted})
    write(form, _COLUMNS, [_row(made["sink"])])


@command.command()
@asking
@click.argument("name")
def pause(*, os_cloud: str | None, form: str, name: str) -> None:
    """Have a sink wait; it catches up when it is resumed."""
    _act(os_cloud, form, name, {"pause": None})


@command.command()
@asking
@click.argument("name")
def resume(*, os_cloud: str | None, form: str, name: str) -> None:
    """Have a sink go on, at once also where it failed."""
    _act(os_cloud, form, name, {"resume": None})


@command.command()
@asking
@click.argument("name")
@click.option("--to", "to_seq", type=int, required=True, help="The last number that it counts as told of.")
def rewind(*, os_cloud: str | None, form: str, name: str, to_seq: int) -> None:
    """Have a sink told everything beyond a number once more, with the same message ids."""
    _act(os_cloud, form, name, {"rewind": {"to": to_seq}})


@command.command()
@asking
@click.argument("name")
@click.option("--after", type=int, required=True, help="The number before the first.")
@click.option("--to", "to_seq", type=int, required=True, help="The last number.")
def resend(*, os_cloud: str | None, form: str, name: str, after: int, to_seq: int) -> None:
    """Send some rows once more without moving the sink's place."""
    body = {"resend": {"after": after, "to": to_seq}}
    found = connected(os_cloud).state(f"/sinks/{name}/action", method="POST", body=body)
    write(form, ("delivery",), [found])


@command.command()
@click.option("--os-cloud", help="Which cloud of clouds.yaml; $OS_CLOUD, or this machine's own.")
@click.argument("name")
def delete(*, os_cloud: str | None, name: str) -> None:
    """Remove a sink."""
    connected(os_cloud).state(f"/sinks/{name}", method="DELETE")


def _act(os_cloud: str | None, form: str, name: str, body: dict[str, Any]) -> None:
    changed = connected(os_cloud).state(f"/sinks/{name}/action", method="POST", body=body)
    write(form, _COLUMNS, [_row(changed["sink"])])


def _row(sink: dict[str, Any]) -> dict[str, Any]:
    return {**sink, "lag_rows": sink["lag"]["rows"], "lag_seconds": sink["lag"]["seconds"]}


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _setting(text: str) -> tuple[str, Any]:
    """A value is taken as JSON where it is a number or a truth, else as text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text} is no NAME=VALUE")
    try:
        read = json.loads(value)
    except ValueError:
        read = value
    return name, read if isinstance(read, int | float) else value
