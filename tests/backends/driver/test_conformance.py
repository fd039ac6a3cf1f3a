"""What every driver does in the same way."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from kilonova.domain.errors import GuestFailure, NotFound
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import GuestEvent, GuestEventKind
from tests.backends.driver.worlds import NODE, ConsoleDriver, World, guest_spec
from tests.waiting import wait_until

ABSENT = "99999999-9999-4999-8999-999999999999"


def cause_of(failure: pytest.ExceptionInfo[GuestFailure]) -> FaultCause:
    return failure.value.cause


# --- life and death ----------------------------------------------------------------------------------------


def test_a_spawned_guest_runs_and_its_console_shows_what_it_wrote(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    assert world.driver.power_state(guest) is PowerState.RUNNING
    assert world.driver.list_guests() == {guest: PowerState.RUNNING}
    assert "READY boots=1\n" in world.driver.console_log(guest, lines=3)


def test_to_spawn_a_running_guest_again_leaves_it_alone(world: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    world.driver.spawn(spec)
    assert "boots=2" not in world.driver.console_log(guest, lines=None)
    assert world.driver.list_guests() == {guest: PowerState.RUNNING}


def test_many_callers_who_spawn_one_guest_get_one_guest(world: World) -> None:
    spec = guest_spec()
    with ThreadPoolExecutor(4) as callers:
        list(callers.map(world.driver.spawn, [spec] * 4))
    assert "boots=2" not in world.await_boots(spec.uuid, 1)


def test_a_destroyed_guest_is_gone_and_may_be_destroyed_again(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.destroy(guest)
    world.driver.destroy(guest)
    assert world.driver.list_guests() == {}
    assert world.driver.power_state(guest) is PowerState.NOSTATE


def test_a_stopped_guest_can_be_destroyed(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.power_off(guest, timeout_seconds=0)
    world.driver.destroy(guest)
    assert world.driver.list_guests() == {}


def test_a_guest_spawned_anew_after_its_destruction_remembers_nothing(world: World) -> None:
    spec = guest_spec()
    world.driver.destroy(world.spawn_ready(spec))
    world.driver.spawn(spec)
    assert "boots=2" not in world.await_boots(spec.uuid, 1)


def test_guests_do_not_know_of_one_another(world: World) -> None:
    first, second = world.spawn_ready(guest_spec()), world.spawn_ready(guest_spec())
    world.driver.power_off(first, timeout_seconds=20)
    assert world.driver.list_guests() == {first: PowerState.SHUTDOWN, second: PowerState.RUNNING}


# --- power -------------------------------------------------------------------------------------------------


def test_a_guest_is_powered_off_and_finds_its_disk_when_powered_on(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.power_off(guest, timeout_seconds=20)
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN
    assert "power button, off" in world.driver.console_log(guest, lines=None)
    world.driver.power_on(guest)
    assert world.driver.power_state(guest) is PowerState.RUNNING
    world.await_boots(guest, 2)


def test_to_stop_a_stopped_guest_and_to_start_a_started_one_succeed(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.power_on(guest)
    world.driver.power_off(guest, timeout_seconds=20)
    world.driver.power_off(guest, timeout_seconds=20)
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN
    assert "boots=2" not in world.driver.console_log(guest, lines=None)


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
def test_a_rebooted_guest_boots_once_more(world: World, hard: bool) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.reboot(guest, hard=hard, timeout_seconds=20)
    assert world.driver.power_state(guest) is PowerState.RUNNING
    assert "boots=3" not in world.await_boots(guest, 2)


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
def test_a_reboot_of_a_stopped_guest_starts_it(world: World, hard: bool) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.power_off(guest, timeout_seconds=20)
    world.driver.reboot(guest, hard=hard, timeout_seconds=20)
    world.await_boots(guest, 2)


def test_a_paused_guest_goes_on_when_unpaused(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.pause(guest)
    world.driver.pause(guest)
    assert world.driver.power_state(guest) is PowerState.PAUSED
    world.driver.unpause(guest)
    world.driver.unpause(guest)
    assert world.driver.power_state(guest) is PowerState.RUNNING
    assert "boots=2" not in world.driver.console_log(guest, lines=None)


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
def test_a_paused_guest_can_be_rebooted(world: World, hard: bool) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.pause(guest)
    world.driver.reboot(guest, hard=hard, timeout_seconds=20)
    world.await_boots(guest, 2)
    assert world.driver.power_state(guest) is PowerState.RUNNING


def test_a_paused_guest_can_be_powered_off(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.pause(guest)
    world.driver.power_off(guest, timeout_seconds=20)
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN


def test_a_stopped_guest_cannot_be_paused(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.power_off(guest, timeout_seconds=0)
    with pytest.raises(GuestFailure, match="not running"):
        world.driver.pause(guest)
    with pytest.raises(GuestFailure, match="not running"):
        world.driver.unpause(guest)


def test_a_guest_that_is_not_there_is_missed_by_every_verb_but_destroy(world: World) -> None:
    driver = world.driver
    verbs = (
        lambda: driver.power_on(ABSENT),
        lambda: driver.power_off(ABSENT, timeout_seconds=1),
        lambda: driver.reboot(ABSENT, hard=True, timeout_seconds=1),
        lambda: driver.pause(ABSENT),
        lambda: driver.unpause(ABSENT),
        lambda: driver.console_log(ABSENT, lines=None),
    )
    for verb in verbs:
        with pytest.raises(GuestFailure) as failure:
            verb()
        assert cause_of(failure) is FaultCause.GUEST_MISSING
    driver.destroy(ABSENT)
    assert driver.power_state(ABSENT) is PowerState.NOSTATE
    assert driver.list_guests() == {}


def test_the_console_gives_as_many_lines_as_are_asked_for(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.reboot(guest, hard=True, timeout_seconds=0)
    whole = world.await_boots(guest, 2)
    assert world.driver.console_log(guest, lines=1) == whole.splitlines(keepends=True)[-1]
    assert world.driver.console_log(guest, lines=0) == ""
    assert world.driver.console_log(guest, lines=10_000) == whole


# --- what happens on its own -------------------------------------------------------------------------------


def test_a_guest_that_switches_itself_off_is_announced(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.shut_down_from_inside(guest)
    event = world.await_event(guest, GuestEventKind.STOPPED)
    assert event.power_state is PowerState.SHUTDOWN
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN
    world.driver.power_on(guest)
    world.await_boots(guest, 2)


def test_a_guest_that_crashes_is_announced_and_can_be_started_again(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.crash(guest)
    event = world.await_event(guest, GuestEventKind.CRASHED)
    assert event.power_state is PowerState.CRASHED
    assert event.detail
    assert world.driver.power_state(guest) is PowerState.CRASHED
    world.driver.power_on(guest)
    world.await_boots(guest, 2)


def test_a_crashed_guest_that_is_stopped_is_simply_off(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.crash(guest)
    world.await_event(guest, GuestEventKind.CRASHED)
    world.driver.power_off(guest, timeout_seconds=20)
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN
    world.restart()
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN


def test_a_guest_that_reboots_itself_is_announced_once(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.reset_from_inside(guest)
    assert world.await_event(guest, GuestEventKind.RESET).power_state is PowerState.RUNNING
    world.await_boots(guest, 2)
    assert [event.kind for event in world.events] == [GuestEventKind.RESET]


def test_what_a_verb_did_is_not_announced(world: World) -> None:
    driver, guest = world.driver, world.spawn_ready(guest_spec())
    driver.pause(guest)
    driver.unpause(guest)
    driver.reboot(guest, hard=False, timeout_seconds=20)
    driver.reboot(guest, hard=True, timeout_seconds=20)
    driver.power_off(guest, timeout_seconds=0)
    driver.power_on(guest)
    driver.destroy(guest)
    driver.close()  # tells all that was announced
    assert world.events == []


def test_a_listener_may_call_the_driver(world: World) -> None:
    driver = world.make()

    def start_again(event: GuestEvent) -> None:
        driver.power_on(event.uuid)

    world.driver.close()
    world.driver = driver
    driver.start(start_again)
    guest = world.spawn_ready(guest_spec())
    world.shut_down_from_inside(guest)
    world.await_boots(guest, 2)


# --- over a restart ----------------------------------------------------------------------------------------


def test_a_later_driver_finds_every_guest_as_it_is(world: World) -> None:
    running, stopped, paused = (world.spawn_ready(guest_spec()) for _ in range(3))
    world.driver.power_off(stopped, timeout_seconds=0)
    world.driver.pause(paused)
    world.restart()
    assert world.driver.list_guests() == {
        running: PowerState.RUNNING,
        stopped: PowerState.SHUTDOWN,
        paused: PowerState.PAUSED,
    }
    world.driver.unpause(paused)
    world.driver.power_on(stopped)
    world.await_boots(stopped, 2)
    assert "boots=2" not in world.driver.console_log(running, lines=None)
    assert world.events == []


def test_a_later_driver_hears_what_happens_to_the_guests_it_found(world: World) -> None:
    first, second = world.spawn_ready(guest_spec()), world.spawn_ready(guest_spec())
    world.restart()
    world.shut_down_from_inside(first)
    world.crash(second)
    world.await_event(first, GuestEventKind.STOPPED)
    world.await_event(second, GuestEventKind.CRASHED)


def test_a_half_made_guest_is_listed_and_finished_by_spawn(world: World) -> None:
    spec = guest_spec()
    world.leave_half_made(spec)
    world.restart()
    assert world.driver.list_guests() == {spec.uuid: PowerState.NOSTATE}
    with pytest.raises(GuestFailure):
        world.driver.power_on(spec.uuid)
    world.spawn_ready(spec)


def test_a_half_made_guest_is_removed_by_destroy(world: World) -> None:
    spec = guest_spec()
    world.leave_half_made(spec)
    world.restart()
    world.driver.destroy(spec.uuid)
    world.restart()
    assert world.driver.list_guests() == {}


# --- the host ----------------------------------------------------------------------------------------------


def test_the_inventory_says_what_the_node_has(world: World) -> None:
    world.driver.probe()
    assert world.driver.nodes() == (NODE,)
    has = world.driver.inventory(NODE)
    assert has.node == NODE
    assert has.vcpus > 0
    assert has.memory_mb > 0
    assert has.local_gb > 0
    assert has.hypervisor_version >= 1_000_000
    assert {"arch", "model", "vendor", "features", "topology"} <= set(has.cpu_info)


def test_a_node_of_another_host_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.driver.inventory("elsewhere")


def test_verbs_on_many_guests_run_side_by_side(world: World) -> None:
    driver: ConsoleDriver = world.driver
    specs = [guest_spec() for _ in range(4)]
    with ThreadPoolExecutor(4) as callers:
        list(callers.map(driver.spawn, specs))
        wait_until(lambda: all(world.await_boots(spec.uuid, 1) for spec in specs), "all guests")
        list(callers.map(driver.destroy, [spec.uuid for spec in specs]))
    assert driver.list_guests() == {}
