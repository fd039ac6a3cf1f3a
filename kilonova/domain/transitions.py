"""What an operation does to an instance's states: whether it may begin, and how it stands at each phase.

Pure functions over one row of the table in ``operations.py`` and one instance.
"""

from kilonova.domain.errors import Conflict
from kilonova.domain.model import Instance, Instant
from kilonova.domain.operations import Operation
from kilonova.domain.states import PowerState, TaskState, VmState


def refusal(operation: Operation, instance: Instance, *, may_override_lock: bool) -> Conflict | None:
    """Why the operation may not start on this instance now, in Nova's words, or None if it may (contract §6.6.1)."""
    if operation.minds_lock and instance.locked_by and not may_override_lock:
        told = Conflict(f"Instance {instance.uuid} is locked")
        return told if operation.tells_lock else _invalid(operation, instance)
    if operation.needs_host and instance.host is None:
        return Conflict(f"Instance {instance.uuid} is not ready")
    obstacle = _obstacle(operation, instance)
    if obstacle:
        return Conflict(f"Cannot '{operation.quoted}' instance {instance.uuid} while it is in {obstacle}")
    if operation.needs_launch and instance.launched_at is None:
        return _invalid(operation, instance)
    return None


def _invalid(operation: Operation, instance: Instance) -> Conflict:
    return Conflict(f"Instance {instance.uuid} is in an invalid state for '{operation.quoted}'")


def _obstacle(operation: Operation, instance: Instance) -> str | None:
    if instance.vm_state not in operation.accepts:
        return f"vm_state {instance.vm_state}"
    stops = operation.needs_task if instance.task_state is None else instance.task_state not in operation.accepts_tasks
    return f"task_state {instance.task_state}" if stops else None


def accepted(operation: Operation, instance: Instance, *, now: Instant) -> Instance:
    """The instance as it stands from the moment the operation was accepted.

    One that has no task state of its own leaves the one that there is: it meddles in another operation.
    """
    return instance._replace(task_state=operation.during or instance.task_state, updated_at=now)


def finished(operation: Operation, instance: Instance, *, now: Instant) -> Instance:
    """The instance after the operation succeeded."""
    if operation.keeps_stopped and instance.vm_state is VmState.STOPPED:
        launched_at = now if operation.launches else instance.launched_at
        return instance._replace(
            task_state=None, power_state=PowerState.SHUTDOWN, launched_at=launched_at, updated_at=now
        )
    settled = instance._replace(
        vm_state=operation.becomes or instance.vm_state,
        task_state=None,
        power_state=instance.power_state if operation.power is None else operation.power,
        updated_at=now,
    )
    if operation.becomes is VmState.DELETED:
        return settled._replace(terminated_at=now, deleted_at=now)
    return settled._replace(launched_at=now) if operation.launches else settled


def begun(operation: Operation, instance: Instance, *, now: Instant) -> Instance:
    """The instance as its host begins with the operation; what another one made of its task state stays."""
    if operation.begins is None or instance.task_state is not operation.during:
        return instance
    return instance._replace(task_state=operation.begins, updated_at=now)


def stepped(operation: Operation, instance: Instance, step: TaskState, *, now: Instant) -> Instance | None:
    """The instance as the operation goes on to its next step; None where it is there, or further, already."""
    course = operation.course
    if instance.task_state is None or instance.task_state not in course or step not in operation.steps:
        return None
    if course.index(step) <= course.index(instance.task_state):
        return None
    return instance._replace(task_state=step, updated_at=now)


def unchanged(instance: Instance, *, now: Instant) -> Instance:
    """The instance after an operation that its host's driver does not know: as it was before (contract §6.6.4)."""
    return instance._replace(task_state=None, updated_at=now)


def failed(operation: Operation, instance: Instance, *, now: Instant, power: PowerState | None) -> Instance:
    """The instance after the operation failed; ``power`` is what the hypervisor says, None if it says nothing.

    Which operations leave a server in ERROR and which restore it: contract §6.6.4.
    """
    spared = operation.forgives_running and power is PowerState.RUNNING
    settled = operation.becomes if spared else operation.fails_to
    return instance._replace(
        vm_state=settled or instance.vm_state,
        task_state=None,
        power_state=instance.power_state if power is None else power,
        updated_at=now,
    )
