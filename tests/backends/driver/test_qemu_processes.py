"""The qemu driver and its processes: found, held, told apart, never left behind."""

import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.instances.console import LIMIT_BYTES
from kilonova.drivers.instances.definition import find_definition, save_definition
from kilonova.drivers.protocol import GuestEventKind
from tests.backends.driver.worlds import QemuWorld, guest_spec
from tests.waiting import wait_until

DIES_AT = """
import os, sys
from pathlib import Path
from kilonova.drivers.disks import cache
from kilonova.drivers.qemu import QemuDriver, guest, process
from tests.backends.driver.worlds import guest_spec
real = {module}.{step}
def die(*arguments, **named):
    if {after}:
        real(*arguments, **named)
    os._exit(9)
{module}.{step} = die
driver = QemuDriver(state_dir=Path(sys.argv[1]), node="host-1")
driver.start(print)
driver.spawn(guest_spec(uuid=sys.argv[2]))
"""
STEPS = (
    ("guest", "save_definition", False),
    ("guest", "save_definition", True),
    ("guest", "make_disks", False),
    ("cache", "_download", True),
    ("cache", "_verify_bytes", False),
    ("guest", "make_disks", True),
    ("process", "listen", True),
    ("process", "launch", False),
    ("process", "launch", True),
    ("process", "connect", True),
)


def die_in_spawn(state_dir: Path, guest: str, step: tuple[str, str, bool]) -> None:
    """Run a driver in a process of its own that dies, as by kill -9, before or after a step of a spawn."""
    module, name, after = step
    program = DIES_AT.format(module=module, step=name, after=after)
    done = subprocess.run([sys.executable, "-c", program, str(state_dir), guest], check=False, capture_output=True)
    assert done.returncode == 9, done.stderr.decode()


@pytest.fixture
def restarted_qemu(qemu: QemuWorld) -> Iterator[QemuWorld]:
    """A world whose driver is closed, so that another process can have the state directory."""
    qemu.driver.close()
    yield qemu
    if not qemu.driver.list_guests():
        qemu.restart()


# --- a death in between ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[1]}-{'after' if step[2] else 'before'}")
def test_a_spawn_cut_off_by_kill_9_is_finished_by_the_next(
    restarted_qemu: QemuWorld, step: tuple[str, str, bool]
) -> None:
    world, spec = restarted_qemu, guest_spec()
    die_in_spawn(world.state_dir, spec.uuid, step)
    world.restart()
    world.spawn_ready(spec)
    assert world.driver.list_guests() == {spec.uuid: PowerState.RUNNING}
    assert len(world.pids()) == 1


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[1]}-{'after' if step[2] else 'before'}")
def test_a_spawn_cut_off_by_kill_9_is_removed_by_destroy(
    restarted_qemu: QemuWorld, step: tuple[str, str, bool]
) -> None:
    world, guest = restarted_qemu, str(uuid.uuid4())
    die_in_spawn(world.state_dir, guest, step)
    world.restart()
    world.driver.destroy(guest)
    assert world.driver.list_guests() == {}
    assert world.pids() == {}
    assert list(world.instances.iterdir()) == []


