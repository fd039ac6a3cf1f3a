"""Remote consoles from the API through the proxy to the guest, and who is not let in."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from kilonova.cli import connections
from kilonova.domain.model import after
from kilonova.drivers import host
from kilonova.proxy import piping
from tests.plane.house import House, lived_in
from tests.plane.proxied import Proxied, proxied, read_until
from tests.services_available import require_or_skip
from tests.waiting import wait_until


@pytest.fixture
def site(house: House) -> Iterator[Proxied]:
    """A simulated cloud with its consoles."""
    with proxied(house) as made:
        yield made


@pytest.fixture
def server(house: House) -> str:
    return str(house.boot()["id"])


def test_a_serial_port_shows_the_boot_and_takes_what_is_typed(site: Proxied, server: str) -> None:
    address = site.address(server)
    assert address.startswith(f"ws://cloud.test:{site.port}/?token=")
    with site.connect(site.token(server)) as line:
        assert line.subprotocol == "binary"
        assert "no machine runs behind it" in read_until(line, "READY boots=1\r\n")
        line.send(b"typed as bytes")
        read_until(line, "typed as bytes")
        line.send("typed as text")
        read_until(line, "typed as text")
    assert "READY boots=1" in site.house.console(server)


def test_open_consoles_are_counted(site: Proxied, server: str) -> None:
    def counted() -> list[str]:
        told = site.house.call("GET", "//metrics").text.splitlines()
        return [line for line in told if line.startswith("kilonova_consoles_open{")]

    def lines(serial: int) -> list[str]:
        return ['kilonova_consoles_open{kind="vnc"} 0', f'kilonova_consoles_open{{kind="serial"}} {serial}']

    assert counted() == lines(0)
    with site.connect(site.token(server)) as line:
        read_until(line, "READY boots=1\r\n")
        assert counted() == lines(1)
    wait_until(lambda: counted() == lines(0), "the end of the console")


def test_clients_need_ask_for_no_subprotocol(site: Proxied, server: str) -> None:
    with site.connect(site.token(server), subprotocols=None) as line:
        assert line.subprotocol is None
        read_until(line, "READY boots=1\r\n")


def test_the_screen_of_a_real_machine_comes_through(tmp_path: Path) -> None:
    if host.find_qemu() is None:
        require_or_skip(f"QEMU is not installed; {host.INSTALL_LINE}")
    with lived_in(tmp_path, driver="qemu") as house, proxied(house) as site:
        server = str(house.boot()["id"])
        try:
            token = site.token(server, protocol="vnc", kind="novnc")
            with site.connect(token) as screen:
                greeting = screen.recv(timeout=60)
                assert isinstance(greeting, bytes)
                assert greeting.startswith(b"RFB 003.00")
                screen.send(b"RFB 003.008\n")
                assert screen.recv(timeout=60) == b"\x01\x01", "no password: the token was enough"
            wait_until(lambda: "READY boots=1" in house.console(server), "a guest that hears what is typed")
            with site.connect(site.token(server)) as line:
                line.send(b"\x12")  # the tiny guest boots anew
                read_until(line, "READY boots=2")
            wait_until(lambda: "READY boots=2" in house.console(server), "the boot in the console log")
        finally:
            house.call("DELETE", f"/servers/{server}")
            house.settle()
        assert site.refusal(token) == 403


def test_an_address_outlasts_a_restart(tmp_path: Path) -> None:
    with lived_in(tmp_path) as house, proxied(house) as site:
        token = site.token(str(house.boot()["id"]))
    with lived_in(tmp_path) as house, proxied(house) as site, site.connect(token) as line:
        read_until(line, "READY boots=1\r\n")


def test_connections_that_ask_for_nothing_are_not_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 0.2)
    with proxied(house) as site, socket.create_connection(("127.0.0.1", site.port), timeout=60) as silent:
        assert silent.recv(1) == b""


# --- who is not let in -------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "none", "%00", "a" * 5000])
def test_an_unknown_token_is_refused(site: Proxied, token: str) -> None:
    assert site.refusal(token) == 403


def test_a_token_of_the_identity_service_is_none_of_a_console(site: Proxied, server: str) -> None:
    assert site.refusal(site.house.token()) == 403


def test_a_token_opens_consoles_until_its_time_is_over(site: Proxied, server: str) -> None:
    token = site.token(server)
    with site.connect(token) as line:
        site.house.at = after(site.house.at, 600)
        assert site.refusal(token) == 403
        read_until(line, "READY boots=1\r\n")  # who is inside already stays there


def test_where_it_is_wanted_a_console_closes_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piping, "_LOOK_SECONDS", 0.05)
    strict = {"enforce_session_timeout": True}
    with (
        lived_in(tmp_path, consoleauth=strict) as house,
        proxied(house) as site,
        site.connect(site.token(str(house.boot()["id"]))) as line,
    ):
        read_until(line, "READY boots=1\r\n")
        house.at = after(house.at, 600)
        with pytest.raises(ConnectionClosed):
            line.recv(timeout=60)


def test_a_server_has_so_many_consoles_open_and_no_more(
    site: Proxied, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kilonova.services.consoles._MOST_OPEN", 0)
    assert site.refusal(site.token(server)) == 403
    monkeypatch.undo()
    monkeypatch.setattr("kilonova.services.consoles._MOST_OPEN_OF_ALL", 1)
    other, consoles = str(site.house.boot()["id"]), site.house.cloud.plane.consoles
    for one, another in ((server, other), (other, server)):
        with site.connect(site.token(one)) as line:
            read_until(line, "READY boots=1\r\n")
            assert site.refusal(site.token(another)) == 403
        wait_until(lambda: not any(consoles.count_open().values()), "the end of the console")


def test_what_a_driver_does_not_open_is_not_counted(
    site: Proxied, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kilonova.services.consoles._MOST_OPEN", 1)
    token = site.token(server)
    site.house.act(server, {"os-stop": None})
    site.house.settle()
    for _ in range(2):
        assert site.refusal(token) == 403
    site.house.act(server, {"os-start": None})
    site.house.settle()
    with site.connect(token) as line:
        read_until(line, "READY boots=2\r\n")


def test_a_deleted_server_has_no_console_any_more(site: Proxied, server: str) -> None:
    token = site.token(server)
    with site.connect(token) as line:
        read_until(line, "READY boots=1\r\n")
        site.house.call("DELETE", f"/servers/{server}")
        site.house.settle()
        with pytest.raises(ConnectionClosed):
            line.recv(timeout=60)
    assert site.refusal(token) == 403


@pytest.mark.parametrize("move", [{"migrate": None}, {"os-migrateLive": {"host": None, "block_migration": "auto"}}])
def test_a_token_leads_nowhere_once_its_server_has_moved(tmp_path: Path, move: dict[str, Any]) -> None:
    with lived_in(tmp_path, simulate_hosts=2) as house, proxied(house) as site:
        server = str(house.boot()["id"])
        was_on, token = house.show(server)["OS-EXT-SRV-ATTR:host"], site.token(server)
        with site.connect(token) as line:
            read_until(line, "READY boots=1\r\n")
            assert house.act(server, move).status_code == 202
            house.settle()
            assert house.show(server)["OS-EXT-SRV-ATTR:host"] != was_on
            with pytest.raises(ConnectionClosed):
                line.recv(timeout=60)
        assert site.refusal(token) == 403
        with site.connect(site.token(server)) as line:
            read_until(line, "READY boots=1\r\n")


def test_a_server_that_was_switched_off_has_none_until_it_is_on_again(site: Proxied, server: str) -> None:
    token = site.token(server)
    site.house.act(server, {"os-stop": None})
    site.house.settle()
    assert site.refusal(token) == 403
    site.house.act(server, {"os-start": None})
    site.house.settle()
    with site.connect(token) as line:
        read_until(line, "READY boots=2\r\n")


def test_who_comes_to_a_serial_port_gets_it_from_who_has_it(site: Proxied, server: str) -> None:
    with site.connect(site.token(server)) as first:
        read_until(first, "READY boots=1\r\n")
        with site.connect(site.token(server)) as second:
            read_until(second, "READY boots=1\r\n")
            with pytest.raises(ConnectionClosed):
                first.recv(timeout=60)
            second.send(b"still here")
            read_until(second, "still here")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1.evil.example", "null", "file://", "http://["]
)
def test_pages_of_other_sites_are_kept_out(site: Proxied, server: str, origin: str) -> None:
    assert site.refusal(site.token(server), origin=origin) == 403


def test_pages_of_this_host_and_of_named_ones_are_let_in(house: House, server: str) -> None:
    with proxied(house, allowed_origins="Dashboard.Example, other.example") as site:
        for origin in ("http://127.0.0.1:8774", f"http://127.0.0.1:{site.port}", "https://dashboard.example"):
            with site.connect(site.token(server), origin=origin) as line:
                read_until(line, "READY boots=1\r\n")


def test_no_log_has_a_token(site: Proxied, server: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "websockets.client")
    caplog.set_level(logging.DEBUG)  # as with --debug
    token = site.token(server)
    with site.connect(token) as line:
        read_until(line, "READY boots=1\r\n")
    wait_until(lambda: "is closed" in caplog.text, "the end of the console")
    site.refusal(f"{token}x")
    assert "a console was refused: Token not found" in caplog.text
    assert token not in caplog.text
    told = site.house.told("instance")
    assert told
    assert not any(token in repr(row) for row in told)
