"""``kilonova doctor``: whether a cloud can run on this machine, and how to mend what stands against it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from kilonova.bootstrap_place import present, state_dir_of, url_of
from kilonova.cli.asking import FORMATS, write
from kilonova.cli.checkup import Finding, Status, machine, place
from kilonova.config import Settings, load
from kilonova.domain.errors import Unusable
from kilonova.drivers.mending import find_checkout

_COLUMNS: Final = ("check", "status", "seen", "mend")


@click.command(name="doctor")
@click.option("--driver", help="auto, qemu, libvirt or simulated: which one is to run.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where everything lives, or is to live.")
@click.option("--listen", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--config-file", "files", type=click.Path(path_type=Path), multiple=True, help="Settings (TOML).")
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="table", help="How to write it.")
def command(*, files: tuple[Path, ...], form: str, **wanted: object) -> None:
    """Look at this machine and at what a cloud keeps on it, and say how to mend what is wrong. Nothing is changed.

    Ends with status 1 where something fails, 0 where there are warnings at most.
    """
    found = list(
        _examined(files, {("kilonova", name): str(value) for name, value in wanted.items() if value is not None})
    )
    write(form, _COLUMNS, [{name: getattr(each, name) for name in _COLUMNS} for each in found])
    sys.exit(1 if any(each.status is Status.FAIL for each in found) else 0)


def _examined(files: tuple[Path, ...], wanted: dict[tuple[str, str], str]) -> Iterator[Finding]:
    try:
        settings = load(files, overrides=wanted)
    except Unusable as error:
        yield Finding(check="settings", status=Status.FAIL, seen=error.message, mend="see docs/reference/settings.md")
        return
    yield Finding(check="settings", status=Status.OK, seen="they make sense")
    yield from _of_machine(settings.kilonova.driver)
    if settings.vnc.enabled:
        yield machine.novnc(settings.DEFAULT.web)
    yield from _of_place(settings)


def _of_machine(driver: str) -> Iterator[Finding]:
    yield machine.kvm()
    yield machine.qemu(driver)
    yield machine.libvirt(driver, checkout=find_checkout())
    yield machine.memory()
    yield machine.user()


def _of_place(settings: Settings) -> Iterator[Finding]:
    state_dir = state_dir_of(settings)
    yield from place.directory(state_dir)
    yield place.disk(state_dir)
    yield place.port(settings.kilonova.listen, settings.kilonova.port)
    url = url_of(settings)
    if not settings.database.connection and not state_dir.exists():
        yield machine.clock(present(), None)
        return
    finding, inspected = place.database(url)
    yield finding
    yield machine.clock(present(), None if inspected is None else inspected.newest_at)
    if inspected is not None and inspected.is_current:
        yield place.images(state_dir, url)
    yield place.guests(state_dir)
