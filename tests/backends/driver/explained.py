"""Failures of real machines: what is injected into QEMU, libvirt or the disks below, on a cloud of one host."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kilonova.drivers.qemu import process
from tests.backends.driver.images import cut_off_qcow2, qcow2_of_size
from tests.backends.driver.libvirt_hosts import EmulatedHost
from tests.backends.driver.libvirt_world import Foreigner
from tests.plane.house import House
from tests.waiting import wait_until

_CRASHED, _OFF = 6, 4
_STOP = {"os-stop": None}
_START = {"os-start": None}


@dataclass(slots=True)
class Machines:
    """The cloud and what is below it. ``place`` is the driver's directory; ``host`` is libvirt's."""

    house: House
    place: Path
    host: EmulatedHost | None = None

    @property
    def instances(self) -> Path:
        """Where the guests' directories are."""
        return self.place / "instances"

    def boot(self, **wanted: Any) -> str:
        """A server without a disk size of its own; its guest has written to its console unless it is in error."""
        if self.house.call("GET", "/flavors/bare").status_code == 404:
            bare = {"name": "bare", "id": "bare", "vcpus": 1, "ram": 16, "disk": 0}
            assert self.house.call("POST", "/flavors", {"flavor": bare}).status_code == 200
        server = self.house.boot("web1", **{"flavorRef": "bare", **wanted})
        if server["status"] == "ACTIVE":
            wait_until(lambda: "READY boots=1" in self.house.console(server["id"]), "the guest's first words")
        return str(server["id"])

    def stopped(self) -> str:
        """A server that ran once and is off."""
        server = self.boot()
        self.act(server, _STOP)
        assert self.house.show(server)["status"] == "SHUTOFF"
        return server

    def act(self, server: str, action: dict[str, Any]) -> str:
        """Have something done to a server, which is given."""
        reply = self.house.act(server, action)
        assert reply.status_code == 202, reply.text
        self.house.settle()
        return server

    def kill(self, server: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the server's QEMU a signal."""
        if self.host is not None:
            os.kill(self.host.pids()[server], number)
            return
        running = process.find_processes(self.instances)
        signal.pidfd_send_signal(running[server].pidfd, number)
        for held in running.values():
            held.release()

    def becomes(self, server: str, power: int) -> str:
        """Wait until the cloud knows what became of the server, which is given."""

        def is_so() -> bool:
            for agent in self.house.cloud.plane.agents:
                agent.compare()
            return bool(self.house.show(server)["OS-EXT-STS:power_state"] == power)

        wait_until(is_so, f"power state {power}")
        return server

    def upload(self, data: bytes) -> str:
        """An image of these bytes that claims to be qcow2; its id."""
        told = {"name": "odd", "disk_format": "qcow2", "container_format": "bare"}
        image = str(self.house.call("POST", "//image/v2/images", told).json()["id"])
        headers = {"Content-Type": "application/octet-stream", "X-Auth-Token": self.house.token()}
        reply = self.house.raw("PUT", f"/image/v2/images/{image}/file", content=data, headers=headers)
        assert reply.status_code == 204, reply.text
        return image


Script = Callable[[Machines], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RealFailure:
    """One row: under which driver, and what is said; as ``tests.plane.explained`` has them.

    With ``small_disk`` the driver's directory is a disk of its own.
    """

    name: str
    driver: str
    script: Script
    nova: str
    rule: str
    explains: str
    small_disk: bool = False
    kind: str = "server"


def killed(machines: Machines) -> str:
    """Somebody kills QEMU."""
    server = machines.boot()
    machines.kill(server)
    return machines.becomes(server, _CRASHED)


def no_backing_file(machines: Machines) -> str:
    """The image that a disk is made over is removed from the host."""
    server = machines.stopped()
    (image,) = (machines.place / "images").iterdir()
    image.unlink()
    return machines.act(server, _START)


def no_disk(machines: Machines) -> str:
    """A server's disk is removed."""
    server = machines.stopped()
    (machines.instances / server / "root.qcow2").unlink()
    return machines.act(server, _START)


def damaged_disk(machines: Machines) -> str:
    """A server's disk is overwritten."""
    server = machines.stopped()
    (machines.instances / server / "root.qcow2").write_bytes(b"no disk" * 1000)
    return machines.act(server, _START)


def full_disk(machines: Machines) -> str:
    """There is no room left for another server."""
    machines.boot()
    fill(machines.place)
    return machines.boot()


def full_disk_at_a_start(machines: Machines) -> str:
    """There is no room left when a server is switched on again."""
    server = machines.stopped()
    fill(machines.place)
    return machines.act(server, _START)


def odd_image(make: Callable[[Path], bytes]) -> Script:
    """An image that must not boot."""

    def script(machines: Machines) -> str:
        with tempfile.TemporaryDirectory() as scratch:
            image = machines.upload(make(Path(scratch)))
        return machines.boot(imageRef=image, flavorRef="42")

    return script


def hung(machines: Machines) -> str:
    """QEMU stands still, and is then asked to pause the guest."""
    server = machines.boot()
    machines.kill(server, signal.SIGSTOP)
    try:
        return machines.act(server, {"pause": None})
    finally:
        machines.kill(server, signal.SIGCONT)


def no_daemon(machines: Machines) -> str:
    """The libvirt daemon is killed below a running guest."""
    assert machines.host is not None
    server = machines.boot()
    machines.host.kill_daemon()
    machines.house.pass_seconds(1)
    return server


def switched_off(machines: Machines) -> str:
    """Somebody switches a guest off by libvirt."""
    assert machines.host is not None
    server = machines.boot()
    with machines.host.domain(server) as domain:
        domain.destroy()
    return machines.becomes(server, _OFF)


def foreign_machine(machines: Machines) -> str:
    """Somebody else's machine has the name that the server's will have."""
    assert machines.host is not None
    foreigner = Foreigner(machines.host, name="instance-00000001")
    try:
        return machines.boot()
    finally:
        foreigner.remove()


def fill(disk: Path) -> None:
    """Take all the room that is left."""
    with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def _rows(driver: str, *rows: tuple[str, Script, str, str, str], small_disk: bool = False) -> tuple[RealFailure, ...]:
    names = ("name", "script", "nova", "rule", "explains")
    told = [dict(zip(names, row, strict=True)) for row in rows]
    return tuple(RealFailure(driver=driver, small_disk=small_disk, **row) for row in told)  # type: ignore[arg-type]


REAL_FAILURES: tuple[RealFailure, ...] = (
    *_rows(
        "qemu",
        ("QEMU: somebody kills it", killed, "ACTIVE", "guest_crashed_alone", "crashed on"),
        ("QEMU: it hangs", hung, "pause: Error", "guest_unresponsive", "does not react"),
        ("QEMU: a disk is damaged", damaged_disk, "start: Error", "image_corrupt", "damaged"),
        ("QEMU: an image that was cut off", odd_image(cut_off_qcow2), "Build of instance", "image_corrupt", "damaged"),
        (
            "QEMU: an image that is too large",
            odd_image(lambda scratch: qcow2_of_size(scratch, "10G")),
            "Build of instance",
            "image_too_large",
            "larger than the disk",
        ),
    ),
    *_rows(
        "qemu",
        ("QEMU: no room for a server", full_disk, "Exceeded", "disk_full", "The disk of"),
        ("QEMU: no room to start a server", full_disk_at_a_start, "start: Error", "disk_full", "The disk of"),
        small_disk=True,
    ),
    *_rows(
        "libvirt",
        ("libvirt: somebody kills QEMU", killed, "ACTIVE", "guest_crashed_alone", "crashed on"),
        ("libvirt: the daemon is gone", no_daemon, "ACTIVE", "hypervisor_silent", "nothing can be done"),
        ("libvirt: a backing file is gone", no_backing_file, "start: Error", "image_unavailable", "could not be read"),
        ("libvirt: a disk is gone", no_disk, "start: Error", "guest_missing", "behind the cloud's back"),
        ("libvirt: a guest is switched off", switched_off, "ACTIVE", "power_lost", "nobody asked"),
        ("libvirt: a name is taken", foreign_machine, "ERROR", "name_taken", "which this cloud did not make"),
    ),
)
