"""The status table, against an independent writing down of contract §6.4."""

from typing import Final

import pytest

from kilonova.domain.states import PowerState, TaskState, VmState, states_for, status_of

_RESIZES: Final = "resize_prep resize_migrating resize_migrated resize_finish"
_REBUILDS: Final = "rebuilding rebuild_block_device_mapping rebuild_spawning"
# vm_state: (status, {task states: status while they last})
_TABLE: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "active": (
        "ACTIVE",
        {
            "rebooting reboot_pending reboot_started": "REBOOT",
            "rebooting_hard reboot_pending_hard reboot_started_hard": "HARD_REBOOT",
            "updating_password": "PASSWORD",
            _REBUILDS: "REBUILD",
            "migrating": "MIGRATING",
            _RESIZES: "RESIZE",
        },
    ),
    "building": ("BUILD", {}),
    "stopped": ("SHUTOFF", {_RESIZES: "RESIZE", _REBUILDS: "REBUILD"}),
    "resized": ("VERIFY_RESIZE", {"resize_reverting": "REVERT_RESIZE"}),
    "paused": ("PAUSED", {"migrating": "MIGRATING"}),
    "suspended": ("SUSPENDED", {}),
    "rescued": ("RESCUE", {}),
    "error": ("ERROR", {_REBUILDS: "REBUILD"}),
    "deleted": ("DELETED", {}),
    "soft-delete": ("SOFT_DELETED", {}),
    "shelved": ("SHELVED", {}),
    "shelved_offloaded": ("SHELVED_OFFLOADED", {}),
}
_TASKS: Final = (
    "scheduling block_device_mapping networking spawning image_snapshot image_snapshot_pending image_pending_upload "
    "image_uploading image_backup updating_password resize_prep resize_migrating resize_migrated resize_finish "
    "resize_reverting resize_confirming rebooting reboot_pending reboot_started rebooting_hard reboot_pending_hard "
    "reboot_started_hard pausing unpausing suspending resuming powering-off powering-on rescuing unrescuing rebuilding "
    "rebuild_block_device_mapping rebuild_spawning migrating deleting soft-deleting restoring shelving "
    "shelving_image_pending_upload shelving_image_uploading shelving_offloading unshelving"
)


def _status(vm: VmState, task: TaskState | None) -> str:
    default, exceptions = _TABLE[vm.value]
    return next((status for tasks, status in exceptions.items() if task and task.value in tasks.split()), default)


def test_the_states_are_the_contracts_with_their_hyphens_and_underscores() -> None:
    assert [state.value for state in VmState] == [
        *("active", "building", "paused", "suspended", "stopped", "rescued", "resized", "soft-delete", "deleted"),
        *("error", "shelved", "shelved_offloaded"),
    ]
    assert [task.value for task in TaskState] == _TASKS.split()
    assert {power.name: power.value for power in PowerState} == {
        "NOSTATE": 0,
        "RUNNING": 1,
        "PAUSED": 3,
        "SHUTDOWN": 4,
        "CRASHED": 6,
        "SUSPENDED": 7,
    }


@pytest.mark.parametrize("vm", VmState)
def test_every_pair_of_states_shows_the_status_of_the_contract(vm: VmState) -> None:
    for task in (None, *TaskState):
        assert status_of(vm, task) == _status(vm, task), task


def test_a_hard_reboot_of_a_stopped_server_keeps_its_status_until_it_is_done() -> None:
    assert status_of(VmState.STOPPED, TaskState.REBOOTING_HARD) == "SHUTOFF"


def test_a_server_that_is_being_deleted_shows_so_in_its_task_state_only() -> None:
    assert status_of(VmState.ACTIVE, TaskState.DELETING) == "ACTIVE"


_ALL_SHOWN: Final = sorted({_status(vm, task) for vm in VmState for task in (None, *TaskState)})


@pytest.mark.parametrize("status", _ALL_SHOWN)
def test_a_status_filter_selects_every_server_that_shows_it(status: str) -> None:
    selected = states_for(status)
    assert selected is not None
    vm_states, task_states = selected
    for vm in VmState:
        for task in (None, *TaskState):
            if _status(vm, task) == status:
                assert vm in vm_states, task
                assert task_states is None or task in task_states, vm


@pytest.mark.parametrize("status", _ALL_SHOWN)
def test_a_status_filter_selects_no_settled_state_that_never_shows_it(status: str) -> None:
    selected = states_for(status)
    assert selected is not None
    for vm in selected[0]:
        assert any(_status(vm, task) == status for task in (None, *TaskState)), vm


def test_a_filter_for_active_takes_any_task_state_so_that_rebooting_servers_are_listed() -> None:
    assert states_for("ACTIVE") == (frozenset({VmState.ACTIVE}), None)


def test_a_filter_for_resize_selects_task_states_of_active_and_stopped_servers() -> None:
    tasks = frozenset(TaskState(word) for word in _RESIZES.split())
    assert states_for("RESIZE") == (frozenset({VmState.ACTIVE, VmState.STOPPED}), tasks)


@pytest.mark.parametrize("status", ["active", "Active", "aCtIvE"])
def test_a_status_filter_does_not_mind_the_case(status: str) -> None:
    assert states_for(status) == states_for("ACTIVE")


@pytest.mark.parametrize("status", ["", "UNKNOWN", "RUNNING", "stopped", "ACTIVE "])
def test_a_status_that_is_none_selects_nothing(status: str) -> None:
    assert states_for(status) is None
