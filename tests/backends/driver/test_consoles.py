"""Screens and serial ports of guests, as every driver opens them."""

import errno
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.remote_consoles import ConsoleKind
from tests.backends.driver.libvirt_world import LibvirtWorld
from tests.backends.driver.worlds import World, guest_spec
from tests.waiting import wait_until

ABSENT = "99999999-9999-4999-8999-999999999999"
RESET = b"\x12"
_PATIENCE_SECONDS = 60.0


@pytest.fixture(params=["qemu", "libvirt"])
def machines(request: pytest.FixtureRequest) -> World:
    """The drivers of real machines."""
    world: World = request.getfixturevalue(request.param)
    return world


def opened(world: World, guest: str, kind: ConsoleKind) -> socket.socket:
    line = world.driver.open_console(guest, kind)
    assert (line.family, line.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(_PATIENCE_SECONDS)
    return line


def read_until(line: socket.socket, words: bytes) -> bytes:
    said = b""
    while words not in said:
        part = line.recv(4096)
        assert part, f"it ended after {said!r}"
        said += part
    return said


def rest_of(line: socket.socket) -> None:
    while line.recv(4096):
        pass


def test_a_screen_speaks_rfb_to_several_at_once(machines: World) -> None:
    guest = machines.spawn_ready(guest_spec())
    with opened(machines, guest, ConsoleKind.VNC) as one, opened(machines, guest, ConsoleKind.VNC) as another:
        assert read_until(one, b"\n").startswith(b"RFB 003.00")
        assert read_until(another, b"\n").startswith(b"RFB 003.00")


def test_what_is_typed_reaches_the_guest_and_what_it_says_is_in_the_log_as_well(machines: World) -> None:
    guest = machines.spawn_ready(guest_spec())
    with opened(machines, guest, ConsoleKind.SERIAL) as line:
        line.sendall(RESET)
        read_until(line, b"READY boots=2")
    machines.await_boots(guest, 2)


def test_a_serial_port_is_there_for_the_next_one_when_somebody_is_done(machines: World) -> None:
    guest = machines.spawn_ready(guest_spec())
    for number in (2, 3):
        with opened(machines, guest, ConsoleKind.SERIAL) as line:
            line.sendall(RESET)
            read_until(line, f"READY boots={number}".encode())


def test_consoles_end_with_their_guest(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    lines = [opened(world, guest, kind) for kind in sorted(world.driver.consoles)]
    world.driver.power_off(guest, timeout_seconds=0)
    for line in lines:
        with line:
            rest_of(line)


def test_a_guest_that_is_off_or_gone_has_no_console(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.power_off(guest, timeout_seconds=0)
    for kind in world.driver.consoles:
        with pytest.raises(GuestFailure, match="not running"):
            world.driver.open_console(guest, kind)
        with pytest.raises(GuestFailure) as failure:
            world.driver.open_console(ABSENT, kind)
        assert failure.value.cause is FaultCause.GUEST_MISSING


def test_a_reader_that_takes_nothing_does_not_keep_the_guest_from_going_on(machines: World) -> None:
    guest = machines.spawn_ready(guest_spec())
    with opened(machines, guest, ConsoleKind.SERIAL) as line:
        for number in range(2, 5):
            line.sendall(RESET)
            machines.await_boots(guest, number)


@pytest.mark.parametrize("missing", ["descriptors", "a thread", "the other thread"])
def test_a_serial_port_for_which_there_is_no_room_leaves_nothing_open(
    libvirt: LibvirtWorld, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    guest = libvirt.spawn_ready(guest_spec())
    before = open_lines()
    start, which = threading.Thread.start, {"a thread": "serial-out", "the other thread": "serial-in"}

    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    def start_or_refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(which[missing]):
            message = "can't start new thread"
            raise RuntimeError(message)
        start(thread)

    with monkeypatch.context() as patch:
        if missing == "descriptors":
            patch.setattr(socket, "socketpair", refuse)
        else:
            patch.setattr(threading.Thread, "start", start_or_refuse)
        with pytest.raises(GuestFailure, match="no room"):
            libvirt.driver.open_console(guest, ConsoleKind.SERIAL)
    wait_until(lambda: not serial_threads() and not open_lines() - before, "all to be closed")


def open_lines() -> set[str]:
    """Those of this process, each by a name that no other one has had."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # somebody closed it while we looked
            found.add(str(each.readlink()))
    return {name for name in found if name.startswith(("socket:", "pipe:"))}


def serial_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("serial-")]
