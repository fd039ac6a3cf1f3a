"""The serial port of a simulated guest: its log, and an echo."""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from kilonova.domain.errors import NotSupported
from kilonova.domain.remote_consoles import ConsoleKind
from kilonova.drivers.simulated import Instant, SimulatedDriver
from kilonova.drivers.simulated.consoles import news
from tests.unit.drivers.test_simulated import spec


@pytest.fixture
def driver() -> Iterator[SimulatedDriver]:
    made = SimulatedDriver(pace=Instant())
    made.start(lambda _: None)
    yield made
    made.close()


@pytest.fixture
def guest(driver: SimulatedDriver) -> str:
    wanted = spec()
    driver.spawn(wanted)
    return wanted.uuid


@pytest.fixture
def line(driver: SimulatedDriver, guest: str) -> Iterator[socket.socket]:
    with closing(driver.open_console(guest, ConsoleKind.SERIAL)) as opened:
        opened.settimeout(60)
        yield opened


def read_until(line: socket.socket, words: str) -> str:
    said = ""
    while words not in said:
        part = line.recv(4096)
        assert part, f"it ended after {said!r}"
        said += part.decode()
    return said


def test_it_shows_what_was_written_and_what_is_written_from_then_on(
    driver: SimulatedDriver, guest: str, line: socket.socket
) -> None:
    said = read_until(line, "READY boots=1\r\n")
    assert said.replace("\r\n", "\n") == driver.console_log(guest, lines=None)
    driver.reboot(guest, hard=True, timeout_seconds=0)
    assert "READY boots=1" not in read_until(line, "READY boots=2\r\n")


def test_what_is_typed_comes_back(line: socket.socket) -> None:
    read_until(line, "READY boots=1\r\n")
    line.sendall(b"hello")
    assert read_until(line, "hello") == "hello"


def test_it_has_no_screen(driver: SimulatedDriver, guest: str) -> None:
    with pytest.raises(NotSupported, match="no screen"):
        driver.open_console(guest, ConsoleKind.VNC)


def test_it_ends_with_its_guest(driver: SimulatedDriver, guest: str, line: socket.socket) -> None:
    read_until(line, "READY boots=1\r\n")
    driver.destroy(guest)
    assert line.recv(4096) == b""


def test_it_talks_also_where_the_process_has_many_files_open(driver: SimulatedDriver, guest: str) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2048:
        pytest.skip("no more than 1024 files may be open here")
    with ExitStack() as stack:
        for _ in range(1024):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        line = stack.enter_context(closing(driver.open_console(guest, ConsoleKind.SERIAL)))
        line.settimeout(60)
        read_until(line, "READY boots=1\r\n")
        line.sendall(b"hello")
        read_until(line, "hello")


@pytest.mark.parametrize(
    "told, written, new",
    [
        ("", "abc", "abc"),
        ("abc", "abcd", "d"),
        ("abc", "abc", ""),
        ("abc", "bcd", "d"),
        ("abc", "xyz", "xyz"),
        ("aab", "aba", "a"),
    ],
)
def test_nothing_of_a_log_is_told_twice_when_its_oldest_lines_go(told: str, written: str, new: str) -> None:
    assert news(list(told), list(written)) == list(new)
