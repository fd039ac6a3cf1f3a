"""``kilonova completion``: what a shell has to know to complete the command."""

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")
_HOW = {
    "bash": 'eval "$(kilonova completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(kilonova completion zsh)"   in ~/.zshrc',
    "fish": "kilonova completion fish > ~/.config/fish/completions/kilonova.fish",
}


@click.command(name="completion", epilog="\b\n" + "\n".join(_HOW.values()))
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> None:
    """Write the script by which SHELL completes commands, options and names of servers."""
    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover - click knows all three
        raise click.UsageError(f"There is no completion for {shell}.")
    click.echo(kind(ctx.find_root().command, {}, "kilonova", "_KILONOVA_COMPLETE").source())
