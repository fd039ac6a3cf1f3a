"""The ``kilonova`` command: what it offers, and how it says that something cannot work."""

import fcntl
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova import __version__
from kilonova.cli import main
from kilonova.images.guests import tiny, tiny_kernel


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """What a start changes of its process is none of the tests' that come after."""
    mask, handler = os.umask(0o077), signal.getsignal(signal.SIGTERM)
    os.umask(mask)
    yield
    os.umask(mask)
    signal.signal(signal.SIGTERM, handler)


def _ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line; give its exit status and what it wrote to stdout and stderr."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    told = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, told.out, told.err


def test_help_lists_every_command_with_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _ran(capsys, "--help")
    assert status == 0
    assert "up" in out
    assert "Start a cloud on this machine." in out


@pytest.mark.parametrize("command", ["up", "db", "image", "policy"])
def test_every_command_tells_what_it_takes(capsys: pytest.CaptureFixture[str], command: str) -> None:
    status, out, _ = _ran(capsys, command, "-h")
    assert status == 0
    assert f"kilonova {command}" in out


def test_the_version_is_told_with_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert _ran(capsys, "--version") == (0, f"kilonova, version {__version__}\n", "")


def test_a_command_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = _ran(capsys, "fly")
    assert status == 2
    assert "No such command 'fly'" in err


def test_a_setting_that_makes_no_sense_ends_with_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILONOVA_QUOTA__COERS", "1")
    line = "kilonova: There is no setting coers in [quota]. Did you mean cores?\n"
    assert _ran(capsys, "up") == (1, "", line)


def test_a_port_that_is_taken_ends_with_one_line_and_nothing_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, out, err = _ran(
            capsys, "up", "--driver", "simulated", "--port", port, "--state-dir", str(tmp_path / "state")
        )
    assert (status, out) == (1, "")
    assert err == (
        f"kilonova: Cannot listen on 127.0.0.1 port {port}: Address already in use. "
        "Is a Kilonova running there already? Choose another with --port (make up PORT=…).\n"
    )
    assert not (tmp_path / "state").exists()


def test_the_database_is_not_touched_while_a_cloud_runs_on_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert _ran(capsys, "db", "upgrade", "--state-dir", str(tmp_path)) == (0, "The database is up to date.\n", "")
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, out, err = _ran(capsys, "db", "upgrade", "--state-dir", str(tmp_path))
    assert (status, out) == (1, "")
    assert err.startswith("kilonova: Another Kilonova already runs on the state directory")


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_refused_by_the_command_line(capsys: pytest.CaptureFixture[str], port: str) -> None:
    status, _, err = _ran(capsys, "up", "--port", port)
    assert status == 2
    assert "--port" in err


@pytest.mark.parametrize("name, data", [("tiny", tiny.image()), ("tiny-kernel", tiny_kernel.image())])
def test_the_images_of_our_own_are_written_whole(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, data: bytes
) -> None:
    file = tmp_path / "image"
    assert _ran(capsys, "image", name, str(file)) == (0, f"Wrote {file}.\n", "")
    assert file.read_bytes() == data


@pytest.mark.parametrize("where", ["missing/tiny.raw", ""])
def test_a_file_that_cannot_be_written_ends_with_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, where: str
) -> None:
    status, _, err = _ran(capsys, "image", "tiny", str(tmp_path / where))
    assert status == 1
    assert err.startswith(f"kilonova: {tmp_path / where} cannot be written: ")
    assert err.count("\n") == 1


def test_the_rules_in_force_are_listed_with_the_defaults_they_replace(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"os_compute_api:limits": "role:reader"\n')
    status, out, _ = _ran(capsys, "policy", "list", "--policy-file", str(file))
    assert status == 0
    assert '"os_compute_api:limits": "role:reader"  # by default: @\n' in out
    assert '"os_compute_api:servers:update": "rule:project_member_or_admin"\n' in out
    assert _ran(capsys, "policy", "list", "--policy-file", str(file), "--own")[1].count("\n") == 1


def test_a_policy_file_that_makes_no_sense_ends_with_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"os_compute_api:limits": "reader"\n')
    status, _, told = _ran(capsys, "policy", "list", "--policy-file", str(file))
    assert status == 1
    assert told.startswith(f"kilonova: In the policy file {file}, line 1, the rule os_compute_api:limits has 'reader'")
