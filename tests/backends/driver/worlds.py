"""A driver under test, and ways to let things happen to its guests behind its back."""

import contextlib
import hashlib
import itertools
import json
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from kilonova.drivers.instances.cards import Command, Patience, refusals_ignored
from kilonova.drivers.instances.definition import Definition, save_definition
from kilonova.drivers.protocol import (
    CanInterrupt,
    CanOpenConsole,
    CanPlug,
    CanReadConsole,
    CanRescue,
    CanSnapshot,
    CanSuspend,
    Driver,
    GuestEvent,
    GuestEventKind,
    GuestSpec,
    ImageSource,
    Nic,
)
from kilonova.drivers.qemu import QemuDriver, process
from kilonova.drivers.simulated import Instant, SimulatedDriver
from kilonova.drivers.simulated.shelf import Shelf, SimulatedGuest
from kilonova.images.guests import tiny
from tests.waiting import wait_until

NODE = "host-1"
_ETHERNET = 0x0200  # the class of such cards on the PCI bus
_NUMBERS = itertools.count(1)


class ConsoleDriver(
    Driver, CanReadConsole, CanOpenConsole, CanSuspend, CanRescue, CanSnapshot, CanInterrupt, CanPlug, Protocol
):
    """What all drivers are."""


def image_of(
    data: bytes,
    disk_format: str = "qcow2",
    *,
    image_id: str = "11111111-2222-4333-8444-555555555555",
    fetch: Callable[[Path], None] | None = None,
) -> ImageSource:
    """An image that is registered with the size and checksum of these bytes."""

    def write(path: Path) -> None:
        path.write_bytes(data)

    return ImageSource(
        image_id=image_id,
        disk_format=disk_format,
        size_bytes=len(data),
        sha512=hashlib.sha512(data).hexdigest(),
        fetch=fetch or write,
    )


def guest_spec(**changes: object) -> GuestSpec:
    """A tiny guest with a new uuid."""
    spec = GuestSpec(
        uuid=str(uuid.uuid4()),
        name=f"instance-{next(_NUMBERS):08x}",
        display_name="web, 1",
        project_id="p" * 32,
        user_id="u" * 32,
        vcpus=1,
        memory_mb=16,
        root_gb=0,
        image=image_of(tiny.qcow2_image()),
        nics=(Nic(mac="fa:16:3e:00:00:01", address="10.20.30.40", label="private"),),
        hostname="web-1",
    )
    return replace(spec, **changes)  # type: ignore[arg-type]


_PATIENCE = Patience(2, 20.0)
_SHORT = Patience(2, 2.0)


