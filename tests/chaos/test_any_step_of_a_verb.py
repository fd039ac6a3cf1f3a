"""What suspends, rescues, moves or changes a guest, cut off at any of its steps, is finished when asked for again.

Real QEMU guests, and a real process that is killed. A guest never boots where it should have gone on, and never runs
from the wrong disk.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.protocol import CanLiveMigrate, CanMove, GuestSpec
from tests.backends.driver.worlds import QemuWorld, guest_spec
from tests.chaos.driver_process import CARD, RESCUE
from tests.services_available import require_or_skip
from tests.waiting import Patience

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
PATIENCE = Patience(240, afterwards=60)
MOST_STEPS = 60
LEAST_LIVE_STEPS = {"prepare_live": 2, "live_migrate": 15, "arrive": 2}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[QemuWorld]:
    if host.find_qemu() is None:
        require_or_skip("QEMU is not installed")
    made = QemuWorld(tmp_path / "state")
    yield made
    made.clean_up()


def _is_killed(world: QemuWorld, guest: str, verb: str, at: int) -> bool:
    """Have the verb done elsewhere, up to its Nth step; False if it has fewer."""
    world.driver.close()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.chaos.driver_process", str(world.state_dir), guest, verb, str(at)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=PATIENCE.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        PATIENCE.lose()
        raise
    world.restart()
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def _boots(world: QemuWorld, guest: str, number: int) -> int:
    return world.driver.console_log(guest, lines=None).count(f"READY boots={number}\n")


def _command_line(world: QemuWorld, guest: str) -> str:
    """That of the QEMU that runs the guest."""
    return Path(f"/proc/{world.pids()[guest]}/cmdline").read_text()


@pytest.mark.parametrize("verb", ["suspend", "resume"])
def test_a_guest_goes_on_whatever_step_of_its_suspension_was_the_last(world: QemuWorld, verb: str) -> None:
    guest = world.spawn_ready(guest_spec())
    for at in range(1, MOST_STEPS):
        if verb == "resume":
            world.driver.suspend(guest)
        killed = _is_killed(world, guest, verb, at)
        if verb == "suspend":
            world.driver.suspend(guest)
            assert world.driver.power_state(guest) is PowerState.SHUTDOWN, at
        world.driver.resume(guest)
        assert world.driver.power_state(guest) is PowerState.RUNNING, at
        assert _boots(world, guest, 2) == 0, at
        if not killed:
            break
    assert 5 < at < MOST_STEPS - 1, "were its steps counted?"
    world.driver.power_off(guest, timeout_seconds=20)
    assert "power button, off" in world.driver.console_log(guest, lines=None)


@pytest.mark.parametrize("verb", ["rescue", "unrescue"])
def test_a_guest_runs_from_the_right_disk_whatever_step_of_its_rescue_was_the_last(world: QemuWorld, verb: str) -> None:
    guest = world.spawn_ready(guest_spec())
    for at in range(1, MOST_STEPS):
        if verb == "unrescue":
            world.driver.rescue(guest, RESCUE, timeout_seconds=20)
        killed = _is_killed(world, guest, verb, at)
        if verb == "rescue":
            world.driver.rescue(guest, RESCUE, timeout_seconds=20)
            assert "rescue.qcow2" in _command_line(world, guest), at
        world.driver.unrescue(guest)
        assert world.driver.power_state(guest) is PowerState.RUNNING, at
        assert "rescue.qcow2" not in _command_line(world, guest), at
        assert not (world.instances / guest / "rescue.qcow2").exists(), at
        if not killed:
            break
    assert 3 < at < MOST_STEPS - 1, "were its steps counted?"


@pytest.mark.parametrize("verb", ["plug", "unplug"])
def test_a_guest_has_the_right_cards_whatever_step_of_a_change_was_the_last(world: QemuWorld, verb: str) -> None:
    spec = guest_spec()
    guest, first = world.spawn_ready(spec), spec.nics[0].mac
    for at in range(1, MOST_STEPS):
        if verb == "unplug":
            world.driver.plug(guest, CARD)
        killed = _is_killed(world, guest, verb, at)
        if verb == "plug":
            world.driver.plug(guest, CARD)
            assert world.macs_of(guest) == [first, CARD.mac], at
        world.driver.unplug(guest, CARD.mac)
        assert world.macs_of(guest) == [first], at
        if not killed:
            break
    assert 3 < at < MOST_STEPS - 1, "were its steps counted?"
    assert _boots(world, guest, 2) == 0


@pytest.mark.parametrize("verb", ["migrate_out", "take_in", "revert_move"])
def test_a_guest_has_its_disk_and_only_once_whatever_step_of_its_move_was_the_last(world: QemuWorld, verb: str) -> None:
    spec = guest_spec()
    guest, driver = world.spawn_ready(spec), cast("Callable[[], CanMove]", lambda: world.driver)
    parcel = {"directory": str(world.state_dir.resolve() / "aside" / guest)}
    for at in range(1, MOST_STEPS):
        if verb != "migrate_out":
            assert driver().migrate_out(guest, timeout_seconds=20) == parcel
        if verb == "revert_move":
            driver().take_in(spec, parcel, power_on=False)
            driver().drop_moved(guest)
        killed = _is_killed(world, guest, verb, at)
        if verb == "revert_move":
            driver().revert_move(guest, power_on=True)
        else:
            if verb == "migrate_out":
                assert driver().migrate_out(guest, timeout_seconds=20) == parcel
            driver().take_in(spec, parcel, power_on=True)
            driver().confirm_move(guest)
        assert world.driver.list_guests() == {guest: PowerState.RUNNING}, at
        assert not list((world.state_dir / "aside").iterdir()), at
        world.await_boots(guest, at + 1)
        if not killed:
            break
    assert 2 < at < MOST_STEPS - 1, "were its steps counted?"


@pytest.mark.parametrize("verb", ["prepare_live", "live_migrate", "arrive"])
def test_a_guest_runs_once_and_goes_on_whatever_step_of_its_live_migration_was_the_last(
    world: QemuWorld, tmp_path: Path, verb: str
) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    other = QemuWorld(tmp_path / "other")
    try:
        here, there = world, other
        for at in range(1, MOST_STEPS):
            killed = _move_with_a_kill(here, there, spec, verb, at)
            assert here.driver.list_guests() == {}, at
            assert there.driver.list_guests() == {guest: PowerState.RUNNING}, at
            assert len(here.pids() | there.pids()) == 1, at
            here, there = there, here
            if not killed:
                break
        assert LEAST_LIVE_STEPS[verb] < at < MOST_STEPS - 1, "were its steps counted?"
        assert _boots(here, guest, 2) == 0
        here.driver.power_off(guest, timeout_seconds=20)
        assert "power button, off" in here.driver.console_log(guest, lines=None), "it hears, so it runs"
    finally:
        other.clean_up()


def _move_with_a_kill(here: QemuWorld, there: QemuWorld, spec: GuestSpec, verb: str, at: int) -> bool:
    """A whole move, in which one verb is cut off at its Nth step; False if it has fewer."""
    killed = verb == "prepare_live" and _is_killed(there, spec.uuid, verb, at)
    target = _live(there).prepare_live(spec)
    if verb == "live_migrate":
        killed = _is_killed(here, spec.uuid, verb, at)
    try:
        if killed and at % 2 and here.pids():
            raise _CalledOffError
        parcel = _live(here).live_migrate(spec.uuid, target, _ignore)
    except (GuestFailure, _CalledOffError):  # what waits there may have ended with the first try
        assert killed, at
        _live(here).stay(spec.uuid)
        assert here.driver.power_state(spec.uuid) is PowerState.RUNNING, at
        _live(there).cancel_live(spec.uuid)
        parcel = _live(here).live_migrate(spec.uuid, _live(there).prepare_live(spec), _ignore)
    killed = killed or (verb == "arrive" and _is_killed(there, spec.uuid, verb, at))
    _live(there).arrive(spec, parcel)
    cast("CanMove", here.driver).confirm_move(spec.uuid)
    return killed


class _CalledOffError(Exception):
    """Whoever was killed does not want the move any more."""


def _ignore(_: Mapping[str, int]) -> None:
    """Nobody watches."""


def _live(world: QemuWorld) -> CanLiveMigrate:
    return cast("CanLiveMigrate", world.driver)
