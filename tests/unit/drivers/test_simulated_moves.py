"""Simulated guests that move: set aside, taken in, taken back; while they run, called off or hurried."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import CanLiveMigrate, CanMove, GuestSpec
from kilonova.drivers.simulated import Instant, Pace, SimulatedDriver, Stepped

UUID = "11111111-2222-4333-8444-555555555555"


def _spec(root_gb: int = 1) -> GuestSpec:
    return GuestSpec(
        uuid=UUID,
        name="instance-00000001",
        display_name="web1",
        project_id="p",
        user_id="u",
        vcpus=1,
        memory_mb=128,
        root_gb=root_gb,
        image=None,
    )


_made: list[SimulatedDriver] = []


@pytest.fixture(autouse=True)
def _closing() -> Iterator[None]:
    yield
    while _made:
        _made.pop().close()


def _driver(state_dir: Path | None = None, pace: Pace | None = None) -> SimulatedDriver:
    driver = SimulatedDriver(state_dir=state_dir, pace=pace or Instant())
    driver.start(lambda _: None)
    _made.append(driver)
    return driver


def _ignore(_progress: Mapping[str, int]) -> None:
    """Nobody watches."""


def test_it_can_move_guests_both_ways() -> None:
    assert isinstance(_driver(), CanMove)
    assert isinstance(_driver(), CanLiveMigrate)


def test_a_guest_that_moved_out_is_set_aside_also_across_a_restart(tmp_path: Path) -> None:
    source = _driver(tmp_path)
    source.spawn(_spec())
    parcel = source.migrate_out(UUID, timeout_seconds=0)
    again = _driver(tmp_path)
    assert again.list_guests() == {UUID: PowerState.SHUTDOWN}
    assert again.migrate_out(UUID, timeout_seconds=0) == parcel
    again.revert_move(UUID, power_on=True)
    again.revert_move(UUID, power_on=True)
    assert again.list_guests() == {UUID: PowerState.RUNNING}
    assert again.console_log(UUID, lines=None).count("READY boots=2") == 1


def test_a_guest_that_is_taken_in_goes_on_counting_its_boots() -> None:
    source, destination = _driver(), _driver()
    source.spawn(_spec())
    parcel = source.migrate_out(UUID, timeout_seconds=0)
    for _ in range(2):
        destination.take_in(_spec(root_gb=2), parcel, power_on=True)
    assert destination.console_log(UUID, lines=None).count("READY boots=2") == 1
    source.confirm_move(UUID)
    source.confirm_move(UUID)
    assert source.list_guests() == {}


def test_what_is_set_aside_and_what_took_its_place_live_on_one_host() -> None:
    driver = _driver()
    driver.spawn(_spec())
    parcel = driver.migrate_out(UUID, timeout_seconds=0)
    driver.take_in(_spec(root_gb=2), parcel, power_on=True)
    driver.drop_moved(UUID)
    driver.drop_moved(UUID)
    assert driver.power_state(UUID) is PowerState.SHUTDOWN
    driver.revert_move(UUID, power_on=False)
    assert driver.power_state(UUID) is PowerState.SHUTDOWN
    driver.migrate_out(UUID, timeout_seconds=0)
    driver.take_in(_spec(root_gb=2), parcel, power_on=False)
    driver.destroy(UUID)
    assert driver.list_guests() == {}


def test_a_disk_does_not_shrink() -> None:
    driver = _driver()
    driver.spawn(_spec(root_gb=2))
    parcel = driver.migrate_out(UUID, timeout_seconds=0)
    with pytest.raises(GuestFailure, match="cannot shrink from 2 to 1 GiB") as failure:
        driver.take_in(_spec(root_gb=1), parcel, power_on=True)
    assert failure.value.cause is FaultCause.NOT_SUPPORTED


def test_a_running_guest_arrives_without_a_boot_and_tells_how_far_it_is() -> None:
    source, destination = _driver(), _driver()
    source.spawn(_spec())
    destination.prepare_live(_spec())
    assert destination.power_state(UUID) is PowerState.NOSTATE
    heard: list[Mapping[str, int]] = []
    parcel = source.live_migrate(UUID, {}, heard.append)
    assert [each["memory_remaining_bytes"] for each in heard][-1] == 0
    assert source.live_migrate(UUID, {}, heard.append) == parcel
    for _ in range(2):
        destination.arrive(_spec(), parcel)
    assert destination.power_state(UUID) is PowerState.RUNNING
    assert destination.console_log(UUID, lines=None).count("READY boots=") == 1
    destination.cancel_live(UUID)
    assert destination.power_state(UUID) is PowerState.RUNNING


def test_a_guest_that_was_on_its_way_stays_when_that_is_wanted() -> None:
    source, destination = _driver(), _driver()
    source.spawn(_spec())
    destination.prepare_live(_spec())
    source.live_migrate(UUID, {}, _ignore)
    source.stay(UUID)
    destination.cancel_live(UUID)
    assert (source.power_state(UUID), destination.list_guests()) == (PowerState.RUNNING, {})


@pytest.mark.parametrize("way", ["abort_live", "force_complete_live"])
def test_a_live_migration_is_called_off_or_hurried_while_it_runs(way: str) -> None:
    pace = Stepped()
    driver = _driver(pace=pace)
    making = threading.Thread(target=driver.spawn, args=(_spec(),))
    making.start()
    assert pace.wait_for_waiters(1)
    pace.advance(10)
    making.join(60)
    raised: list[GuestFailure] = []

    def move() -> None:
        try:
            driver.live_migrate(UUID, {}, _ignore)
        except GuestFailure as failure:
            raised.append(failure)

    moving = threading.Thread(target=move)
    moving.start()
    assert pace.wait_for_waiters(1)
    getattr(driver, way)(UUID)
    pace.advance(0.25)
    moving.join(60)
    assert not moving.is_alive()
    assert [failure.cause for failure in raised] == ([FaultCause.ABORTED] if way == "abort_live" else [])
    assert driver.power_state(UUID) is PowerState.RUNNING