class World:
    """A state directory and the driver over it; ``events`` is what its listener was told.

    ``patience`` is how long the driver's guests may take to let go of a card: enough for every one that does at all.
    """

    patience = _PATIENCE

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.events: list[GuestEvent] = []
        self.driver = self._start()

    def another(self, state_dir: Path) -> "World":
        """Another host of the same kind."""
        return type(self)(state_dir)

    def make(self) -> ConsoleDriver:
        """A driver over the state directory, not started."""
        raise NotImplementedError

    def crash(self, uuid: str) -> None:
        """Let the guest's machine end as by kill -9."""
        raise NotImplementedError

    def shut_down_from_inside(self, uuid: str) -> None:
        """Let the guest switch itself off."""
        raise NotImplementedError

    def reset_from_inside(self, uuid: str) -> None:
        """Let the guest reboot itself."""
        raise NotImplementedError

    def macs_of(self, uuid: str) -> list[str]:
        """The MAC addresses of the cards that the guest's machine has now, in the order of their slots."""
        command, found = self.monitor(uuid), []
        for path in self.cards_of(uuid):
            with refusals_ignored():  # one that went since they were listed
                found.append(command("qom-get", {"path": path, "property": "mac"}))
        return found

    def cards_of(self, uuid: str) -> list[str]:
        """Where the objects of these cards are in QEMU, in the same order."""
        return [f"/machine/peripheral/{name}" for _, name in self._cards(uuid)]

    def slots_of(self, uuid: str) -> list[str]:
        """The PCI slots of these cards."""
        return [str(slot) for slot, _ in self._cards(uuid)]

    def _cards(self, uuid: str) -> list[tuple[int, str]]:
        (bus,) = self.monitor(uuid)("query-pci", {})
        found = [each for each in bus["devices"] if each["class_info"]["class"] == _ETHERNET and each["qdev_id"]]
        return sorted((each["slot"], each["qdev_id"]) for each in found)

    def monitor(self, uuid: str) -> Command:
        """The monitor of the guest's QEMU, where there is one."""
        raise NotImplementedError

    def leave_half_made(self, spec: GuestSpec) -> None:
        """Leave what a spawn leaves that is killed on its way. No driver may be running."""
        raise NotImplementedError

    def restart(self) -> None:
        """Close the driver and start another one over the same state."""
        self.driver.close()
        self.driver = self._start()

    def lose_patience(self, patience: Patience = _SHORT) -> None:
        """Start a driver that does not wait long for a card, for guests that never let go of one."""
        self.patience = patience
        self.restart()

    def spawn_ready(self, spec: GuestSpec) -> str:
        """Spawn and wait until the guest is up; gives its uuid."""
        self.driver.spawn(spec)
        self.await_boots(spec.uuid, 1)
        return spec.uuid

    def await_boots(self, uuid: str, number: int) -> str:
        """Wait until the guest says that it is up for that many times; gives its whole console log."""

        def ready() -> str:
            text = self.driver.console_log(uuid, lines=None)
            return text if f"READY boots={number}\n" in text else ""

        return wait_until(ready, f"boot {number} of the guest")

    def await_boot_count(self, uuid: str, number: int, times: int) -> None:
        """Wait until it said so many times that some disk of it was booted for that number of times."""
        line = f"READY boots={number}\n"
        wait_until(lambda: self.driver.console_log(uuid, lines=None).count(line) >= times, f"{times} times {line}")

    def await_event(self, uuid: str, kind: GuestEventKind) -> GuestEvent:
        """Wait until the listener was told of it."""

        def told() -> list[GuestEvent]:
            return [event for event in self.events if (event.uuid, event.kind) == (uuid, kind)]

        return wait_until(told, f"the event {kind}")[0]

    def clean_up(self) -> None:
        """Leave nothing that runs."""
        for left in self.driver.list_guests():
            self.driver.destroy(left)
        self.driver.close()

    def _start(self) -> ConsoleDriver:
        driver = self.make()
        driver.start(self.events.append)
        return driver


class SimulatedWorld(World):
    """The simulated driver, in which nothing takes time."""

    def make(self) -> SimulatedDriver:
        return SimulatedDriver(nodes=(NODE,), state_dir=self.state_dir, pace=Instant())

    def crash(self, uuid: str) -> None:
        self._simulated().befall(uuid, GuestEventKind.CRASHED)

    def shut_down_from_inside(self, uuid: str) -> None:
        self._simulated().befall(uuid, GuestEventKind.STOPPED)

    def reset_from_inside(self, uuid: str) -> None:
        self._simulated().befall(uuid, GuestEventKind.RESET)

    def macs_of(self, uuid: str) -> list[str]:
        return self._simulated()._guests[uuid].macs  # noqa: SLF001

    def leave_half_made(self, spec: GuestSpec) -> None:
        Shelf(self.state_dir / "guests").put(
            SimulatedGuest(
                uuid=spec.uuid,
                name=spec.name,
                display_name=spec.display_name,
                vcpus=spec.vcpus,
                memory_mb=spec.memory_mb,
                root_gb=spec.root_gb,
                metadata={},
            )
        )

    def _simulated(self) -> SimulatedDriver:
        assert isinstance(self.driver, SimulatedDriver)
        return self.driver


