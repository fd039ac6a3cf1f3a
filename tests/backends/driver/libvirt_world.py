"""The libvirt driver under test, on an emulated host."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from kilonova.drivers.instances.definition import Definition, save_definition
from kilonova.drivers.libvirt.driver import LibvirtDriver
from kilonova.drivers.protocol import GuestSpec
from kilonova.drivers.settings import LibvirtSettings
from tests.backends.driver.libvirt_hosts import EmulatedHost
from tests.backends.driver.worlds import NODE, World
from tests.waiting import wait_until

Hosts = Callable[[int], EmulatedHost]
"""Emulated hosts by number."""


class LibvirtWorld(World):
    """The libvirt driver, with real machines, on one of the hosts, which are there for longer than one world."""

    def __init__(self, state_dir: Path, hosts: Hosts, *, number: int = 1, **settings: Any) -> None:
        self.host = hosts(number)
        self._hosts = hosts
        self._number = number
        self._lines: list[int] = []
        self._settings = LibvirtSettings(**settings)
        super().__init__(state_dir)

    @property
    def instances(self) -> Path:
        """Where the guests' directories are."""
        return self.state_dir.resolve() / "instances"

    def make(self) -> LibvirtDriver:
        return LibvirtDriver(state_dir=self.state_dir, node=NODE, uri=self.host.uri, settings=self._settings)

    def another(self, state_dir: Path) -> "LibvirtWorld":
        return LibvirtWorld(state_dir, self._hosts, number=self._number + 1)

    def crash(self, uuid: str) -> None:
        self.signal(uuid, signal.SIGKILL)

    def signal(self, uuid: str, number: signal.Signals) -> None:
        """Send the guest's QEMU a signal."""
        os.kill(self.host.pids()[uuid], number)

    def shut_down_from_inside(self, uuid: str) -> None:
        self.type_in(uuid, b"\x04")

    def reset_from_inside(self, uuid: str) -> None:
        self.type_in(uuid, b"\x12")

    def type_in(self, uuid: str, keys: bytes) -> None:
        """Send the guest bytes by its serial line."""
        import libvirt

        connection = libvirt.open(self.host.uri)
        described = ET.fromstring(connection.lookupByUUIDString(uuid).XMLDesc(0))  # noqa: S314 - libvirt's own words
        connection.close()
        source = described.find("devices/serial/source")
        assert source is not None
        line = os.open(source.get("path", ""), os.O_WRONLY | os.O_NOCTTY)
        self._lines.append(line)  # QEMU notices somebody on the line within a second, and reads only then
        os.write(line, keys)

    def leave_half_made(self, spec: GuestSpec) -> None:
        directory = self.instances / spec.uuid
        directory.mkdir()
        save_definition(directory, Definition.of(spec))
        (directory / "root.qcow2").write_bytes(b"half a disk")

    def clean_up(self) -> None:
        super().clean_up()
        for line in self._lines:
            os.close(line)
        left = set(self.host.pids())
        assert not left, f"QEMU was left running: {left}"

    def await_no_process(self, uuid: str) -> None:
        """Wait until the guest's QEMU is gone."""
        wait_until(lambda: uuid not in self.host.pids(), "the end of QEMU")
