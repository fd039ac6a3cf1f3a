"""An operation whose process is killed before or after any of its commits ends well all the same.

Real processes, a real SQLite file, and for one of the runs real QEMU guests. Each case is a life of its own: a plane
that dies at the Nth commit, then one that finds what it left and carries on. Afterwards nothing is stuck, lost or
doubled, what is claimed is what is used, the journal has no gap, and no guest runs that no server knows.
"""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import plane_process
from tests.chaos.plane_process import live
from tests.services_available import require_or_skip
from tests.waiting import Patience


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


def _end_guests(state_dir: Path) -> None:
    for guest in _guests(state_dir):
        with suppress(ProcessLookupError):  # it ended by itself
            os.kill(guest, signal.SIGKILL)


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    _end_guests(tmp_path)


def _check(told: dict[str, Any], actions: list[str], *, was_accepted: bool) -> None:
    """What holds of every cloud that has come to rest; ``actions`` are those of its one server."""
    if not was_accepted:
        actions = actions[1:]
    assert len(told["servers"]) == (1 if actions else 0), "an accepted server is neither lost nor doubled"
    for server in told["servers"]:
        assert server["actions"] == actions
        assert (server["task_state"], server["open"], server["open_events"]) == (None, [], [])
        assert server["status"] != "ERROR" or server["fault"]
        if server["uuid"] in told["cards"] and server["status"] in ("ACTIVE", "SHUTOFF"):
            assert told["cards"][server["uuid"]] == server["macs"]
    living = [server for server in told["servers"] if server["status"] != "DELETED"]
    assert told["taken"] == sorted(address for server in living for address in server["addresses"])
    for claims in told["claims"]:
        assert claims["claimed"] == claims["used"]
    placed = sum(server["host"] is not None and server["status"] != "DELETED" for server in told["servers"])
    waiting = sum(server["status"] == "VERIFY_RESIZE" for server in told["servers"])
    assert sum(claims["instances"] for claims in told["claims"]) == placed + waiting
    assert told["numbers"] == list(range(1, len(told["numbers"]) + 1))
    assert told["unnumbered"] == 0
    assert told["images"] in ([], ["active"]), "an image is made once and whole, or not at all"
    if "createImage" in actions:
        assert told["images"] == ["active"], "nothing stood against it"


def test_a_plane_that_hangs_is_ended_and_the_next_one_is_waited_for_less_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = Patience(0, afterwards=60)
    monkeypatch.setattr(plane_process, "_PATIENCE", patience)
    with pytest.raises(AssertionError, match="boot neither ended nor died"):
        live(tmp_path, "simulated", "boot")
    assert patience.seconds == 60
    assert multiprocessing.active_children() == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "scenario, driver, actions",
    [
        ("boot", "simulated", ["create"]),
        ("boot", "qemu", ["create"]),
        ("failing boot", "simulated", ["create"]),
        ("delete", "simulated", ["delete", "create"]),
        ("hard reboot", "simulated", ["reboot", "create"]),
        ("stop", "simulated", ["stop", "create"]),
        ("suspend", "simulated", ["suspend", "create"]),
        ("rebuild", "simulated", ["rebuild", "create"]),
        ("rebuild", "qemu", ["rebuild", "create"]),
        ("resize", "simulated", ["resize", "create"]),
        ("confirm", "simulated", ["confirmResize", "migrate", "create"]),
        ("revert", "simulated", ["revertResize", "migrate", "create"]),
        ("live migration", "simulated", ["live-migration", "create"]),
        ("evacuation", "simulated", ["evacuate", "create"]),
        ("create image", "simulated", ["createImage", "create"]),
        ("create image", "qemu", ["createImage", "create"]),
        ("shelve", "simulated", ["shelve", "create"]),
        ("shelve", "qemu", ["shelve", "create"]),
        ("unshelve", "simulated", ["unshelve", "shelve", "create"]),
        ("attach interface", "simulated", ["attach_interface", "create"]),
        ("attach interface", "qemu", ["attach_interface", "create"]),
        ("detach interface", "simulated", ["detach_interface", "create"]),
        ("detach interface", "qemu", ["detach_interface", "create"]),
        ("soft delete", "simulated", ["delete", "create"]),
        ("restore", "simulated", ["restore", "delete", "create"]),
    ],
)
def test_an_operation_survives_a_kill_at_any_commit(
    scenario: str, driver: str, actions: list[str], state_dir: Path
) -> None:
    if driver == "qemu" and shutil.which("qemu-system-x86_64") is None:
        require_or_skip("QEMU is not installed")
    at, killed, lived = 0, 0, False
    while not lived:
        at += 1
        for side in ("before", "after"):
            here = state_dir / f"{side}-{at}"
            told = live(here, driver, scenario, (side, at))
            lived = told is not None
            if told is None:
                killed += 1
                told = live(here, driver, "recover")
                assert told is not None
            _check(told, actions, was_accepted=(side, at) != ("before", 1))
            if driver == "qemu":
                assert len(_guests(here)) == sum(server["status"] == "ACTIVE" for server in told["servers"])
                _end_guests(here)  # dozens of them would be in the way of whatever else runs
    assert killed >= 6, "it made fewer commits than it has steps: were they counted?"
