"""A create whose process is killed before or after any of its commits ends well all the same.

Real processes, a real SQLite file, and for one of the runs real QEMU guests. Each case is a life of its own: a plane
that dies at the Nth commit, then one that finds what it left and carries on. Afterwards nothing is stuck, lost or
doubled, and no guest runs that no server knows.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services_available import require_or_skip

REPOSITORY = Path(__file__).parents[2]


def _live(state_dir: Path, driver: str, *arguments: str) -> dict[str, Any] | None:
    """Run one plane; what it told at its end, or None if it was killed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.plane_process", str(state_dir), driver, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _guests(state_dir: Path) -> list[int]:
    """The QEMU processes that work somewhere below the state directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, where = (process / "comm").read_text(), (process / "cwd").readlink()
        except OSError:  # it ended while we looked
            continue
        if name.startswith("qemu-system") and where.is_relative_to(state_dir):
            found.append(int(process.name))
    return found


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for guest in _guests(tmp_path):
        os.kill(guest, signal.SIGKILL)


def _check(told: dict[str, Any], guests: list[int], driver: str) -> None:
    for server in told["servers"]:
        assert server["status"] == "ACTIVE" or (server["status"] == "ERROR" and server["fault"])
        assert server["task_state"] is None
        assert server["open"] == []
        assert server["actions"] == 1
    if driver == "qemu":
        assert len(guests) == sum(server["status"] == "ACTIVE" for server in told["servers"])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("driver", ["simulated", "qemu"])
def test_a_create_survives_a_kill_at_any_commit(driver: str, state_dir: Path) -> None:
    if driver == "qemu" and shutil.which("qemu-system-x86_64") is None:
        require_or_skip("QEMU is not installed")
    at, killed = 0, 0
    while True:
        at += 1
        lived = []
        for side in ("before", "after"):
            here = state_dir / f"{side}-{at}"
            told = _live(here, driver, "boot", side, str(at))
            lived.append(told is not None)
            if told is None:
                killed += 1
                told = _live(here, driver, "recover")
                assert told is not None
            _check(told, _guests(here), driver)
        if all(lived):
            break
    assert killed >= 10, "the create made fewer commits than it has steps: were they counted?"
