"""Which ports a start takes, and what it says where it cannot."""

import socket
from dataclasses import replace

import pytest

from kilonova.cli.listening import bound, shown
from kilonova.cli.proxying import bound_for_consoles
from kilonova.config import Settings
from kilonova.domain.errors import Unusable
from kilonova.services.console_settings import SerialConsoleSettings, VncSettings
from tests.ports import free_port

ANYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound to it
AWAY = "192.0.2.1"
"""An address that no machine has (RFC 5737)."""


def settings(port: int, **vnc: str) -> Settings:
    return replace(Settings(), vnc=VncSettings(novncproxy_port=port, **vnc))  # type: ignore[arg-type]


@pytest.fixture
def taken() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_the_port_of_consoles_is_the_one_that_is_wanted() -> None:
    port = free_port()
    with bound_for_consoles(settings(port)) as listener:
        assert listener is not None
        assert listener.getsockname() == ("127.0.0.1", port)


def test_where_it_is_taken_any_other_will_do(taken: socket.socket) -> None:
    with taken, bound_for_consoles(settings(taken.getsockname()[1])) as listener:
        assert listener is not None
        assert listener.getsockname()[1] != taken.getsockname()[1]


def test_where_addresses_name_it_no_other_will_do(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    with (
        taken,
        pytest.raises(Unusable, match=rf"port {port}, for remote consoles: .* novncproxy_port in \[vnc\]"),
        bound_for_consoles(settings(port, novncproxy_base_url=f"http://cloud.example:{port}/vnc_lite.html")),
    ):
        pass


def test_an_address_of_another_machine_will_not_do() -> None:
    with pytest.raises(Unusable, match="remote consoles"), bound_for_consoles(settings(0, novncproxy_host=AWAY)):
        pass


def test_without_consoles_there_is_no_port() -> None:
    none = replace(Settings(), vnc=VncSettings(enabled=False), serial_console=SerialConsoleSettings(enabled=False))
    with bound_for_consoles(none) as listener:
        assert listener is None


def test_the_port_of_the_api_is_had_or_the_start_ends(taken: socket.socket) -> None:
    with taken, pytest.raises(Unusable, match=r"already\? Choose another with --port"):
        bound("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("address", [AWAY, "no-such-host.invalid"])
def test_an_address_that_is_none_of_this_machine_is_not_blamed_on_a_port(address: str) -> None:
    with pytest.raises(Unusable, match=r"\. Choose an address of this machine with --listen"):
        bound(address, 0)


@pytest.mark.parametrize(
    "address, told", [(ANYWHERE, "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("10.0.0.1", "10.0.0.1")]
)
def test_an_address_is_shown_as_one_that_can_be_asked(address: str, told: str) -> None:
    assert shown(address) == told