def test_a_guest_that_ended_while_nobody_watched_has_crashed(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.driver.close()
    qemu.crash(guest)
    wait_until(lambda: not qemu.pids(), "the end of QEMU")
    qemu.restart()
    assert qemu.driver.power_state(guest) is PowerState.CRASHED
    qemu.await_event(guest, GuestEventKind.CRASHED)


def test_a_guest_that_switched_itself_off_while_nobody_watched_is_off(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.driver.close()
    qemu.shut_down_from_inside(guest)
    log = qemu.instances / guest / "console.log"
    wait_until(lambda: b"asked to go, off" in log.read_bytes(), "the guest to switch itself off")
    qemu.restart()
    wait_until(lambda: qemu.driver.power_state(guest) is PowerState.SHUTDOWN, "the guest to be off")
    wait_until(lambda: not qemu.pids(), "the end of QEMU")
    qemu.driver.power_on(guest)
    qemu.await_boots(guest, 2)


def test_guests_are_off_and_not_crashed_after_the_host_was_restarted(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.driver.close()
    qemu.crash(guest)
    wait_until(lambda: not qemu.pids(), "the end of QEMU")
    directory = qemu.instances / guest
    kept = find_definition(directory)
    assert kept is not None
    object.__setattr__(kept, "boot_id", "of an earlier run")
    save_definition(directory, kept)
    qemu.restart()
    assert qemu.driver.power_state(guest) is PowerState.SHUTDOWN
    assert qemu.await_event(guest, GuestEventKind.STOPPED).detail == "the host was restarted"


def test_a_guest_whose_definition_cannot_be_read_goes_on_until_it_is_destroyed(qemu: QemuWorld) -> None:
    spec = guest_spec()
    guest = qemu.spawn_ready(spec)
    qemu.driver.close()
    (qemu.instances / guest / "guest.json").write_text('{"format": 99}')
    qemu.restart()
    assert qemu.driver.list_guests() == {guest: PowerState.RUNNING}
    with pytest.raises(GuestFailure, match="not on its host"):
        qemu.driver.power_off(guest, timeout_seconds=0)
    assert len(qemu.pids()) == 1
    qemu.driver.destroy(guest)
    assert qemu.pids() == {}


def test_a_directory_that_is_not_understood_is_never_spawned_over(qemu: QemuWorld) -> None:
    spec = guest_spec()
    qemu.spawn_ready(spec)
    qemu.driver.power_off(spec.uuid, timeout_seconds=0)
    (qemu.instances / spec.uuid / "guest.json").write_text('{"format": 99}')
    qemu.restart()
    with pytest.raises(GuestFailure, match="not understood"):
        qemu.driver.spawn(spec)
    assert (qemu.instances / spec.uuid / "root.qcow2").exists()


# --- processes that are not ours, and directories that are not alone ---------------------------------------


def test_other_qemus_are_not_touched(qemu: QemuWorld, tmp_path: Path) -> None:
    guest, theirs = qemu.spawn_ready(guest_spec()), str(uuid.uuid4())
    line = [host.SYSTEM_BINARY, "-nodefaults", "-display", "none", "-machine", "none", "-uuid", theirs, "-S"]
    (tmp_path / "instances" / theirs).mkdir(parents=True)
    with subprocess.Popen(line, cwd=tmp_path / "instances" / theirs) as foreign:
        try:
            qemu.restart()
            assert set(qemu.driver.list_guests()) == {guest}
            qemu.driver.destroy(theirs)
            qemu.driver.destroy(guest)
            assert foreign.poll() is None
        finally:
            foreign.kill()


def test_a_qemu_without_a_directory_is_ended_at_the_next_start(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.driver.close()
    shutil.rmtree(qemu.instances / guest)
    qemu.restart()
    assert qemu.driver.list_guests() == {}
    wait_until(lambda: not _runs(guest), "the end of the orphan")


def _runs(guest: str) -> bool:
    said = subprocess.run(["ps", "-eo", "stat,args"], check=True, capture_output=True, text=True).stdout
    return any(guest in line and not line.startswith("Z") for line in said.splitlines())


def test_two_drivers_cannot_have_one_state_directory(qemu: QemuWorld) -> None:
    second = qemu.make()
    with pytest.raises(HypervisorUnavailable, match="another process"):
        second.start(qemu.events.append)


def test_a_state_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    world = QemuWorld.__new__(QemuWorld)
    world.state_dir = tmp_path / "file" / "state"
    with pytest.raises(HypervisorUnavailable, match="state directory"):
        world.make().start(print)


def test_a_very_deep_state_directory_serves_as_well(tmp_path: Path) -> None:
    if host.find_qemu() is None:
        pytest.skip("QEMU is not installed")
    world = QemuWorld(tmp_path / ("d" * 120) / ("e" * 120))
    try:
        guest = world.spawn_ready(guest_spec())
        world.restart()
        world.shut_down_from_inside(guest)
        world.await_event(guest, GuestEventKind.STOPPED)
    finally:
        world.clean_up()


# --- trouble with a guest that runs ------------------------------------------------------------------------


def test_memory_that_the_host_does_not_have_is_not_given(qemu: QemuWorld) -> None:
    with pytest.raises(GuestFailure, match=r"not enough free memory: 16777216 MB asked, \d+ MB free") as failure:
        qemu.driver.spawn(guest_spec(memory_mb=16 << 20))
    assert failure.value.cause is FaultCause.MEMORY_SHORT
    assert qemu.driver.list_guests() == {}


def test_a_guest_whose_image_vanished_says_so_when_started(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.driver.power_off(guest, timeout_seconds=0)
    for image in (qemu.state_dir / "images").iterdir():
        image.unlink()
    with pytest.raises(GuestFailure) as failure:
        qemu.driver.power_on(guest)
    assert failure.value.cause is FaultCause.IMAGE_UNAVAILABLE
    assert qemu.driver.power_state(guest) is PowerState.SHUTDOWN


def test_a_guest_ended_by_sigterm_counts_as_switched_off(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.signal(guest, signal.SIGTERM)
    assert qemu.await_event(guest, GuestEventKind.STOPPED).power_state is PowerState.SHUTDOWN


def test_a_hung_qemu_is_destroyed_at_once(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.signal(guest, signal.SIGSTOP)
    qemu.driver.destroy(guest)
    assert qemu.pids() == {}


@pytest.mark.slow
def test_a_hung_qemu_is_cured_by_a_hard_reboot(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.signal(guest, signal.SIGSTOP)
    with pytest.raises(GuestFailure) as failure:
        qemu.driver.pause(guest)
    assert failure.value.cause is FaultCause.GUEST_UNRESPONSIVE
    qemu.driver.reboot(guest, hard=True, timeout_seconds=0)
    qemu.await_boots(guest, 2)


def test_a_guest_that_does_not_obey_is_powered_off_when_its_time_is_over(qemu: QemuWorld) -> None:
    spec = guest_spec(image=None, root_gb=1)  # nothing boots, nobody listens to the button
    qemu.driver.spawn(spec)
    qemu.driver.power_off(spec.uuid, timeout_seconds=0.5)
    assert qemu.driver.power_state(spec.uuid) is PowerState.SHUTDOWN
    qemu.driver.reboot(spec.uuid, hard=False, timeout_seconds=0.5)
    assert qemu.driver.power_state(spec.uuid) is PowerState.RUNNING


def test_a_paused_guest_does_nothing_until_it_goes_on(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.driver.pause(guest)
    with qemu.serial_line(guest) as line:
        line.sendall(b"echo")
        line.setblocking(False)
        with pytest.raises(BlockingIOError):
            line.recv(1)
        qemu.driver.unpause(guest)
        line.settimeout(60)
        assert line.recv(1) == b"e"


def test_the_console_keeps_what_was_written_before_a_restart_and_is_cut_when_long(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.driver.power_off(guest, timeout_seconds=0)
    log = qemu.instances / guest / "console.log"
    with log.open("ab") as file:
        file.write(b"a line that is written over and over\r\n" * (2 * LIMIT_BYTES // 38))
    qemu.driver.power_on(guest)
    text = qemu.await_boots(guest, 2)
    assert log.stat().st_size < LIMIT_BYTES
    assert text.splitlines()[0] == "a line that is written over and over"


def test_a_state_directory_may_be_moved_while_no_guest_runs(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.driver.power_off(guest, timeout_seconds=0)
    qemu.driver.close()
    qemu.state_dir = qemu.state_dir.rename(qemu.state_dir.with_name("elsewhere"))
    qemu.restart()
    qemu.driver.power_on(guest)
    qemu.await_boots(guest, 2)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_guest_whose_disk_cannot_grow_is_paused_and_goes_on_once_it_can(small_disk: Path) -> None:
    if host.find_qemu() is None:
        pytest.skip("QEMU is not installed")
    world, filler, spec = QemuWorld(small_disk), small_disk / "filler", guest_spec()
    try:
        # Room for the overlay of 192 KiB and some small files, and not for its first cluster of 64 KiB.
        filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - (240 << 10)))
        world.driver.spawn(spec)
        event = world.await_event(spec.uuid, GuestEventKind.IO_ERROR)
        assert event.power_state is PowerState.PAUSED
        assert event.detail == "write of root: No space left on device"
        filler.unlink()
        world.driver.unpause(spec.uuid)
        world.await_boots(spec.uuid, 1)
    finally:
        world.clean_up()


def test_a_spawn_on_a_full_disk_says_so_and_leaves_nothing(small_disk: Path) -> None:
    if host.find_qemu() is None:
        pytest.skip("QEMU is not installed")
    world, filler, spec = QemuWorld(small_disk), small_disk / "filler", guest_spec()
    try:
        filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - (100 << 10)))
        with pytest.raises(GuestFailure) as failure:
            world.driver.spawn(spec)
        assert failure.value.cause is FaultCause.DISK_FULL
        assert world.driver.list_guests() == {}
    finally:
        world.clean_up()
