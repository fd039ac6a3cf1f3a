"""The libvirt driver under test, on an emulated host."""

import os
import signal
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from kilonova.drivers.instances.cards import Command
from kilonova.drivers.instances.definition import Definition, save_definition
from kilonova.drivers.libvirt.driver import LibvirtDriver
from kilonova.drivers.libvirt.plugging import monitor_of
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
        self._given = settings
        super().__init__(state_dir)

    @property
    def instances(self) -> Path:
        """Where the guests' directories are."""
        return self.state_dir.resolve() / "instances"

    def make(self) -> LibvirtDriver:
        settings = LibvirtSettings(
            device_detach_attempts=self.patience.attempts,
            device_detach_timeout=int(self.patience.seconds),
            **self._given,
        )
        return LibvirtDriver(state_dir=self.state_dir, node=NODE, uri=self.host.uri, settings=settings)

    def another(self, state_dir: Path) -> "LibvirtWorld":
        return LibvirtWorld(state_dir, self._hosts, number=self._number + 1, **self._given)

    def crash(self, uuid: str) -> None:
        self.signal(uuid, signal.SIGKILL)

    def signal(self, guest: str, number: signal.Signals) -> None:
        """Send the guest's QEMU a signal."""
        os.kill(self.host.pids()[guest], number)

    def shut_down_from_inside(self, uuid: str) -> None:
        self.type_in(uuid, b"\x04")

    def reset_from_inside(self, uuid: str) -> None:
        self.type_in(uuid, b"\x12")

    def type_in(self, uuid: str, keys: bytes) -> None:
        """Send the guest bytes by its serial line."""
        with self.host.domain(uuid) as domain:
            described = ET.fromstring(domain.XMLDesc(0))  # noqa: S314 - libvirt's own words
        source = described.find("devices/serial/source")
        assert source is not None
        line = os.open(source.get("path", ""), os.O_WRONLY | os.O_NOCTTY)
        self._lines.append(line)  # QEMU notices somebody on the line within a second, and reads only then
        os.write(line, keys)

    def monitor(self, uuid: str) -> Command:
        def command(name: str, arguments: Mapping[str, Any]) -> Any:
            with self.host.domain(uuid) as domain:
                return monitor_of(domain)(name, arguments)

        return command

    def remove_behind_back(self, uuid: str) -> None:
        """Switch the guest off and have libvirt forget it, as ``virsh`` does."""
        with self.host.domain(uuid) as domain:
            domain.destroy()
            domain.undefine()

    def metadata_of(self, uuid: str) -> str:
        """What whoever looks for Nova's own metadata finds."""
        with self.host.domain(uuid) as domain:
            return str(domain.metadata(2, "http://openstack.org/xmlns/libvirt/nova/1.1", 0))

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


class Foreigner:
    """A domain that is not ours, defined and off."""

    def __init__(self, host: EmulatedHost, *, name: str = "") -> None:
        self.uuid = str(uuid.uuid4())
        self.name = name or f"foreign-{self.uuid[:8]}"
        self._host = host
        self._described = (
            f"<domain type='qemu'><name>{self.name}</name><uuid>{self.uuid}</uuid><description>not yours</description>"
            "<memory unit='MiB'>16</memory><os><type arch='x86_64'>hvm</type></os></domain>"
        )
        with host.connection() as connection:
            connection.defineXML(self._described)

    @property
    def is_untouched(self) -> bool:
        """Whether it is as it was made."""
        with self._host.domain(self.uuid) as domain:
            return domain.name() == self.name and "not yours" in domain.XMLDesc(0) and not domain.isActive()

    def remove(self) -> None:
        """Undefine it, if it is there."""
        with self._host.connection() as connection:
            for domain in connection.listAllDomains():
                if domain.UUIDString() == self.uuid:
                    domain.undefine()
