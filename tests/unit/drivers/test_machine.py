"""What a QEMU says on its own, and what the driver makes of it: a monitor of our own, and a process that only waits."""

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import GuestEventKind
from kilonova.drivers.qemu import process
from kilonova.drivers.qemu.machine import MONITOR, Machine
from kilonova.drivers.qemu.watch import Watch


class Stage:
    """A machine whose QEMU is played by the test."""

    def __init__(self, directory: Path) -> None:
        self.listener = process.listen(directory, MONITOR)
        self.actor = subprocess.Popen(["sleep", "600"], cwd=directory)
        self.watch = Watch(lambda: None)
        self.told: list[tuple[GuestEventKind, str, PowerState]] = []
        self.endings: list[str] = []
        self._heard = threading.Condition()
        self.machine = Machine(
            directory,
            process.QemuProcess(self.actor.pid),
            self.watch,
            on_change=self._tell,
            on_end=self.endings.append,
        )
        greeting = threading.Thread(target=self._greet)
        greeting.start()
        self.machine.watch()
        self.machine.connect(timeout_seconds=60)
        greeting.join()

    def _greet(self) -> None:
        self.line, _ = self.listener.accept()
        self.line.settimeout(60)
        self.words = self.line.makefile("rb")
        self.say({"QMP": {}})
        self.say({"return": {}, "id": self.hear()["id"]})

    def say(self, *messages: Mapping[str, Any]) -> None:
        """Say all of it in one breath."""
        self.line.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def happen(self, event: str, **data: object) -> None:
        self.say({"event": event, "data": data})

    def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self.words.readline())
        return heard

    def await_told(self, number: int) -> tuple[GuestEventKind, str, PowerState]:
        with self._heard:
            assert self._heard.wait_for(lambda: len(self.told) >= number, 60)
            return self.told[-1]

    def leave(self) -> None:
        self.actor.kill()
        assert self.machine.ended.wait(60)
        self.actor.wait()
        self.watch.close()
        self.words.close()
        self.line.close()
        self.listener.close()

    def _tell(self, kind: GuestEventKind, detail: str) -> None:
        with self._heard:
            self.told.append((kind, detail, self.machine.state))
            self._heard.notify_all()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.leave()


def test_a_full_disk_pauses_the_guest_and_says_why(stage: Stage) -> None:
    stage.happen(
        "BLOCK_IO_ERROR", **{"node-name": "root", "operation": "write", "action": "stop", "reason": "No space"}
    )
    stage.happen("STOP")
    assert stage.await_told(1) == (GuestEventKind.IO_ERROR, "write of root: No space", PowerState.PAUSED)
    stage.happen("RESUME")
    assert stage.await_told(2) == (GuestEventKind.RESUMED, "", PowerState.RUNNING)


def test_an_error_that_the_guest_is_told_of_leaves_it_running(stage: Stage) -> None:
    stage.happen("BLOCK_IO_ERROR", **{"node-name": "root", "operation": "read", "action": "report"})
    assert stage.await_told(1) == (GuestEventKind.IO_ERROR, "read of root: failed", PowerState.RUNNING)


def test_a_panic_is_a_crash_although_qemu_goes_on(stage: Stage) -> None:
    stage.happen("GUEST_PANICKED", action="pause")
    assert stage.await_told(1)[0] is GuestEventKind.CRASHED
    assert stage.machine.state is PowerState.CRASHED


def test_the_firmwares_own_resets_after_a_reset_are_not_told(stage: Stage) -> None:
    reset = {"event": "RESET", "data": {"guest": True}}
    stage.say(reset, reset)
    stage.happen("STOP")
    stage.await_told(2)
    assert [kind for kind, _, _ in stage.told] == [GuestEventKind.RESET, GuestEventKind.PAUSED]


def test_a_reset_by_somebody_else_than_the_guest_is_not_told(stage: Stage) -> None:
    stage.happen("RESET", guest=False)
    stage.happen("STOP")
    assert stage.await_told(1)[0] is GuestEventKind.PAUSED


def test_a_guest_that_switched_itself_off_has_its_qemu_ended(stage: Stage) -> None:
    stage.happen("SHUTDOWN", guest=True, reason="guest-shutdown")
    stage.happen("STOP")
    assert stage.hear()["execute"] == "quit"
    assert stage.machine.halted
    assert stage.machine.state is PowerState.SHUTDOWN
    assert stage.told == []


def test_what_qemu_is_not_known_to_say_is_no_matter(stage: Stage) -> None:
    stage.happen("NIC_RX_FILTER_CHANGED", name="nic0")
    stage.happen("STOP")
    stage.await_told(1)


def test_an_end_is_told_with_how_it_came(stage: Stage) -> None:
    stage.actor.kill()
    assert stage.machine.ended.wait(60)
    assert stage.endings == ["its process was ended by SIGKILL"]


@pytest.mark.parametrize(
    "event, becomes", [({"event": "STOP"}, PowerState.PAUSED), ({"event": "GUEST_PANICKED"}, PowerState.CRASHED)]
)
def test_what_befell_a_guest_in_the_moment_in_which_its_state_was_told_is_not_forgotten(
    stage: Stage, event: Mapping[str, Any], becomes: PowerState
) -> None:
    def answer() -> None:
        asked = stage.hear()
        stage.say({"return": {"status": "running"}, "id": asked["id"]}, event)

    answering = threading.Thread(target=answer)
    answering.start()
    assert stage.machine.find_state() == "running"
    answering.join()
    stage.await_told(1)
    assert stage.machine.state is becomes
