"""Fixtures of the tests with real clients: one started cloud for all of a module's tests."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.compat.cloud import StartedCloud
from tests.services_available import require_or_skip


def end_guests(below: Path) -> None:
    """End every QEMU that works below a directory: guests outlive the cloud that started them."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, where = (process / "comm").read_text(), (process / "cwd").readlink()
        except OSError:  # it ended while we looked
            continue
        if name.startswith("qemu-system") and where.is_relative_to(below):
            with suppress(ProcessLookupError):  # it ended by itself
                os.kill(int(process.name), signal.SIGKILL)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedCloud]:
    """A cloud on the real driver, started as a user starts it."""
    if shutil.which("qemu-system-x86_64") is None:
        require_or_skip("QEMU is not installed")
    home = tmp_path_factory.mktemp("home")
    started = StartedCloud(home, driver="qemu")
    try:
        started.start()
        yield started
    finally:
        started.close()
        end_guests(home)
