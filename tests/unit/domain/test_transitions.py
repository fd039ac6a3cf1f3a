"""The full product of operations, settled states and task states, judged by Nova's contract."""

import pytest

from kilonova.domain.model import Instance, Instant
from kilonova.domain.operations import OPERATIONS, Operation, get_operation
from kilonova.domain.states import PowerState, TaskState, VmState
from kilonova.domain.transitions import accepted, failed, finished, refusal, stepped, unchanged
from tests.unit.domain.contracted import ACTIONS, LEAVES_ERROR, Contracted
from tests.unit.domain.samples import NOW, UUID, instance

_CONTRACTED = [pytest.param(row, id=row.name) for row in ACTIONS]
_LATER = Instant(NOW + 1)


def _said(operation: Operation, server: Instance, *, may_override_lock: bool = False) -> str | None:
    conflict = refusal(operation, server, may_override_lock=may_override_lock)
    return conflict.message if conflict else None


def _living() -> list[VmState]:
    return [state for state in VmState if state is not VmState.DELETED]


def _allowed(words: str) -> list[VmState]:
    return _living() if words == "*" else [VmState(word) for word in words.split()]


def _expected(contracted: Contracted, vm: VmState, task: TaskState | None) -> str | None:
    """What Nova says of an operation on a server in these states (contract §6.6.1)."""
    word = contracted.word or contracted.name
    cannot = f"Cannot '{word}' instance {UUID} while it is in"
    if vm not in _allowed(contracted.states):
        return f"{cannot} vm_state {vm.value}"
    if contracted.only_tasks:
        return None if task in contracted.only_tasks.split() else f"{cannot} task_state {task and task.value}"
    if task is not None and contracted.tasks != "*" and task not in contracted.tasks.split():
        return f"{cannot} task_state {task.value}"
    return None


@pytest.mark.parametrize("contracted", _CONTRACTED)
def test_an_operation_is_accepted_exactly_in_the_states_of_the_contract(contracted: Contracted) -> None:
    operation = get_operation(contracted.name)
    for vm in _living():
        for task in (None, *TaskState):
            server = instance(vm_state=vm, task_state=task)
            assert _said(operation, server) == _expected(contracted, vm, task), (vm, task)


def test_a_paused_instance_cannot_be_paused_again() -> None:
    said = _said(get_operation("pause"), instance(vm_state=VmState.PAUSED))
    assert said == f"Cannot 'pause' instance {UUID} while it is in vm_state paused"


def test_an_instance_that_is_powering_off_cannot_be_stopped() -> None:
    said = _said(get_operation("stop"), instance(task_state=TaskState.POWERING_OFF))
    assert said == f"Cannot 'stop' instance {UUID} while it is in task_state powering-off"


def test_nothing_is_done_to_a_deleted_instance() -> None:
    for operation in OPERATIONS.values():
        assert _said(operation, instance(vm_state=VmState.DELETED)) is not None, operation.name


@pytest.mark.parametrize("contracted", _CONTRACTED)
def test_a_locked_instance_is_refused_to_whoever_may_not_override(contracted: Contracted) -> None:
    operation = get_operation(contracted.name)
    server = instance(
        vm_state=_allowed(contracted.states)[0],
        task_state=TaskState(contracted.only_tasks) if contracted.only_tasks else None,
        locked_by="owner",
    )
    locked = f"Instance {UUID} is locked"
    if contracted.name == "change_password":
        locked = f"Instance {UUID} is in an invalid state for 'changePassword'"
    assert _said(operation, server) == (locked if contracted.locks else None)
    assert _said(operation, server, may_override_lock=True) is None


@pytest.mark.parametrize("contracted", _CONTRACTED)
def test_an_instance_that_never_ran_is_refused_unless_the_contract_says_otherwise(contracted: Contracted) -> None:
    operation = get_operation(contracted.name)
    for vm in _allowed(contracted.states):
        task = TaskState(contracted.only_tasks) if contracted.only_tasks else None
        said = _said(operation, instance(vm_state=vm, task_state=task, launched_at=None))
        expected = f"Instance {UUID} is in an invalid state for '{operation.quoted}'"
        assert said == (expected if contracted.launched else None)


@pytest.mark.parametrize("name", ["start", "stop"])
def test_start_and_stop_of_an_instance_without_a_host_say_that_it_is_not_ready(name: str) -> None:
    for vm in _living():
        assert _said(get_operation(name), instance(vm_state=vm, host=None)) == f"Instance {UUID} is not ready"


def test_the_lock_is_told_before_the_missing_host_and_that_before_the_state() -> None:
    stop, server = get_operation("stop"), instance(vm_state=VmState.PAUSED, host=None, locked_by="admin")
    assert _said(stop, server) == f"Instance {UUID} is locked"
    assert _said(stop, server, may_override_lock=True) == f"Instance {UUID} is not ready"
    assert "vm_state paused" in (_said(stop, server._replace(host="cmp1"), may_override_lock=True) or "")


