"""``kilonova db``: look after the database."""

from pathlib import Path

import click

from kilonova.bootstrap import upgrade_database
from kilonova.config import load


@click.group(name="db")
def command() -> None:
    """Look after the database."""


@command.command()
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where everything lives.")
@click.option("--config-file", "files", type=click.Path(path_type=Path), multiple=True, help="Settings (TOML).")
def upgrade(*, files: tuple[Path, ...], state_dir: Path | None) -> None:
    """Bring the database's schema up to this version; one that is current is left as it is."""
    where = str(state_dir) if state_dir else None
    upgrade_database(load(files, overrides={("kilonova", "state_dir"): where}))
    click.echo("The database is up to date.")
