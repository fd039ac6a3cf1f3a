"""What drivers do in the same way that can suspend and rescue: the qemu and the simulated one."""

from collections.abc import Callable

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.images.guests import tiny
from tests.backends.driver.images import bootable_cd
from tests.backends.driver.worlds import World, guest_spec, image_of

ABSENT = "99999999-9999-4999-8999-999999999999"
RESCUE = image_of(tiny.image(), "raw", image_id="22222222-2222-4333-8444-555555555555")


def _console(world: World, guest: str) -> str:
    return world.driver.console_log(guest, lines=None)


# --- suspend -----------------------------------------------------------------------------------------------


def test_a_suspended_guest_goes_on_where_it_was(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.suspend(guest)
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN
    world.driver.resume(guest)
    assert world.driver.power_state(guest) is PowerState.RUNNING
    world.driver.power_off(guest, timeout_seconds=20)
    assert "power button, off" in _console(world, guest), "it runs, and was not only said to"
    assert "boots=2" not in _console(world, guest), "it went on, and did not boot"


def test_to_suspend_and_to_resume_twice_is_to_do_it_once(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.suspend(guest)
    world.driver.suspend(guest)
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN
    world.driver.resume(guest)
    world.driver.resume(guest)
    assert world.driver.power_state(guest) is PowerState.RUNNING
    assert "boots=2" not in _console(world, guest)


def test_a_guest_can_be_suspended_again_after_it_went_on(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    for _ in range(2):
        world.driver.suspend(guest)
        world.driver.resume(guest)
    world.driver.power_off(guest, timeout_seconds=20)
    assert "power button, off" in _console(world, guest)
    assert "boots=2" not in _console(world, guest)


def test_a_later_driver_finds_a_suspended_guest_and_lets_it_go_on(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.suspend(guest)
    world.restart()
    assert world.driver.list_guests() == {guest: PowerState.SHUTDOWN}
    world.driver.resume(guest)
    assert world.driver.power_state(guest) is PowerState.RUNNING
    assert "boots=2" not in _console(world, guest)
    assert world.events == []


@pytest.mark.parametrize("verb", ["power_on", "reboot"])
def test_a_suspended_guest_that_is_started_boots_anew(world: World, verb: str) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.suspend(guest)
    if verb == "power_on":
        world.driver.power_on(guest)
    else:
        world.driver.reboot(guest, hard=True, timeout_seconds=0)
    world.await_boots(guest, 2)
    world.driver.power_off(guest, timeout_seconds=0)
    with pytest.raises(GuestFailure, match="not running"):
        world.driver.resume(guest)


def test_a_stopped_guest_can_be_neither_suspended_nor_resumed(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.power_off(guest, timeout_seconds=0)
    with pytest.raises(GuestFailure, match="not running"):
        world.driver.suspend(guest)
    with pytest.raises(GuestFailure, match="not running"):
        world.driver.resume(guest)


def test_a_suspended_guest_can_be_destroyed(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.suspend(guest)
    world.driver.destroy(guest)
    assert world.driver.list_guests() == {}


# --- rescue ------------------------------------------------------------------------------------------------


def test_a_rescued_guest_boots_from_the_other_disk_and_then_from_its_own_again(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.rescue(guest, RESCUE, timeout_seconds=20)
    assert world.driver.power_state(guest) is PowerState.RUNNING
    world.await_boot_count(guest, 1, 2)
    assert "boots=2" not in _console(world, guest), "its own disk was not booted"
    world.driver.unrescue(guest)
    assert world.driver.power_state(guest) is PowerState.RUNNING
    world.await_boots(guest, 2)


def test_to_rescue_and_to_unrescue_twice_is_to_do_it_once(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    for _ in range(2):
        world.driver.rescue(guest, RESCUE, timeout_seconds=20)
    world.await_boot_count(guest, 1, 2)
    for _ in range(2):
        world.driver.unrescue(guest)
    world.await_boots(guest, 2)
    assert "boots=3" not in _console(world, guest)


def test_a_stopped_guest_can_be_rescued(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.power_off(guest, timeout_seconds=0)
    world.driver.rescue(guest, RESCUE, timeout_seconds=20)
    world.await_boot_count(guest, 1, 2)


def test_a_guest_is_rescued_from_its_own_image_with_a_disk_of_its_own(world: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    assert spec.image is not None
    world.driver.rescue(guest, spec.image, timeout_seconds=20)
    world.await_boot_count(guest, 1, 2)
    assert "boots=2" not in _console(world, guest)


def test_a_later_driver_finds_a_rescued_guest_and_ends_its_rescue(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.rescue(guest, RESCUE, timeout_seconds=20)
    world.await_boot_count(guest, 1, 2)
    world.restart()
    world.driver.rescue(guest, RESCUE, timeout_seconds=20)
    assert world.driver.list_guests() == {guest: PowerState.RUNNING}
    world.driver.unrescue(guest)
    world.await_boots(guest, 2)
    assert world.events == []


def test_a_rescued_guest_stays_rescued_over_a_reboot(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.rescue(guest, RESCUE, timeout_seconds=20)
    world.await_boot_count(guest, 1, 2)
    world.driver.reboot(guest, hard=True, timeout_seconds=0)
    world.driver.unrescue(guest)
    world.await_boots(guest, 2)


def test_nobody_is_rescued_from_a_cd_and_the_guest_keeps_its_disk(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    with pytest.raises(GuestFailure) as failure:
        world.driver.rescue(guest, image_of(bootable_cd(), "iso"), timeout_seconds=20)
    assert failure.value.cause is FaultCause.IMAGE_REFUSED
    assert world.driver.power_state(guest) is PowerState.RUNNING


def test_a_rescued_guest_can_be_destroyed(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.rescue(guest, RESCUE, timeout_seconds=0)
    world.driver.destroy(guest)
    assert world.driver.list_guests() == {}


def test_a_guest_that_is_not_there_is_missed_by_these_verbs_too(world: World) -> None:
    driver = world.driver
    verbs: tuple[Callable[[], None], ...] = (
        lambda: driver.suspend(ABSENT),
        lambda: driver.resume(ABSENT),
        lambda: driver.rescue(ABSENT, RESCUE, timeout_seconds=0),
        lambda: driver.unrescue(ABSENT),
    )
    for verb in verbs:
        with pytest.raises(GuestFailure) as failure:
            verb()
        assert failure.value.cause is FaultCause.GUEST_MISSING


def test_what_these_verbs_did_is_not_announced(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.suspend(guest)
    world.driver.resume(guest)
    world.driver.rescue(guest, RESCUE, timeout_seconds=20)
    world.driver.unrescue(guest)
    world.driver.destroy(guest)
    world.driver.close()  # tells all that was announced
    assert world.events == []
