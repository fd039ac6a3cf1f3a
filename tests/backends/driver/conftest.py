"""The drivers under test, each in a world of its own that is cleaned up whatever happens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.drivers import host
from tests.backends.driver.worlds import QemuWorld, SimulatedWorld, World
from tests.services_available import require_or_skip


@pytest.fixture(params=["simulated", "qemu"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Each driver in turn."""
    if request.param == "qemu":
        _need_qemu()
    made: World = QemuWorld(tmp_path / "state") if request.param == "qemu" else SimulatedWorld(tmp_path / "state")
    yield made
    made.clean_up()


@pytest.fixture
def qemu(tmp_path: Path) -> Iterator[QemuWorld]:
    """The qemu driver."""
    _need_qemu()
    made = QemuWorld(tmp_path / "state")
    yield made
    made.clean_up()


def _need_qemu() -> None:
    if host.find_qemu() is None:
        require_or_skip(f"QEMU is not installed; {host.INSTALL_LINE}")
