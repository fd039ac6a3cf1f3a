"""``kilonova relay``: carry the journal to the sinks, in a process of its own."""

import signal
import threading
from pathlib import Path

import click

from kilonova.bootstrap import build_relay
from kilonova.cli.logs import log_to
from kilonova.config import load


@click.command(name="relay")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where everything lives.")
@click.option("--config-file", "files", type=click.Path(path_type=Path), multiple=True, help="Settings (TOML).")
@click.option("--debug", is_flag=True, help="Log more, and to the terminal too.")
def command(*, state_dir: Path | None, files: tuple[Path, ...], debug: bool) -> None:
    """Carry the journal to the sinks until a signal comes; any number of relays may run on one database."""
    where = str(state_dir) if state_dir else None
    database, relay = build_relay(load(files, overrides={("kilonova", "state_dir"): where}))
    if state_dir:
        log_to(state_dir / "relay.log", debug=debug)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    relay.start()
    click.echo("The relay runs. Ctrl-C stops it.")
    ended.wait()
    relay.stop()
    database.close()
