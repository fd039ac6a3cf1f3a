"""``kilonova policy``: who may do what."""

from pathlib import Path

import click
import msgspec

from kilonova.api.policy import BASE, DEFAULTS
from kilonova.api.policy_file import policy_in_force
from kilonova.config import load


@click.group(name="policy")
def command() -> None:
    """Tell who may do what."""


@command.command(name="list")
@click.option("--config-file", "files", type=click.Path(path_type=Path), multiple=True, help="Settings (TOML).")
@click.option("--policy-file", type=click.Path(path_type=Path), help="A policy.yaml, in place of the settings' one.")
@click.option("--own", is_flag=True, help="Only rules that are not as Nova has them by default.")
def list_rules(*, files: tuple[Path, ...], policy_file: Path | None, own: bool) -> None:
    """Print the rules in force as a policy.yaml; what is not Nova's default has the default behind it."""
    given = str(policy_file) if policy_file else None
    settings = load(files, overrides={("oslo_policy", "policy_file"): given})
    policy, doubts = policy_in_force(settings.oslo_policy)
    for name, text in sorted(policy.texts.items()):
        default = {**BASE, **DEFAULTS}.get(name)
        if text != default or not own:
            note = "" if text == default else f"  # by default: {default or 'no such rule'}"
            click.echo(f'"{name}": {msgspec.json.encode(text).decode()}{note}')
    for doubt in doubts:
        click.echo(doubt, err=True)
