"""Starting and stopping ``kilonova up``: what is found again, and what is said when it cannot start."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.compat.cloud import BIN, StartedCloud, simulated_cloud
from tests.compat.conftest import end_guests
from tests.ports import free_port
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    end_guests(tmp_path)


@pytest.fixture
def cloud(home: Path) -> Iterator[StartedCloud]:
    """A cloud on the real driver that the test starts and stops."""
    made = StartedCloud(home, driver="qemu", port=free_port())
    yield made
    made.close()


@pytest.fixture
def simulated(home: Path) -> Iterator[StartedCloud]:
    """The same on the simulated driver."""
    made = StartedCloud(home, driver="simulated", port=free_port())
    yield made
    made.close()


def _refused(*arguments: str, **environment: str) -> str:
    """``kilonova up`` that cannot start: exits with 1 and one line, and nothing like a traceback."""
    done = subprocess.run(
        [BIN / "kilonova", "up", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("kilonova: ")
    return line


def _pause(seconds: float) -> None:
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= until, "the next question")


def test_a_client_that_pauses_for_as_long_as_openstack_does_keeps_its_connection(simulated: StartedCloud) -> None:
    simulated.start()
    place = urlsplit(simulated.base)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=60)
    connection.auto_open = 0
    connection.connect()
    for pause in (0, 5.2, 0):  # --wait asks every five seconds
        _pause(pause)
        connection.request("GET", "/compute/")
        assert connection.getresponse().read()
    connection.close()


def test_a_log_of_everything_has_neither_passwords_nor_tokens(home: Path) -> None:
    with simulated_cloud(home, "--debug") as cloud:
        auth = yaml.safe_load((cloud.state_dir / "clouds.yaml").read_text())["clouds"]["kilonova"]["auth"]
        who = {"username": auth["username"], "password": auth["password"], "project": auth["project_name"]}
        with httpx.Client(base_url=f"{cloud.base}/console", follow_redirects=True, timeout=60) as browser:
            assert "Overview" in browser.post("/sign-in", data=who).text
        token = cloud.openstack("token", "issue", "-f", "value", "-c", "id").strip()
        assert cloud.stop() == 0
        for log in ((cloud.state_dir / "kilonova.log").read_text(), cloud.output):
            assert "subject-token" not in log.lower()
            later = log.rpartition("Ctrl-C stops it.")[2]  # before it the password is shown, this once
            assert not any(secret in later for secret in (token, auth["password"]))


def test_a_client_that_asks_for_nothing_loses_its_connection(simulated: StartedCloud) -> None:
    simulated.start()
    place = urlsplit(simulated.base)
    with socket.create_connection((place.hostname or "", place.port), timeout=60) as silent:
        assert silent.recv(1) == b""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_stops_it_and_the_next_start_finds_everything(simulated: StartedCloud, how: int) -> None:
    cloud = simulated
    cloud.start()
    cloud.openstack("server", "create", "--flavor", "m1.tiny", "--image", "tiny", "--nic", "none", "--wait", "web1")
    before = cloud.table("server", "show", "web1")
    assert cloud.stop(how) == 0
    assert "Stopped." in cloud.output
    assert "Traceback" not in cloud.output
    assert not list(cloud.state_dir.glob("*-wal")), "the database was closed"
    cloud.start()
    assert "password" not in cloud.output, "the password is shown once"
    after = cloud.table("server", "show", "web1")
    assert after == before


def test_what_it_keeps_is_its_owners_alone(simulated: StartedCloud) -> None:
    simulated.state_dir.mkdir(mode=0o755)
    simulated.start()
    modes: dict[Path, int] = {}
    for path in simulated.state_dir.rglob("*"):
        with suppress(FileNotFoundError):  # it was there for a moment only
            modes[path] = path.stat().st_mode
    assert {path.name for path in modes} >= {"kilonova.sqlite", "kilonova.log", "clouds.yaml"}
    assert [path for path, mode in modes.items() if mode & 0o077] == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_guest_outlives_the_cloud_and_is_adopted(cloud: StartedCloud, how: int) -> None:
    cloud.start()
    cloud.openstack("server", "create", "--flavor", "m1.tiny", "--image", "tiny", "--nic", "none", "--wait", "web1")
    ready = "READY boots=1"
    wait_until(lambda: ready in cloud.openstack("console", "log", "show", "web1"), "the guest to be ready")
    cloud.stop(how)
    cloud.start()
    assert cloud.table("server", "show", "web1")["status"] == "ACTIVE"
    cloud.openstack("server", "reboot", "--hard", "--wait", "web1")
    wait_until(lambda: "READY boots=2" in cloud.openstack("console", "log", "show", "web1"), "the second boot")


def test_a_guest_killed_behind_our_back_shows_as_shutoff_and_starts_again(cloud: StartedCloud) -> None:
    cloud.start()
    cloud.openstack("server", "create", "--flavor", "m1.tiny", "--image", "tiny", "--nic", "none", "--wait", "web1")
    end_guests(cloud.home)
    wait_until(lambda: cloud.table("server", "show", "web1")["status"] == "SHUTOFF", "the server to be SHUTOFF")
    events = cloud.table("server", "event", "list", "web1")
    assert [event["Action"] for event in events] == ["stop", "create"]
    nobodys = cloud.table("server", "event", "show", "web1", events[0]["Request ID"])
    assert nobodys["user_id"] is None
    cloud.openstack("server", "start", "web1")
    wait_until(lambda: cloud.table("server", "show", "web1")["status"] == "ACTIVE", "the server to be ACTIVE")


def test_a_port_that_is_taken_is_said(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = _refused("--driver", "simulated", "--state-dir", str(home), "--port", port)
    assert f"Cannot listen on 127.0.0.1 port {port}" in line


def test_a_state_directory_that_cannot_be_made_is_said(home: Path) -> None:
    (home / "file").write_text("in the way")
    line = _refused("--driver", "simulated", "--port", "0", "--state-dir", str(home / "file" / "state"))
    assert "The state directory" in line
    assert "--state-dir" in line


def test_a_second_cloud_on_the_same_state_directory_is_refused(simulated: StartedCloud) -> None:
    simulated.start()
    line = _refused("--driver", "simulated", "--port", "0", "--state-dir", str(simulated.state_dir))
    assert "Another Kilonova already runs" in line


def test_a_database_that_is_none_is_refused(home: Path) -> None:
    (home / "kilonova.sqlite").write_bytes(b"this is no database" * 1000)
    line = _refused("--driver", "simulated", "--port", "0", "--state-dir", str(home))
    assert "kilonova.sqlite" in line


def test_an_unknown_driver_is_said(home: Path) -> None:
    line = _refused("--driver", "vapour", "--port", "0", "--state-dir", str(home))
    assert "vapour" in line
    assert "qemu" in line


def test_without_qemu_the_line_that_installs_it_is_said(home: Path) -> None:
    line = _refused("--port", "0", "--state-dir", str(home), PATH=str(BIN))
    assert "apt-get install -y --no-install-recommends qemu-system-x86 qemu-utils" in line


def test_a_setting_with_a_typing_error_is_said(home: Path) -> None:
    (home / "kilonova.toml").write_text("[DEFAULT]\nreport_intervall = 5\n")
    line = _refused("--config-file", str(home / "kilonova.toml"), "--state-dir", str(home))
    assert "Did you mean report_interval?" in line