@pytest.mark.parametrize("contracted", _CONTRACTED)
def test_acceptance_sets_the_task_state_and_nothing_else(contracted: Contracted) -> None:
    operation, server = get_operation(contracted.name), instance(vm_state=_allowed(contracted.states)[0])
    begun = accepted(operation, server, now=_LATER)
    assert begun == server._replace(
        task_state=TaskState(contracted.sets) if contracted.sets else None, updated_at=_LATER
    )


@pytest.mark.parametrize("contracted", _CONTRACTED)
def test_success_leads_to_the_state_of_the_contract(contracted: Contracted) -> None:
    operation = get_operation(contracted.name)
    for vm in _allowed(contracted.states):
        done = finished(operation, instance(vm_state=vm, task_state=operation.during), now=_LATER)
        becomes = contracted.stopped if contracted.stopped and vm is VmState.STOPPED else contracted.becomes
        assert done.vm_state == (VmState(becomes) if becomes else vm)
        assert done.task_state is None
        assert done.updated_at == _LATER
        if contracted.power is not None:
            assert done.power_state == contracted.power


@pytest.mark.parametrize("name", ["delete", "force_delete"])
def test_a_deleted_instance_knows_when_it_ended(name: str) -> None:
    gone = finished(get_operation(name), instance(), now=_LATER)
    assert (gone.terminated_at, gone.deleted_at) == (_LATER, _LATER)
    assert gone.is_deleted


def test_a_soft_deleted_instance_is_not_gone() -> None:
    assert not finished(get_operation("soft_delete"), instance(), now=_LATER).is_deleted


def test_an_instance_is_launched_when_its_creation_ends() -> None:
    building = instance(vm_state=VmState.BUILDING, task_state=TaskState.SPAWNING, launched_at=None)
    made = finished(get_operation("create"), building, now=_LATER)
    assert (made.vm_state, made.task_state, made.launched_at) == (VmState.ACTIVE, None, _LATER)


@pytest.mark.parametrize("name", ["rebuild", "rescue"])
def test_a_rebuilt_or_rescued_instance_is_launched_anew(name: str) -> None:
    for vm in (VmState.ACTIVE, VmState.STOPPED):
        assert finished(get_operation(name), instance(vm_state=vm), now=_LATER).launched_at == _LATER


def test_a_rebuild_shows_its_steps_in_their_order_and_never_goes_back() -> None:
    rebuild, server = get_operation("rebuild"), instance(task_state=TaskState.REBUILDING)
    first, second = TaskState.REBUILD_BLOCK_DEVICE_MAPPING, TaskState.REBUILD_SPAWNING
    mapping = stepped(rebuild, server, first, now=_LATER)
    assert mapping == server._replace(task_state=first, updated_at=_LATER)
    assert mapping is not None
    spawning = stepped(rebuild, mapping, second, now=_LATER)
    assert spawning is not None
    assert spawning.task_state is second
    assert stepped(rebuild, spawning, first, now=_LATER) is None
    assert stepped(rebuild, spawning, second, now=_LATER) is None


def test_a_step_leaves_the_task_state_of_a_deletion_alone() -> None:
    leaving = instance(task_state=TaskState.DELETING)
    assert stepped(get_operation("rebuild"), leaving, TaskState.REBUILD_SPAWNING, now=_LATER) is None


def test_what_a_driver_does_not_know_leaves_an_instance_as_it_was() -> None:
    server = instance(task_state=TaskState.SUSPENDING)
    assert unchanged(server, now=_LATER) == server._replace(task_state=None, updated_at=_LATER)


def test_a_restart_does_not_launch_an_instance_anew() -> None:
    stopped = instance(vm_state=VmState.STOPPED)
    assert finished(get_operation("start"), stopped, now=_LATER).launched_at == stopped.launched_at


@pytest.mark.parametrize("contracted", _CONTRACTED)
def test_failure_leads_to_error_exactly_where_the_contract_says_so(contracted: Contracted) -> None:
    operation = get_operation(contracted.name)
    for vm in _allowed(contracted.states):
        for power in (None, PowerState.SHUTDOWN, PowerState.RUNNING):
            after = failed(operation, instance(vm_state=vm, task_state=operation.during), now=_LATER, power=power)
            if contracted.name in {"reboot", "reboot_hard"}:
                assert after.vm_state is (VmState.ACTIVE if power is PowerState.RUNNING else VmState.ERROR)
            else:
                assert after.vm_state is (VmState.ERROR if contracted.name in LEAVES_ERROR else vm)
            assert after.task_state is None


def test_a_failure_keeps_the_power_state_unless_the_hypervisor_says_another() -> None:
    stop, server = get_operation("stop"), instance(power_state=PowerState.RUNNING)
    assert failed(stop, server, now=_LATER, power=None).power_state is PowerState.RUNNING
    assert failed(stop, server, now=_LATER, power=PowerState.CRASHED).power_state is PowerState.CRASHED


def test_a_guest_that_runs_after_a_failed_hard_reboot_is_active_whatever_it_was() -> None:
    """Else the server would be shown as SHUTOFF while its guest runs."""
    after = failed(
        get_operation("reboot_hard"), instance(vm_state=VmState.STOPPED), now=_LATER, power=PowerState.RUNNING
    )
    assert (after.vm_state, after.power_state) == (VmState.ACTIVE, PowerState.RUNNING)
