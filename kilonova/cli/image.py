"""``kilonova image``: the guest images that belong to Kilonova."""

from pathlib import Path

import click

from kilonova.domain.errors import Unusable


@click.group(name="image")
def command() -> None:
    """Build the guest images that belong to Kilonova."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
def tiny(file: Path) -> None:
    """Write the tiny guest, a raw disk of 1 MiB that boots in a quarter second, to FILE."""
    from kilonova.images.guests.tiny import image

    _write(file, image())


@command.command(name="tiny-kernel")
@click.argument("file", type=click.Path(path_type=Path))
def tiny_kernel(file: Path) -> None:
    """Write the tiny kernel, for images that name a kernel, to FILE: it tells what it is given and boots the disk."""
    from kilonova.images.guests.tiny_kernel import image

    _write(file, image())


def _write(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        raise Unusable(f"{file} cannot be written: {error.strerror}.") from error
    click.echo(f"Wrote {file}.")
