import pytest

from kilonova.domain.changes import Phase
from kilonova.domain.operations import OPERATIONS
from kilonova.domain.states import PowerState, TaskState, VmState
from kilonova.notifications.occasions import NOTICES, Occasion, occasion_of, occasions_of
from tests.unit.notifications.rows import row

_WITHOUT_NOTICE = ("volume_", "share_")


def told(*args: object, **facts: object) -> list[str]:
    """The occasions of a row, as text."""
    return [f"{each.name}.{each.phase}".rstrip(".") for each in occasions_of(row(*args, **facts))]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_is_told_as_something_that_there_is(name: str) -> None:
    operation = OPERATIONS[name]
    assert not operation.notifies or operation.notifies in NOTICES or operation.notifies.startswith(_WITHOUT_NOTICE)
    for phase in Phase:
        for event in (*operation.events, None):
            assert occasions_of(row(name, phase, event=event, host="cmp1"))[0].name is not None


@pytest.mark.parametrize("name", sorted(name for name, each in OPERATIONS.items() if each.legacy))
def test_legacy_names_are_those_of_the_table_of_operations(name: str) -> None:
    operation = OPERATIONS[name]
    if operation.notifies in NOTICES:
        assert NOTICES[operation.notifies].legacy == operation.legacy


def test_an_operation_begins_after_its_update_and_ends_after_it() -> None:
    assert told("stop", Phase.ACCEPTED, event="compute_stop_instance") == ["update"]
    assert told("stop", Phase.START, event="compute_stop_instance", host="cmp1") == ["update", "power_off.start"]
    assert told("stop", Phase.END, event="compute_stop_instance", host="cmp1") == ["update", "power_off.end"]
    assert told("stop", Phase.ERROR, event="compute_stop_instance", host="cmp1") == ["update", "exception"]


def test_a_build_that_is_tried_elsewhere_is_told_as_one_that_is_lost() -> None:
    event = "compute__do_build_and_run_instance"
    lost = ["shutdown.start", "shutdown.end", "create.error", "update"]
    assert told("create", Phase.RETRY, event=event, host="cmp1", closes_action=False) == lost
    assert told("create", Phase.END, event=event, host="cmp1", closes_action=False) == lost, "as older rows say it"


def test_what_a_rebuild_destroys_is_told_to_exist_before() -> None:
    event = "compute_rebuild_instance"
    assert told("rebuild", Phase.START, event=event, host="cmp1") == ["update", "exists", "rebuild.start"]
    assert told("rebuild", Phase.ERROR, event=event, host="cmp1") == ["update", "rebuild.error", "exception"]


def test_an_evacuation_is_told_at_once_then_scheduled_then_a_rebuild() -> None:
    assert told("evacuate", Phase.ACCEPTED) == ["update", "evacuate"]
    assert told("evacuate", Phase.END, event="rebuild_server")[-2:] == ["update", "rebuild_scheduled"]
    assert told("evacuate", Phase.END, event="compute_rebuild_instance") == ["update", "rebuild.end"]


@pytest.mark.parametrize(
    "power, expected",
    [
        (PowerState.RUNNING, ["reboot.error", "update", "reboot.end"]),
        (PowerState.SHUTDOWN, ["update", "exception"]),
    ],
)
def test_a_failed_reboot_has_an_end_only_if_the_guest_runs(power: PowerState, expected: list[str]) -> None:
    columns = {"power_state": power, "vm_state": VmState.ACTIVE}
    assert told("reboot", Phase.ERROR, event="compute_reboot_instance", columns=columns) == expected


@pytest.mark.parametrize(
    "cause, is_given_up_later", [("image_corrupt", False), ("disk_full", True), ("hypervisor_gone", True)]
)
def test_the_conductor_gives_a_build_up_unless_no_host_would_mend_it(cause: str, is_given_up_later: bool) -> None:
    event = "compute__do_build_and_run_instance"
    assert ("build_instances" in told("create", Phase.ERROR, event=event, fault={"cause": cause})) is is_given_up_later


def test_choosing_a_host_is_told_by_the_scheduler() -> None:
    previous = {"host": None, "task_state": TaskState.SCHEDULING}
    scheduled = ["select_destinations.start", "select_destinations.end", "update"]
    assert told("create", Phase.STEP, previous=previous) == scheduled
    assert told("create", Phase.STEP, previous={"task_state": TaskState.SCHEDULING}) == ["update"]


def test_a_change_may_say_itself_what_it_is_told_as() -> None:
    said = row("live_migrate", Phase.STEP, notices=["update", "live_migration_post.start@cmp2"])
    assert occasions_of(said) == [Occasion("update"), Occasion("live_migration_post", "start", "cmp2")]
    assert occasions_of(row("stop", Phase.END, notices=[])) == []


def test_an_occasion_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ValueError, match="power_of"):
        occasion_of("power_of.start")
