"""Guests that move while they run: nothing is booted, nothing is lost, and what is called off goes on where it was."""

import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import CanLiveMigrate, CanMove, GuestSpec
from tests.backends.driver.worlds import QemuWorld, World, guest_spec


@pytest.fixture
def other(world: World) -> Iterator[World]:
    """Another host of the same machine, beside the first one."""
    made = world.another(world.state_dir.parent / "other")
    yield made
    made.clean_up()


def live(world: World) -> CanLiveMigrate:
    assert isinstance(world.driver, CanLiveMigrate)
    return cast("CanLiveMigrate", world.driver)


def ignore(_: Mapping[str, int]) -> None:
    """Nobody watches."""


def move(source: World, destination: World, spec: GuestSpec) -> list[Mapping[str, int]]:
    """Every step, each of them twice where that may happen; what was told on the way."""
    heard: list[Mapping[str, int]] = []
    live(destination).check_live_destination(spec)
    live(source).check_live_source(spec.uuid)
    target = live(destination).prepare_live(spec)
    assert destination.driver.power_state(spec.uuid) is PowerState.NOSTATE
    parcel = live(source).live_migrate(spec.uuid, target, heard.append)
    assert live(source).live_migrate(spec.uuid, target, heard.append) == parcel
    for _ in range(2):
        live(destination).arrive(spec, parcel)
    cast("CanMove", source.driver).confirm_move(spec.uuid)
    return heard


def test_a_running_guest_goes_on_elsewhere_without_a_boot(world: World, other: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    heard = move(world, other, spec)
    assert other.driver.power_state(guest) is PowerState.RUNNING
    assert world.driver.list_guests() == {}
    assert other.driver.console_log(guest, lines=None).count("READY boots=") == 1
    assert any(each.get("memory_total_bytes", 0) > 0 for each in heard)
    other.driver.power_off(guest, timeout_seconds=20)
    assert "power button, off" in other.driver.console_log(guest, lines=None), "it hears, so it runs"
    other.driver.power_on(guest)
    other.await_boots(guest, 2)


def test_a_frozen_guest_arrives_frozen(world: World, other: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    world.driver.pause(guest)
    move(world, other, spec)
    assert other.driver.power_state(guest) is PowerState.PAUSED
    other.driver.unpause(guest)
    assert other.driver.power_state(guest) is PowerState.RUNNING


def test_a_guest_that_is_off_cannot_be_sent(world: World, other: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    world.driver.power_off(guest, timeout_seconds=0)
    with pytest.raises(GuestFailure, match="not running"):
        live(world).check_live_source(guest)


def test_what_was_made_ready_goes_when_it_is_not_wanted(world: World, other: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    live(other).prepare_live(spec)
    for _ in range(2):
        live(other).cancel_live(guest)
    live(world).stay(guest)
    assert other.driver.list_guests() == {}
    assert world.driver.power_state(guest) is PowerState.RUNNING
    live(world).abort_live(guest)
    live(world).force_complete_live(guest)


# --- QEMU's own ways ---------------------------------------------------------------------------------------


@pytest.fixture
def second(qemu: QemuWorld) -> Iterator[QemuWorld]:
    """Another QEMU host beside the first one."""
    made = QemuWorld(qemu.state_dir.parent / "second")
    yield made
    made.clean_up()


def test_all_disks_come_along_and_are_those_that_the_guest_goes_on_with(qemu: QemuWorld, second: QemuWorld) -> None:
    spec = guest_spec(root_gb=1, ephemeral_gb=1, swap_mb=8, config_drive=True)
    guest = qemu.spawn_ready(spec)
    qemu.driver.reboot(guest, hard=True, timeout_seconds=0)
    qemu.await_boots(guest, 2)
    config = (qemu.instances / guest / "config.iso").read_bytes()
    move(qemu, second, spec)
    assert (second.instances / guest / "config.iso").read_bytes() == config
    second.restart()
    assert second.driver.power_state(guest) is PowerState.RUNNING
    second.driver.reboot(guest, hard=True, timeout_seconds=0)
    second.await_boots(guest, 3)
    move(second, qemu, spec)
    assert qemu.driver.power_state(guest) is PowerState.RUNNING


def test_a_guest_goes_on_where_it_was_when_the_host_it_went_to_fails(qemu: QemuWorld, second: QemuWorld) -> None:
    spec = guest_spec()
    guest = qemu.spawn_ready(spec)
    target = live(second).prepare_live(spec)
    second.signal(guest, signal.SIGKILL)
    with pytest.raises(GuestFailure):
        live(qemu).live_migrate(guest, target, ignore)
    live(second).cancel_live(guest)
    live(qemu).stay(guest)
    assert second.driver.list_guests() == {}
    qemu.driver.power_off(guest, timeout_seconds=20)
    assert "power button, off" in qemu.driver.console_log(guest, lines=None)
    assert [event for event in second.events if event.uuid == guest] == []


def test_a_guest_that_was_called_off_goes_on_and_can_be_sent_and_suspended_later(
    qemu: QemuWorld, second: QemuWorld
) -> None:
    spec = guest_spec()
    guest = qemu.spawn_ready(spec)
    target = live(second).prepare_live(spec)

    def call_off(_: Mapping[str, int]) -> None:
        live(qemu).abort_live(guest)

    with pytest.raises(GuestFailure) as failure:
        live(qemu).live_migrate(guest, target, call_off)
    assert failure.value.cause is FaultCause.ABORTED
    live(second).cancel_live(guest)
    assert qemu.driver.power_state(guest) is PowerState.RUNNING
    qemu.driver.suspend(guest)
    qemu.driver.resume(guest)
    move(qemu, second, spec)
    assert second.driver.power_state(guest) is PowerState.RUNNING


def test_a_guest_that_is_hurried_runs_where_it_arrives(qemu: QemuWorld, second: QemuWorld) -> None:
    spec = guest_spec()
    guest = qemu.spawn_ready(spec)
    target = live(second).prepare_live(spec)
    parcel = live(qemu).live_migrate(guest, target, lambda _: live(qemu).force_complete_live(guest))
    live(second).arrive(spec, parcel)
    assert second.driver.power_state(guest) is PowerState.RUNNING


def test_what_was_made_ready_is_half_made_for_a_later_driver(qemu: QemuWorld, second: QemuWorld) -> None:
    spec = guest_spec()
    guest = qemu.spawn_ready(spec)
    target = live(second).prepare_live(spec)
    second.restart()
    assert second.driver.list_guests() == {guest: PowerState.NOSTATE}
    parcel = live(qemu).live_migrate(guest, target, ignore)
    live(second).arrive(spec, parcel)
    assert second.driver.power_state(guest) is PowerState.RUNNING


def test_a_guest_of_another_machine_is_not_taken_in_while_it_runs(qemu: QemuWorld, tmp_path: Path) -> None:
    far = QemuWorld(tmp_path / "far" / "away" / "state")
    try:
        with pytest.raises(GuestFailure, match="cannot be reached") as failure:
            live(far).check_live_destination(guest_spec())
        assert failure.value.cause is FaultCause.NOT_SUPPORTED
    finally:
        far.clean_up()
