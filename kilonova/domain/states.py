"""The three dimensions of a server's state, and the one table that folds two of them into ``status``.

Names and numbers are Nova's (contract §6.4), including the historical mix of hyphens and underscores.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final


class VmState(StrEnum):
    """What a server settled into once its last operation was over."""

    ACTIVE = "active"
    BUILDING = "building"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    RESCUED = "rescued"
    RESIZED = "resized"
    SOFT_DELETED = "soft-delete"
    DELETED = "deleted"
    ERROR = "error"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"


class TaskState(StrEnum):
    """What is being done to a server right now; None where nothing is."""

    SCHEDULING = "scheduling"
    BLOCK_DEVICE_MAPPING = "block_device_mapping"
    NETWORKING = "networking"
    SPAWNING = "spawning"
    IMAGE_SNAPSHOT = "image_snapshot"
    IMAGE_SNAPSHOT_PENDING = "image_snapshot_pending"
    IMAGE_PENDING_UPLOAD = "image_pending_upload"
    IMAGE_UPLOADING = "image_uploading"
    IMAGE_BACKUP = "image_backup"
    UPDATING_PASSWORD = "updating_password"  # noqa: S105 - a state, not a secret
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_MIGRATED = "resize_migrated"
    RESIZE_FINISH = "resize_finish"
    RESIZE_REVERTING = "resize_reverting"
    RESIZE_CONFIRMING = "resize_confirming"
    REBOOTING = "rebooting"
    REBOOT_PENDING = "reboot_pending"
    REBOOT_STARTED = "reboot_started"
    REBOOTING_HARD = "rebooting_hard"
    REBOOT_PENDING_HARD = "reboot_pending_hard"
    REBOOT_STARTED_HARD = "reboot_started_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    REBUILDING = "rebuilding"
    REBUILD_BLOCK_DEVICE_MAPPING = "rebuild_block_device_mapping"
    REBUILD_SPAWNING = "rebuild_spawning"
    MIGRATING = "migrating"
    DELETING = "deleting"
    SOFT_DELETING = "soft-deleting"
    RESTORING = "restoring"
    SHELVING = "shelving"
    SHELVING_IMAGE_PENDING_UPLOAD = "shelving_image_pending_upload"
    SHELVING_IMAGE_UPLOADING = "shelving_image_uploading"
    SHELVING_OFFLOADING = "shelving_offloading"
    UNSHELVING = "unshelving"


class PowerState(IntEnum):
    """What the hypervisor says of the guest; 2 and 5 are unused in Nova."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


RESIZING: Final = frozenset(
    {
        TaskState.RESIZE_PREP,
        TaskState.RESIZE_MIGRATING,
        TaskState.RESIZE_MIGRATED,
        TaskState.RESIZE_FINISH,
    }
)
REBUILDING: Final = frozenset(
    {TaskState.REBUILDING, TaskState.REBUILD_BLOCK_DEVICE_MAPPING, TaskState.REBUILD_SPAWNING}
)
REBOOTING_SOFT: Final = frozenset({TaskState.REBOOTING, TaskState.REBOOT_PENDING, TaskState.REBOOT_STARTED})
REBOOTING_HARD: Final = frozenset(
    {TaskState.REBOOTING_HARD, TaskState.REBOOT_PENDING_HARD, TaskState.REBOOT_STARTED_HARD}
)


def _when(tasks: frozenset[TaskState], status: str) -> dict[TaskState, str]:
    return dict.fromkeys(tasks, status)


_DEFAULT: Final[Mapping[VmState, str]] = {
    VmState.ACTIVE: "ACTIVE",
    VmState.BUILDING: "BUILD",
    VmState.STOPPED: "SHUTOFF",
    VmState.RESIZED: "VERIFY_RESIZE",
    VmState.PAUSED: "PAUSED",
    VmState.SUSPENDED: "SUSPENDED",
    VmState.RESCUED: "RESCUE",
    VmState.ERROR: "ERROR",
    VmState.DELETED: "DELETED",
    VmState.SOFT_DELETED: "SOFT_DELETED",
    VmState.SHELVED: "SHELVED",
    VmState.SHELVED_OFFLOADED: "SHELVED_OFFLOADED",
}

_WHILE: Final[Mapping[VmState, Mapping[TaskState, str]]] = {
    VmState.ACTIVE: {
        **_when(REBOOTING_SOFT, "REBOOT"),
        **_when(REBOOTING_HARD, "HARD_REBOOT"),
        **_when(REBUILDING, "REBUILD"),
        **_when(RESIZING, "RESIZE"),
        TaskState.UPDATING_PASSWORD: "PASSWORD",
        TaskState.MIGRATING: "MIGRATING",
    },
    VmState.STOPPED: {**_when(RESIZING, "RESIZE"), **_when(REBUILDING, "REBUILD")},
    VmState.RESIZED: {TaskState.RESIZE_REVERTING: "REVERT_RESIZE"},
    VmState.PAUSED: {TaskState.MIGRATING: "MIGRATING"},
    VmState.ERROR: _when(REBUILDING, "REBUILD"),
}

_STATUS: Final[Mapping[tuple[VmState, TaskState | None], str]] = {
    (vm, task): _WHILE.get(vm, {}).get(task, default) if task else default
    for vm, default in _DEFAULT.items()
    for task in (None, *TaskState)
}


def status_of(vm_state: VmState, task_state: TaskState | None) -> str:
    """The ``status`` that clients see, such as ``ACTIVE`` or ``HARD_REBOOT`` (contract §6.4)."""
    return _STATUS[vm_state, task_state]


def states_for(status: str) -> tuple[frozenset[VmState], frozenset[TaskState] | None] | None:
    """The (vm_states, task_states) that a ``status`` filter selects, or None for an unknown status.

    Task states are None where the status is the default of one of its vm_states: then any task matches, which is
    why ``status=ACTIVE`` also lists servers that show REBOOT (contract §6.5.3).
    """
    wanted = status.upper()
    defaults = {vm for vm, shown in _DEFAULT.items() if shown == wanted}
    special = {(vm, task) for vm, tasks in _WHILE.items() for task, shown in tasks.items() if shown == wanted}
    if not defaults and not special:
        return None
    vm_states = frozenset(defaults | {vm for vm, _ in special})
    return vm_states, None if defaults else frozenset(task for _, task in special)
