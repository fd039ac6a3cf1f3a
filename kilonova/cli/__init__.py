"""The ``kilonova`` command."""

import sys
from importlib import import_module
from typing import Any

import click

from kilonova import __version__
from kilonova.console.errors import CloudError
from kilonova.domain.errors import KilonovaError

_COMMANDS = {
    "up": ("kilonova.cli.up", "Start a cloud on this machine."),
    "doctor": ("kilonova.cli.doctor", "Say whether a cloud can run here, and how to mend what is wrong."),
    "db": ("kilonova.cli.db", "Look after the database."),
    "status": ("kilonova.cli.status", "Say whether the cloud is well."),
    "servers": ("kilonova.cli.servers", "List servers, and what is the matter with them."),
    "events": ("kilonova.cli.events", "Tell what happens, as it happens."),
    "capacity": ("kilonova.cli.capacity", "Say what is taken of what there is."),
    "top": ("kilonova.cli.top", "Watch the cloud live."),
    "completion": ("kilonova.cli.completion", "Teach a shell to complete this command."),
    "console": ("kilonova.cli.console", "Serve the console of a cloud that runs elsewhere."),
    "timeline": ("kilonova.cli.timeline", "Tell what happened to a server."),
    "explain": ("kilonova.cli.explain", "Say why a server, a host or a request is as it is, and what to do."),
    "failures": ("kilonova.cli.failures", "Group what went wrong by its cause."),
    "usage": ("kilonova.cli.usage", "Say what projects used."),
    "audit": ("kilonova.cli.audit", "Tell usage period by period, and prove that all of it was told."),
    "policy": ("kilonova.cli.policy", "Tell who may do what."),
    "feed": ("kilonova.cli.feed", "Look after the sinks that are told what happens."),
    "relay": ("kilonova.cli.relay", "Carry the journal to the sinks, in a process of its own."),
    "image": ("kilonova.cli.image", "Build the guest images that belong to Kilonova."),
}


class _Commands(click.Group):
    """Imports a command only when it is called: a start must not pay for what it does not use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, meaning) for name, (_, meaning) in sorted(_COMMANDS.items())])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kilonova")
def kilonova() -> None:
    """Kilonova: a compute cloud whose state you can always see."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; what cannot work ends with one line on stderr and status 1."""
    try:
        return kilonova.main(args=arguments, prog_name="kilonova")
    except (KilonovaError, CloudError) as error:
        click.echo(f"kilonova: {error.message}", err=True)
        sys.exit(1)
