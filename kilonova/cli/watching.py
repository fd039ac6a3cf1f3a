"""``--watch``: the same command again and again, until Ctrl-C."""

import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import click

from kilonova.console.errors import CloudError

_INTERRUPTED: Final = 130
"""What a shell says of a program that Ctrl-C ended."""


def watched(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``-w/--watch SECONDS``. What it ends with counts only without it."""

    @wraps(command)
    def run(*, watch: float | None, **given: Any) -> Any:
        return command(**given) if watch is None else _again(lambda: command(**given), watch)

    seconds = click.FloatRange(min=0.1)
    return click.option("-w", "--watch", type=seconds, metavar="SECONDS", help="Again every so often, until Ctrl-C.")(
        run
    )


def _again(act: Callable[[], Any], seconds: float) -> None:
    try:
        while True:
            if sys.stdout.isatty():
                click.clear()
            _once(act)
            time.sleep(seconds)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _once(act: Callable[[], Any]) -> None:
    """What goes wrong is said, and may be well the next time."""
    try:
        act()
    except CloudError as error:
        click.echo(f"kilonova: {error.message}", err=True)
    except SystemExit:
        return
