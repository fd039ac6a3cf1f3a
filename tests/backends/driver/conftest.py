"""The drivers under test, each in a world of its own that is cleaned up whatever happens."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.drivers import host
from tests.backends.driver.libvirt_hosts import EmulatedHost, need_libvirt
from tests.backends.driver.libvirt_world import Hosts, LibvirtWorld
from tests.backends.driver.worlds import QemuWorld, SimulatedWorld, World
from tests.services_available import require_or_skip


@pytest.fixture(params=["simulated", "qemu", "libvirt"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Each driver in turn."""
    made: World
    if request.param == "libvirt":
        made = LibvirtWorld(tmp_path / "state", request.getfixturevalue("emulated_hosts"))
    elif request.param == "qemu":
        _need_qemu()
        made = QemuWorld(tmp_path / "state")
    else:
        made = SimulatedWorld(tmp_path / "state")
    yield made
    made.clean_up()


@pytest.fixture
def qemu(tmp_path: Path) -> Iterator[QemuWorld]:
    """The qemu driver."""
    _need_qemu()
    made = QemuWorld(tmp_path / "state")
    yield made
    made.clean_up()


@pytest.fixture
def libvirt(tmp_path: Path, emulated_hosts: Hosts) -> Iterator[LibvirtWorld]:
    """The libvirt driver."""
    made = LibvirtWorld(tmp_path / "state", emulated_hosts)
    yield made
    made.clean_up()


@pytest.fixture
def bridge() -> Iterator[str]:
    """A bridge of the host without an address: what is sent there goes nowhere else."""
    name = f"kv{os.getpid() % 10_000_000}"
    subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)  # of a run that was killed
    made = subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=False, capture_output=True, text=True)
    if made.returncode:
        require_or_skip(f"this machine lets nobody make a bridge: {made.stderr}")
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


@pytest.fixture
def bridged(emulated_hosts: Hosts, bridge: str, tmp_path: Path) -> Iterator[LibvirtWorld]:
    """A world whose guests are on the bridge."""
    made = LibvirtWorld(tmp_path / "state", emulated_hosts, bridge=bridge)
    yield made
    made.clean_up()


@pytest.fixture(scope="session")
def emulated_hosts() -> Iterator[Hosts]:
    """Emulated hosts by number, started when they are first asked for."""
    started: dict[int, EmulatedHost] = {}

    def host_of(number: int) -> EmulatedHost:
        if number not in started:
            _need_qemu()
            need_libvirt()
            made = started[number] = EmulatedHost(f"host-{number}")
            made.start()
        return started[number]

    yield host_of
    for made in started.values():
        made.end()
        made.remove()


def _need_qemu() -> None:
    if host.find_qemu() is None:
        require_or_skip(f"QEMU is not installed; {host.INSTALL_LINE}")