class SteppedQemuDriver(QemuDriver):
    """One that tends its guests when it is told to, and not now and then by itself."""

    def tend(self) -> None:
        """Tend them once."""
        super()._tend()

    def _tend(self) -> None:
        """Not by itself."""


class QemuWorld(World):
    """The qemu driver, with real machines."""

    driver_class = QemuDriver

    @property
    def instances(self) -> Path:
        """Where the guests' directories are."""
        return self.state_dir.resolve() / "instances"

    def make(self) -> QemuDriver:
        return self.driver_class(state_dir=self.state_dir, node=NODE, patience=self.patience)

    def crash(self, uuid: str) -> None:
        self.signal(uuid, signal.SIGKILL)

    def signal(self, uuid: str, number: signal.Signals) -> None:
        """Send the guest's QEMU a signal."""
        with self.processes() as running:
            signal.pidfd_send_signal(running[uuid].pidfd, number)

    def pids(self) -> dict[str, int]:
        """The QEMUs that run, by guest."""
        with self.processes() as running:
            return {uuid: held.pid for uuid, held in running.items()}

    @contextlib.contextmanager
    def processes(self) -> Iterator[dict[str, process.QemuProcess]]:
        """The QEMUs that run, held for as long as the context lasts."""
        running = process.find_processes(self.instances)
        try:
            yield running
        finally:
            for held in running.values():
                held.release()

    def shut_down_from_inside(self, uuid: str) -> None:
        self.type_in(uuid, b"\x04")

    def reset_from_inside(self, uuid: str) -> None:
        self.type_in(uuid, b"\x12")

    def monitor(self, uuid: str) -> Command:
        assert isinstance(self.driver, QemuDriver)
        machine = self.driver._guests[uuid]._machine  # noqa: SLF001
        assert machine is not None
        return machine.command

    def type_in(self, uuid: str, keys: bytes) -> None:
        """Send the guest bytes by its serial line, and see that it has read them."""
        with self.serial_line(uuid) as line, contextlib.suppress(ConnectionResetError):
            line.sendall(keys)
            line.shutdown(socket.SHUT_WR)
            while line.recv(4096):  # QEMU hangs up when the guest has taken all
                pass

    def serial_line(self, uuid: str) -> socket.socket:
        """The other end of the guest's serial line."""
        return process.connect(self.instances / uuid, "serial.sock", timeout_seconds=60)

    def leave_half_made(self, spec: GuestSpec) -> None:
        directory = self.instances / spec.uuid
        directory.mkdir()
        save_definition(directory, Definition.of(spec))
        (directory / "root.qcow2").write_bytes(b"half a disk")

    def leave_copy_behind(self, uuid: str, target: Path) -> None:
        """Close the driver and leave what one leaves that is killed while it copies a disk of 1 GiB."""
        self.driver.close()
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(target), "1G"], check=True)
        node = {"driver": "qcow2", "node-name": "kilonova-copy", "file": {"driver": "file", "filename": str(target)}}
        backup = {"job-id": "kilonova-copy", "device": "root", "target": "kilonova-copy", "sync": "full", "speed": 1}
        self.tell_qemu(uuid, ("blockdev-add", node), ("blockdev-backup", backup))

    def tell_qemu(self, uuid: str, *commands: tuple[str, Mapping[str, Any]], until: str = "") -> None:
        """Have the guest's QEMU run commands, and wait for an event, while no driver listens to it."""
        with process.connect(self.instances / uuid, "qmp.sock", timeout_seconds=60) as line:
            talk = line.makefile("rw")
            told = map(json.loads, talk)
            for name, arguments in (("qmp_capabilities", {}), *commands):
                talk.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
                talk.flush()
                reply = next(each for each in told if {"return", "error"} & set(each))
                assert "error" not in reply, reply
            if until:
                next(each for each in told if each.get("event") == until)

    def clean_up(self) -> None:
        super().clean_up()
        with self.processes() as running:
            for left in running.values():
                left.kill()
        assert not running, f"QEMU was left running: {running}"
