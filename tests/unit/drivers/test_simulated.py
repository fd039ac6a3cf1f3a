"""What only the simulated driver does: trouble on demand, and time that obeys."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import GuestEvent, GuestEventKind, GuestSpec
from kilonova.drivers.simulated import Instant, SimulatedDriver, Stepped
from kilonova.drivers.simulated.script import read_script


def spec(**metadata: str) -> GuestSpec:
    return GuestSpec(
        uuid=str(uuid.uuid4()),
        name="instance-00000001",
        display_name="web-1",
        project_id="p",
        user_id="u",
        vcpus=1,
        memory_mb=64,
        root_gb=1,
        image=None,
        metadata={key.replace("sim_", "sim:"): value for key, value in metadata.items()},
    )


@pytest.fixture
def told() -> list[GuestEvent]:
    return []


@pytest.fixture
def driver(told: list[GuestEvent]) -> Iterator[SimulatedDriver]:
    made = SimulatedDriver(pace=Instant())
    made.start(told.append)
    yield made
    made.close()


def test_a_spawn_that_is_written_to_fail_fails_and_leaves_nothing(driver: SimulatedDriver) -> None:
    with pytest.raises(GuestFailure, match="simulated") as failure:
        driver.spawn(spec(sim_fail="spawn"))
    assert failure.value.cause is FaultCause.DRIVER_ERROR
    assert driver.list_guests() == {}


def test_a_failure_may_have_a_cause_of_the_catalogue(driver: SimulatedDriver) -> None:
    guest = spec(sim_fail="pause:guest_unresponsive, power_off:disk_full")
    driver.spawn(guest)
    with pytest.raises(GuestFailure) as failure:
        driver.power_off(guest.uuid, timeout_seconds=0)
    assert failure.value.cause is FaultCause.DISK_FULL
    assert driver.power_state(guest.uuid) is PowerState.RUNNING
    driver.reboot(guest.uuid, hard=True, timeout_seconds=0)


def test_a_destroy_that_is_written_to_fail_fails_once(driver: SimulatedDriver) -> None:
    guest = spec(sim_fail="destroy")
    driver.spawn(guest)
    with pytest.raises(GuestFailure):
        driver.destroy(guest.uuid)
    driver.destroy(guest.uuid)
    assert driver.list_guests() == {}


@pytest.mark.parametrize(
    "fate, kind, state",
    [
        ("crashed", GuestEventKind.CRASHED, PowerState.CRASHED),
        ("stopped", GuestEventKind.STOPPED, PowerState.SHUTDOWN),
        ("paused", GuestEventKind.PAUSED, PowerState.PAUSED),
    ],
)
def test_a_guest_meets_its_fate_each_time_it_starts(
    driver: SimulatedDriver, told: list[GuestEvent], fate: str, kind: GuestEventKind, state: PowerState
) -> None:
    guest = spec(sim_power=fate)
    driver.spawn(guest)
    driver.reboot(guest.uuid, hard=True, timeout_seconds=0)
    assert driver.power_state(guest.uuid) is state
    driver.close()
    assert [(event.kind, event.power_state) for event in told] == [(kind, state)] * 2


@pytest.mark.parametrize(
    "metadata",
    [
        {"sim:fail": "swim"},
        {"sim:fail": "spawn:no_such_cause"},
        {"sim:delay": "soon"},
        {"sim:delay": "-1"},
        {"sim:delay": "nan"},
        {"sim:power": "maximum"},
    ],
)
def test_a_script_that_makes_no_sense_fails_the_spawn(driver: SimulatedDriver, metadata: dict[str, str]) -> None:
    with pytest.raises(GuestFailure, match="makes no sense"):
        driver.spawn(spec(**{key.replace(":", "_"): value for key, value in metadata.items()}))
    assert driver.list_guests() == {}


def test_metadata_of_other_purposes_is_no_script() -> None:
    assert read_script({"owner": "me", "simulated": "yes"}) == read_script({})


def test_stepped_time_lets_an_operation_be_seen_in_progress() -> None:
    pace = Stepped()
    driver = SimulatedDriver(pace=pace, durations={"spawn": 10.0})
    driver.start(print)
    guest = spec(sim_delay="5")
    spawning = threading.Thread(target=driver.spawn, args=(guest,))
    spawning.start()
    assert pace.wait_for_waiters(1)
    assert driver.list_guests() == {guest.uuid: PowerState.NOSTATE}
    pace.advance(14.5)
    assert driver.power_state(guest.uuid) is PowerState.NOSTATE
    pace.advance(0.5)
    spawning.join()
    assert driver.power_state(guest.uuid) is PowerState.RUNNING
    driver.close()


def test_closing_the_driver_ends_what_is_in_progress() -> None:
    pace = Stepped()
    driver = SimulatedDriver(pace=pace)
    driver.start(print)
    spawning = threading.Thread(target=driver.spawn, args=(spec(),))
    spawning.start()
    assert pace.wait_for_waiters(1)
    driver.close()
    spawning.join()


def test_one_driver_may_be_many_nodes() -> None:
    nodes = [f"node-{number}" for number in range(10_000)]
    driver = SimulatedDriver(nodes=nodes)
    assert len(driver.nodes()) == 10_000
    assert driver.inventory("node-9999").node == "node-9999"


def test_the_console_and_the_inventory_say_that_nothing_is_real(driver: SimulatedDriver) -> None:
    guest = spec()
    driver.spawn(guest)
    assert "no machine runs behind it" in driver.console_log(guest.uuid, lines=None)
    assert driver.inventory("simulated").hypervisor_type == "simulated"


def test_a_file_that_cannot_be_read_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = tmp_path / "guests"
    kept.mkdir()
    (kept / "a.json").write_text("{")
    (kept / "b.json").write_text(json.dumps({"format": 99}))
    driver = SimulatedDriver(state_dir=tmp_path)
    driver.start(print)
    assert driver.list_guests() == {}
    assert sorted(path.name for path in kept.iterdir()) == ["a.json", "b.json"]
    assert [record.name for record in caplog.records].count("kilonova.drivers.simulated.shelf") == 2
    driver.close()


class Watched(Stepped):
    """Shows when somebody is held."""

    def __init__(self) -> None:
        super().__init__()
        self.holds = threading.Event()

    def hold(self, is_over: Callable[[], bool]) -> None:
        self.holds.set()
        super().hold(is_over)


@pytest.mark.parametrize("then", ["reboot", "destroy"])
def test_a_frozen_verb_is_let_go_once_another_one_is_asked_of_its_guest(then: str) -> None:
    pace = Watched()
    driver = SimulatedDriver(pace=pace, durations={})
    driver.start(lambda _: None)
    guest = spec(sim_freeze="pause")
    driver.spawn(guest)
    failed: list[GuestFailure] = []

    def freeze() -> None:
        try:
            driver.pause(guest.uuid)
        except GuestFailure as failure:
            failed.append(failure)

    thread = threading.Thread(target=freeze, daemon=True)
    thread.start()
    assert pace.holds.wait(60)
    assert thread.is_alive(), "it is frozen"
    if then == "reboot":
        driver.reboot(guest.uuid, hard=True, timeout_seconds=0)
    else:
        driver.destroy(guest.uuid)
    thread.join(60)
    assert [failure.cause for failure in failed] == [FaultCause.ABORTED]
    running = PowerState.RUNNING if then == "reboot" else PowerState.NOSTATE
    assert driver.power_state(guest.uuid) is running
    driver.close()
