"""Addresses of remote consoles: of which kinds, for whom and when, and where they lead (contract §11.11)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kilonova.domain.model import after
from kilonova.domain.remote_consoles import ConsoleKind
from kilonova.domain.states import PowerState, TaskState, VmState
from kilonova.drivers.simulated import SimulatedDriver
from kilonova.services.console_settings import (
    ConsoleAuthSettings,
    RemoteConsoleSettings,
    SerialConsoleSettings,
    VncSettings,
)
from tests.unit.api.cloud import OTHER, ApiCloud


@pytest.fixture
def server(cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch) -> str:
    """A server on a host whose driver has screens as well."""
    monkeypatch.setattr(SimulatedDriver, "consoles", frozenset(ConsoleKind))
    cloud.add_host()
    return cloud.boot()


def ask(cloud: ApiCloud, server: str, protocol: str, kind: str, **how: Any) -> Any:
    wanted = {"remote_console": {"protocol": protocol, "type": kind}}
    return cloud.call("POST", f"/servers/{server}/remote-consoles", wanted, **{"version": "2.6", **how})


def token_in(url: str) -> str:
    query = parse_qs(urlsplit(url).query)
    return query["path"][0].removeprefix("?token=") if "path" in query else query["token"][0]


def show(cloud: ApiCloud, token: str, **how: Any) -> Any:
    return cloud.call("GET", f"/os-console-auth-tokens/{token}", **{"version": "2.31", **how})


def test_the_address_of_a_screen_is_a_page_with_a_token(cloud: ApiCloud, server: str) -> None:
    told = ask(cloud, server, "vnc", "novnc").json()["remote_console"]
    assert (told["protocol"], told["type"]) == ("vnc", "novnc")
    assert told["url"].startswith("http://127.0.0.1:6080/vnc_lite.html?path=%3Ftoken%3D")
    assert len(token_in(told["url"])) >= 43


def test_the_address_of_a_serial_port_is_a_websocket(cloud: ApiCloud, server: str) -> None:
    told = ask(cloud, server, "serial", "serial").json()["remote_console"]
    assert told["url"].startswith("ws://127.0.0.1:6080/?token=")


def test_every_address_is_another_one(cloud: ApiCloud, server: str) -> None:
    first, second = (ask(cloud, server, "vnc", "novnc").json()["remote_console"]["url"] for _ in range(2))
    assert first != second


def test_the_token_is_in_the_database_by_its_digest_alone(cloud: ApiCloud, server: str) -> None:
    token = token_in(ask(cloud, server, "vnc", "novnc").json()["remote_console"]["url"])
    cloud.database.close()
    kept = b"".join(path.read_bytes() for path in Path(cloud.database.url.database or "").parent.glob("cloud.db*"))
    assert server.encode() in kept
    assert token.encode() not in kept


@pytest.mark.parametrize(
    "protocol, kind, version, status",
    [
        ("vnc", "novnc", "2.5", 404),
        ("vnc", "xvpvnc", "2.6", 400),
        ("vnc", "spice-html5", "2.6", 400),
        ("serial", "novnc", "2.6", 400),
        ("rdp", "rdp-html5", "2.6", 400),
        ("spice", "spice-html5", "2.6", 501),
        ("spice", "spice-direct", "2.98", 400),
        ("spice", "spice-direct", "2.99", 501),
        ("mks", "webmks", "2.7", 400),
        ("mks", "webmks", "2.8", 501),
        ("mks", "spice-html5", "2.8", 400),
        ("x", "y", "2.6", 400),
        ("vnc", "novnc", "2.104", 200),
        ("serial", "serial", "2.104", 200),
    ],
)
def test_each_kind_has_its_answer(
    cloud: ApiCloud, server: str, protocol: str, kind: str, version: str, status: int
) -> None:
    reply = ask(cloud, server, protocol, kind, version=version)
    assert reply.status_code == status, reply.text


@pytest.mark.parametrize(
    "action, kind, version, status",
    [
        ("os-getVNCConsole", "novnc", "2.1", 200),
        ("os-getVNCConsole", "novnc", "2.5", 200),
        ("os-getVNCConsole", "novnc", "2.6", 404),
        ("os-getVNCConsole", "serial", "2.1", 400),
        ("os-getVNCConsole", "xvpvnc", "2.1", 400),
        ("os-getSPICEConsole", "spice-html5", "2.1", 501),
        ("os-getSerialConsole", "serial", "2.1", 200),
        ("os-getRDPConsole", "rdp-html5", "2.1", 400),
    ],
)
def test_the_older_ways_answer_the_same(
    cloud: ApiCloud, server: str, action: str, kind: str, version: str, status: int
) -> None:
    reply = cloud.call("POST", f"/servers/{server}/action", {action: {"type": kind}}, version=version)
    assert reply.status_code == status, reply.text
    if status == 200:
        assert set(reply.json()["console"]) == {"type", "url"}
        assert reply.json()["console"]["type"] == kind


@pytest.mark.parametrize("task", [TaskState.DELETING, TaskState.MIGRATING])
def test_a_server_on_its_way_is_left_alone(cloud: ApiCloud, server: str, task: TaskState) -> None:
    cloud.move(server, task_state=task)
    reply = ask(cloud, server, "vnc", "novnc")
    assert reply.status_code == 409
    told = f"Cannot 'get_vnc_console' instance {server} while it is in task_state {task}"
    assert reply.json()["conflictingRequest"]["message"] == told


@pytest.mark.parametrize("task", [None, TaskState.REBOOTING, TaskState.RESIZE_PREP, TaskState.IMAGE_SNAPSHOT])
def test_other_tasks_are_no_hindrance(cloud: ApiCloud, server: str, task: TaskState | None) -> None:
    cloud.move(server, task_state=task)
    assert ask(cloud, server, "vnc", "novnc").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"host": None, "node": None, "vm_state": VmState.BUILDING, "power_state": PowerState.NOSTATE},
        {"vm_state": VmState.STOPPED, "power_state": PowerState.SHUTDOWN},
        {"vm_state": VmState.ERROR, "power_state": PowerState.CRASHED},
        {"host": "elsewhere", "node": "elsewhere"},
    ],
)
def test_a_server_that_is_off_or_nowhere_is_not_ready(cloud: ApiCloud, server: str, fields: dict[str, Any]) -> None:
    cloud.move(server, **fields)
    reply = ask(cloud, server, "serial", "serial")
    assert reply.status_code == 409
    assert reply.json()["conflictingRequest"]["message"] == f"Instance {server} is not ready"


@pytest.mark.parametrize("power", [PowerState.RUNNING, PowerState.PAUSED])
def test_a_server_that_is_on_has_a_screen_whatever_else_it_is(cloud: ApiCloud, server: str, power: PowerState) -> None:
    cloud.move(server, vm_state=VmState.RESCUED, power_state=power)
    assert ask(cloud, server, "vnc", "novnc").status_code == 200


def test_a_driver_without_screens_says_so(cloud: ApiCloud) -> None:
    cloud.add_host()
    server = cloud.boot()
    assert ask(cloud, server, "vnc", "novnc").status_code == 501
    assert ask(cloud, server, "serial", "serial").status_code == 200


@pytest.mark.parametrize(
    "role, project, status",
    [("member", None, 200), ("admin", None, 200), ("admin", OTHER, 200), ("reader", None, 403), ("member", OTHER, 404)],
)
def test_who_may_change_a_server_may_open_its_console(
    cloud: ApiCloud, server: str, role: str, project: str | None, status: int
) -> None:
    who = {"role": role} | ({"project": project} if project else {})
    assert ask(cloud, server, "vnc", "novnc", **who).status_code == status


# --- whom a token leads to ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version, more", [("2.31", set()), ("2.98", set()), ("2.99", {"tls_port"})])
def test_administrators_see_where_a_token_leads(cloud: ApiCloud, server: str, version: str, more: set[str]) -> None:
    token = token_in(ask(cloud, server, "vnc", "novnc").json()["remote_console"]["url"])
    told = show(cloud, token, version=version).json()["console"]
    assert set(told) == {"instance_uuid", "host", "port", "internal_access_path"} | more
    assert (told["instance_uuid"], told["host"]) == (server, "cmp-1")


@pytest.mark.parametrize("version, status", [("2.1", 400), ("2.30", 400), ("2.31", 404), ("2.104", 404)])
def test_an_unknown_token_leads_nowhere(cloud: ApiCloud, version: str, status: int) -> None:
    assert show(cloud, "none", version=version).status_code == status


def test_nobody_else_sees_where_a_token_leads(cloud: ApiCloud, server: str) -> None:
    token = token_in(ask(cloud, server, "vnc", "novnc").json()["remote_console"]["url"])
    assert show(cloud, token, role="member").status_code == 403


def test_a_token_is_good_for_its_time(cloud: ApiCloud, server: str) -> None:
    token = token_in(ask(cloud, server, "vnc", "novnc").json()["remote_console"]["url"])
    cloud.plane.at = after(cloud.plane.at, 599)
    assert show(cloud, token).status_code == 200
    cloud.plane.at = after(cloud.plane.at, 1)
    assert show(cloud, token).status_code == 404


@pytest.mark.parametrize(
    "fields", [{"host": "cmp-2", "node": "cmp-2"}, {"vm_state": VmState.DELETED, "deleted_at": 1, "terminated_at": 1}]
)
def test_a_token_goes_with_its_server(cloud: ApiCloud, server: str, fields: dict[str, Any]) -> None:
    token = token_in(ask(cloud, server, "vnc", "novnc").json()["remote_console"]["url"])
    cloud.move(server, **fields)
    assert show(cloud, token).status_code == 404


# --- what the settings say ---------------------------------------------------------------------------------


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiCloud]:
    """A cloud whose consoles are reached by another name, for a minute."""
    monkeypatch.setattr(SimulatedDriver, "consoles", frozenset(ConsoleKind))
    settings = RemoteConsoleSettings(
        vnc=VncSettings(novncproxy_base_url="https://cloud.example.com/screens/vnc.html?autoconnect=true"),
        serial_console=SerialConsoleSettings(base_url="wss://cloud.example.com/serial/"),
        consoleauth=ConsoleAuthSettings(token_ttl=60),
    )
    made = ApiCloud(tmp_path, consoles=settings)
    made.add_host()
    yield made
    made.close()


def test_addresses_are_as_the_settings_say(configured: ApiCloud) -> None:
    server = configured.boot()
    screen = ask(configured, server, "vnc", "novnc").json()["remote_console"]["url"]
    assert screen.startswith("https://cloud.example.com/screens/vnc.html?autoconnect=true&path=%3Ftoken%3D")
    serial = ask(configured, server, "serial", "serial").json()["remote_console"]["url"]
    assert serial.startswith("wss://cloud.example.com/serial/?token=")
    configured.plane.at = after(configured.plane.at, 60)
    assert show(configured, token_in(serial)).status_code == 404


def test_what_is_switched_off_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedDriver, "consoles", frozenset(ConsoleKind))
    off = RemoteConsoleSettings(vnc=VncSettings(enabled=False), serial_console=SerialConsoleSettings(enabled=False))
    cloud = ApiCloud(tmp_path, consoles=off)
    try:
        cloud.add_host()
        server = cloud.boot()
        for protocol, kind in (("vnc", "novnc"), ("serial", "serial")):
            reply = ask(cloud, server, protocol, kind)
            assert reply.status_code == 400
            assert reply.json()["badRequest"]["message"] == f"Unavailable console type {kind}."
    finally:
        cloud.close()
