"""The table: every operation on a server, one row each (contract §6.6, §7.5, §7.6, §10.4).

The API's dispatch and its 409s, the names in the ledger and in both notification formats, the agent's driver call,
CLI verbs, metric labels and the reference page all read these rows. Nova's irregular spellings live here, so that
the code around can be regular. Rows are plain data; what needs code is written in ``services``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from kilonova.domain.states import REBOOTING_SOFT, PowerState, TaskState, VmState


class Runs(Enum):
    """Who carries an operation out."""

    AGENT = "agent"
    """One driver call on the server's host."""
    CONDUCTOR = "conductor"
    """A workflow of several steps, maybe on several hosts."""
    API = "api"
    """At once, within the request."""


ANY_STATE: Final = frozenset(VmState) - {VmState.DELETED}
ANY_TASK: Final = frozenset(TaskState)
IDLE: Final[frozenset[TaskState]] = frozenset()

_MINUTE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row.

    ``request`` is the key in ``POST /servers/{id}/action`` (None where another route leads here) and ``variant``
    the ``type`` that picks between two rows of one key. ``word`` is what 409 texts quote. ``accepts`` are the
    settled states from which it may start, ``accepts_tasks`` the task states that do not stop it (none by
    default); with ``needs_task`` one of them must be there. ``during``/``becomes``/``power`` are the states while it
    runs and after it, None for unchanged. ``fails_to`` is the settled state after a failure, None for the one before;
    with ``forgives_running`` it is ``becomes`` for a guest that runs all the same. ``events`` are the ledger's,
    ``event`` the one that the driver call has. With ``minds_lock`` a locked server is refused; without ``tells_lock``
    that reads as an invalid state. ``is_ready`` is False for an operation that Kilonova knows but does not do yet: the
    API answers 501.
    """

    name: str
    action: str
    policy: str
    accepts: frozenset[VmState]
    runs: Runs = Runs.AGENT
    request: str | None = None
    variant: str | None = None
    word: str = ""
    events: tuple[str, ...] = ()
    notifies: str = ""
    legacy: str = ""
    accepts_tasks: frozenset[TaskState] = IDLE
    needs_task: bool = False
    during: TaskState | None = None
    becomes: VmState | None = None
    power: PowerState | None = None
    fails_to: VmState | None = None
    forgives_running: bool = False
    driver: str = ""
    deadline_seconds: int = 10 * _MINUTE
    status: int = 202
    since: str = "2.1"
    until: str | None = None
    needs_launch: bool = True
    needs_host: bool = False
    minds_lock: bool = True
    tells_lock: bool = True
    is_ready: bool = False

    @property
    def event(self) -> str | None:
        """The event of the driver call: the last one, as conductors' events come before agents'."""
        return self.events[-1] if self.events else None

    @property
    def quoted(self) -> str:
        """The word that 409 texts quote: the action's name unless the row has another."""
        return self.word or self.action


_ACTIVE: Final = frozenset({VmState.ACTIVE})
_RUNNABLE: Final = frozenset({VmState.ACTIVE, VmState.STOPPED})
_SNAPSHOTTABLE: Final = frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED})
_ATTACHABLE: Final = frozenset(
    {
        VmState.ACTIVE,
        VmState.PAUSED,
        VmState.STOPPED,
        VmState.RESIZED,
        VmState.SOFT_DELETED,
        VmState.SHELVED,
        VmState.SHELVED_OFFLOADED,
    }
)
_PLUGGABLE: Final = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED})
_HARD_REBOOTABLE: Final = frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.ERROR})
_INTERRUPTIBLE: Final = REBOOTING_SOFT | {
    TaskState.REBOOTING_HARD,
    TaskState.PAUSING,
    TaskState.UNPAUSING,
    TaskState.SUSPENDING,
    TaskState.RESUMING,
}
_MIGRATION_EVENTS: Final = (
    "conductor_migrate_server",
    "cold_migrate",
    "compute_prep_resize",
    "compute_resize_instance",
    "compute_finish_resize",
)
_API: Final = "os_compute_api:"

_ROWS: Final = (
    Operation(
        name="create",
        action="create",
        policy=_API + "servers:create",
        accepts=frozenset(),
        runs=Runs.CONDUCTOR,
        events=("conductor_schedule_and_build_instances", "compute__do_build_and_run_instance"),
        notifies="create",
        legacy="create",
        during=TaskState.SCHEDULING,
        becomes=VmState.ACTIVE,
        power=PowerState.RUNNING,
        fails_to=VmState.ERROR,
        driver="spawn",
        deadline_seconds=60 * _MINUTE,
        needs_launch=False,
        is_ready=True,
    ),
    Operation(
        name="delete",
        action="delete",
        policy=_API + "servers:delete",
        accepts=ANY_STATE,
        events=("compute_terminate_instance",),
        notifies="delete",
        legacy="delete",
        accepts_tasks=ANY_TASK,
        during=TaskState.DELETING,
        becomes=VmState.DELETED,
        power=PowerState.NOSTATE,
        fails_to=VmState.ERROR,
        driver="destroy",
        status=204,
        needs_launch=False,
        is_ready=True,
    ),
    Operation(
        name="force_delete",
        action="delete",
        request="forceDelete",
        policy=_API + "os-deferred-delete:force",
        accepts=ANY_STATE,
        events=("compute_terminate_instance",),
        notifies="delete",
        legacy="delete",
        accepts_tasks=ANY_TASK,
        during=TaskState.DELETING,
        becomes=VmState.DELETED,
        power=PowerState.NOSTATE,
        fails_to=VmState.ERROR,
        driver="destroy",
        needs_launch=False,
        word="forceDelete",
        is_ready=True,
    ),
    Operation(
        name="soft_delete",
        action="delete",
        policy=_API + "servers:delete",
        accepts=ANY_STATE,
        events=("compute_soft_delete_instance",),
        notifies="soft_delete",
        legacy="soft_delete",
        accepts_tasks=ANY_TASK,
        during=TaskState.SOFT_DELETING,
        becomes=VmState.SOFT_DELETED,
        power=PowerState.SHUTDOWN,
        fails_to=VmState.ERROR,
        driver="power_off",
        status=204,
        needs_launch=False,
    ),
    Operation(
        name="restore",
        action="restore",
        request="restore",
        policy=_API + "os-deferred-delete:restore",
        accepts=frozenset({VmState.SOFT_DELETED}),
        events=("compute_restore_instance",),
        notifies="restore",
        legacy="restore",
        during=TaskState.RESTORING,
        becomes=VmState.ACTIVE,
        power=PowerState.RUNNING,
        driver="power_on",
    ),
    Operation(
        name="start",
        action="start",
        request="os-start",
        policy=_API + "servers:start",
        accepts=frozenset({VmState.STOPPED}),
        events=("compute_start_instance",),
        notifies="power_on",
        legacy="power_on",
        during=TaskState.POWERING_ON,
        becomes=VmState.ACTIVE,
        power=PowerState.RUNNING,
        driver="power_on",
        needs_host=True,
        is_ready=True,
    ),
    Operation(
        name="stop",
        action="stop",
        request="os-stop",
        policy=_API + "servers:stop",
        accepts=frozenset({VmState.ACTIVE, VmState.ERROR}),
        events=("compute_stop_instance",),
        notifies="power_off",
        legacy="power_off",
        during=TaskState.POWERING_OFF,
        becomes=VmState.STOPPED,
        power=PowerState.SHUTDOWN,
        driver="power_off",
        needs_host=True,
        is_ready=True,
    ),
    Operation(
        name="reboot",
        action="reboot",
        request="reboot",
        variant="SOFT",
        policy=_API + "servers:reboot",
        accepts=_ACTIVE,
        events=("compute_reboot_instance",),
        notifies="reboot",
        legacy="reboot",
        during=TaskState.REBOOTING,
        becomes=VmState.ACTIVE,
        power=PowerState.RUNNING,
        fails_to=VmState.ERROR,
        forgives_running=True,
        driver="reboot",
        is_ready=True,
    ),
    Operation(
        name="reboot_hard",
        action="reboot",
        request="reboot",
        variant="HARD",
        policy=_API + "servers:reboot",
        accepts=_HARD_REBOOTABLE,
        events=("compute_reboot_instance",),
        notifies="reboot",
        legacy="reboot",
        accepts_tasks=_INTERRUPTIBLE,
        during=TaskState.REBOOTING_HARD,
        becomes=VmState.ACTIVE,
        power=PowerState.RUNNING,
        fails_to=VmState.ERROR,
        forgives_running=True,
        driver="reboot",
        is_ready=True,
    ),
    Operation(
        name="pause",
        action="pause",
        request="pause",
        policy=_API + "os-pause-server:pause",
        accepts=_ACTIVE,
        events=("compute_pause_instance",),
        notifies="pause",
        legacy="pause",
        during=TaskState.PAUSING,
        becomes=VmState.PAUSED,
        power=PowerState.PAUSED,
        driver="pause",
        is_ready=True,
    ),
    Operation(
        name="unpause",
        action="unpause",
        request="unpause",
        policy=_API + "os-pause-server:unpause",
        accepts=frozenset({VmState.PAUSED}),
        events=("compute_unpause_instance",),
        notifies="unpause",
        legacy="unpause",
        during=TaskState.UNPAUSING,
        becomes=VmState.ACTIVE,
        power=PowerState.RUNNING,
        driver="unpause",
        is_ready=True,
    ),
    Operation(
        name="suspend",
        action="suspend",
        request="suspend",
        policy=_API + "os-suspend-server:suspend",
        accepts=_ACTIVE,
        events=("compute_suspend_instance",),
        notifies="suspend",
        legacy="suspend",
        during=TaskState.SUSPENDING,
        becomes=VmState.SUSPENDED,
        power=PowerState.SHUTDOWN,
        fails_to=VmState.ERROR,
        driver="suspend",
    ),
    Operation(
        name="resume",
        action="resume",
        request="resume",
        policy=_API + "os-suspend-server:resume",
        accepts=frozenset({VmState.SUSPENDED}),
        events=("compute_resume_instance",),
        notifies="resume",
        legacy="resume",
        during=TaskState.RESUMING,
        becomes=VmState.ACTIVE,
        power=PowerState.RUNNING,
        fails_to=VmState.ERROR,
        driver="resume",
    ),
    Operation(
        name="rescue",
        action="rescue",
        request="rescue",
        policy=_API + "os-rescue",
        accepts=frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR}),
        events=("compute_rescue_instance",),
        notifies="rescue",
        legacy="rescue",
        during=TaskState.RESCUING,
        becomes=VmState.RESCUED,
        power=PowerState.RUNNING,
        fails_to=VmState.ERROR,
        driver="rescue",
        status=200,
    ),
    Operation(
        name="unrescue",
        action="unrescue",
        request="unrescue",
        policy=_API + "os-unrescue",
        accepts=frozenset({VmState.RESCUED}),
        events=("compute_unrescue_instance",),
        notifies="unrescue",
        legacy="unrescue",
        during=TaskState.UNRESCUING,
        becomes=VmState.ACTIVE,
        power=PowerState.RUNNING,
        fails_to=VmState.ERROR,
        driver="unrescue",
    ),
    Operation(
        name="change_password",
        action="changePassword",
        request="changePassword",
        policy=_API + "os-admin-password",
        accepts=_ACTIVE,
        events=("compute_set_admin_password",),
        during=TaskState.UPDATING_PASSWORD,
        driver="set_password",
        tells_lock=False,
    ),
    Operation(
        name="rebuild",
        action="rebuild",
        request="rebuild",
        policy=_API + "servers:rebuild",
        accepts=frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR}),
        runs=Runs.CONDUCTOR,
        events=("rebuild_server", "compute_rebuild_instance"),
        notifies="rebuild",
        legacy="rebuild",
        during=TaskState.REBUILDING,
        becomes=VmState.ACTIVE,
        power=PowerState.RUNNING,
        fails_to=VmState.ERROR,
        driver="rebuild",
        deadline_seconds=60 * _MINUTE,
    ),
    Operation(
        name="create_image",
        action="createImage",
        request="createImage",
        policy=_API + "servers:create_image",
        accepts=_SNAPSHOTTABLE,
        events=("compute_snapshot_instance",),
        notifies="snapshot",
        legacy="snapshot",
        during=TaskState.IMAGE_SNAPSHOT_PENDING,
        driver="snapshot",
        deadline_seconds=60 * _MINUTE,
        minds_lock=False,
    ),
    Operation(
        name="create_backup",
        action="createBackup",
        request="createBackup",
        policy=_API + "os-create-backup",
        accepts=_SNAPSHOTTABLE,
        events=("compute_backup_instance",),
        notifies="snapshot",
        legacy="snapshot",
        during=TaskState.IMAGE_BACKUP,
        driver="snapshot",
        deadline_seconds=60 * _MINUTE,
    ),
    Operation(
        name="resize",
        action="resize",
        request="resize",
        policy=_API + "servers:resize",
        accepts=_RUNNABLE,
        runs=Runs.CONDUCTOR,
        events=_MIGRATION_EVENTS,
        notifies="resize",
        legacy="resize",
        during=TaskState.RESIZE_PREP,
        becomes=VmState.RESIZED,
        fails_to=VmState.ERROR,
        driver="resize",
        deadline_seconds=60 * _MINUTE,
    ),
    Operation(
        name="migrate",
        action="migrate",
        request="migrate",
        policy=_API + "os-migrate-server:migrate",
        accepts=_RUNNABLE,
        runs=Runs.CONDUCTOR,
        events=_MIGRATION_EVENTS,
        notifies="resize",
        legacy="resize",
        during=TaskState.RESIZE_PREP,
        becomes=VmState.RESIZED,
        fails_to=VmState.ERROR,
        driver="resize",
        deadline_seconds=60 * _MINUTE,
    ),
    Operation(
        name="confirm_resize",
        action="confirmResize",
        request="confirmResize",
        policy=_API + "servers:confirm_resize",
        accepts=frozenset({VmState.RESIZED}),
        runs=Runs.CONDUCTOR,
        events=("compute_confirm_resize",),
        notifies="resize_confirm",
        legacy="resize.confirm",
        becomes=VmState.ACTIVE,
        fails_to=VmState.ERROR,
        driver="confirm_resize",
        status=204,
    ),
    Operation(
        name="revert_resize",
        action="revertResize",
        request="revertResize",
        policy=_API + "servers:revert_resize",
        accepts=frozenset({VmState.RESIZED}),
        runs=Runs.CONDUCTOR,
        events=("compute_revert_resize", "compute_finish_revert_resize"),
        notifies="resize_revert",
        legacy="resize.revert",
        during=TaskState.RESIZE_REVERTING,
        becomes=VmState.ACTIVE,
        fails_to=VmState.ERROR,
        driver="revert_resize",
    ),
    Operation(
        name="live_migrate",
        action="live-migration",
        request="os-migrateLive",
        word="os-migrateLive",
        policy=_API + "os-migrate-server:migrate_live",
        accepts=frozenset({VmState.ACTIVE, VmState.PAUSED}),
        runs=Runs.CONDUCTOR,
        events=(
            "conductor_live_migrate_instance",
            "compute_check_can_live_migrate_destination",
            "compute_check_can_live_migrate_source",
            "compute_live_migration",
            "compute_pre_live_migration",
            "compute_post_live_migration_at_destination",
        ),
        notifies="live_migration_post",
        legacy="live_migration._post",
        during=TaskState.MIGRATING,
        driver="live_migrate",
        deadline_seconds=120 * _MINUTE,
    ),
    Operation(
        name="force_complete_live_migration",
        action="live_migration_force_complete",
        word="force_complete",
        policy=_API + "servers:migrations:force_complete",
        accepts=_ACTIVE,
        events=("compute_live_migration_force_complete",),
        notifies="live_migration_force_complete",
        legacy="live.migration.force.complete",
        accepts_tasks=frozenset({TaskState.MIGRATING}),
        needs_task=True,
        driver="force_complete_live_migration",
        since="2.22",
    ),
    Operation(
        name="abort_live_migration",
        action="live_migration_cancel",
        word="abort live migration",
        policy=_API + "servers:migrations:delete",
        accepts=ANY_STATE,
        events=("compute_live_migration_abort",),
        notifies="live_migration_abort",
        legacy="live.migration.abort",
        accepts_tasks=frozenset({TaskState.MIGRATING}),
        needs_task=True,
        driver="abort_live_migration",
        since="2.24",
    ),
    Operation(
        name="evacuate",
        action="evacuate",
        request="evacuate",
        policy=_API + "os-evacuate",
        accepts=frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR}),
        runs=Runs.CONDUCTOR,
        events=("rebuild_server", "compute_rebuild_instance"),
        notifies="evacuate",
        legacy="evacuate",
        accepts_tasks=ANY_TASK,
        during=TaskState.REBUILDING,
        becomes=VmState.ACTIVE,
        fails_to=VmState.ERROR,
        driver="rebuild",
        deadline_seconds=60 * _MINUTE,
        status=200,
    ),
    Operation(
        name="shelve",
        action="shelve",
        request="shelve",
        policy=_API + "os-shelve:shelve",
        accepts=_SNAPSHOTTABLE,
        runs=Runs.CONDUCTOR,
        events=("compute_shelve_instance",),
        notifies="shelve",
        legacy="shelve",
        during=TaskState.SHELVING,
        becomes=VmState.SHELVED,
        power=PowerState.SHUTDOWN,
        driver="shelve",
        deadline_seconds=60 * _MINUTE,
    ),
    Operation(
        name="shelve_offload",
        action="shelveOffload",
        request="shelveOffload",
        policy=_API + "os-shelve:shelve_offload",
        accepts=frozenset({VmState.SHELVED}),
        events=("compute_shelve_offload_instance",),
        notifies="shelve_offload",
        legacy="shelve_offload",
        during=TaskState.SHELVING_OFFLOADING,
        becomes=VmState.SHELVED_OFFLOADED,
        power=PowerState.SHUTDOWN,
        driver="destroy",
    ),
    Operation(
        name="unshelve",
        action="unshelve",
        request="unshelve",
        policy=_API + "os-shelve:unshelve",
        accepts=frozenset({VmState.SHELVED, VmState.SHELVED_OFFLOADED}),
        runs=Runs.CONDUCTOR,
        events=("get_image_info", "schedule_instances", "compute_unshelve_instance"),
        notifies="unshelve",
        legacy="unshelve",
        during=TaskState.UNSHELVING,
        becomes=VmState.ACTIVE,
        power=PowerState.RUNNING,
        driver="spawn",
        deadline_seconds=60 * _MINUTE,
    ),
    Operation(
        name="lock",
        action="lock",
        request="lock",
        policy=_API + "os-lock-server:lock",
        accepts=ANY_STATE,
        runs=Runs.API,
        events=("api_lock",),
        notifies="lock",
        accepts_tasks=ANY_TASK,
        needs_launch=False,
        minds_lock=False,
        is_ready=True,
    ),
    Operation(
        name="unlock",
        action="unlock",
        request="unlock",
        policy=_API + "os-lock-server:unlock",
        accepts=ANY_STATE,
        runs=Runs.API,
        events=("api_unlock",),
        notifies="unlock",
        accepts_tasks=ANY_TASK,
        needs_launch=False,
        minds_lock=False,
        is_ready=True,
    ),
    Operation(
        name="reset_state",
        action="resetState",
        request="os-resetState",
        policy=_API + "os-admin-actions:reset_state",
        accepts=ANY_STATE,
        runs=Runs.API,
        accepts_tasks=ANY_TASK,
        needs_launch=False,
        minds_lock=False,
        is_ready=True,
    ),
    Operation(
        name="inject_network_info",
        action="injectNetworkInfo",
        request="injectNetworkInfo",
        policy=_API + "os-admin-actions:inject_network_info",
        accepts=ANY_STATE,
        accepts_tasks=ANY_TASK,
        driver="inject_network_info",
        needs_launch=False,
    ),
    Operation(
        name="trigger_crash_dump",
        action="trigger_crash_dump",
        request="trigger_crash_dump",
        policy=_API + "servers:trigger_crash_dump",
        accepts=frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.RESCUED, VmState.RESIZED, VmState.ERROR}),
        events=("compute_trigger_crash_dump",),
        notifies="trigger_crash_dump",
        legacy="trigger_crash_dump",
        driver="trigger_crash_dump",
        since="2.17",
    ),
    Operation(
        name="attach_volume",
        action="attach_volume",
        policy=_API + "os-volumes-attachments:create",
        accepts=_ATTACHABLE,
        events=("compute_attach_volume",),
        notifies="volume_attach",
        legacy="volume.attach",
        driver="attach_volume",
    ),
    Operation(
        name="detach_volume",
        action="detach_volume",
        policy=_API + "os-volumes-attachments:delete",
        accepts=_ATTACHABLE,
        events=("compute_detach_volume",),
        notifies="volume_detach",
        legacy="volume.detach",
        driver="detach_volume",
    ),
    Operation(
        name="swap_volume",
        action="swap_volume",
        policy=_API + "os-volumes-attachments:swap",
        accepts=frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.RESIZED}),
        events=("compute_swap_volume",),
        notifies="volume_swap",
        driver="swap_volume",
    ),
    Operation(
        name="extend_volume",
        action="extend_volume",
        policy=_API + "os-server-external-events:create",
        accepts=ANY_STATE,
        events=("compute_extend_volume",),
        accepts_tasks=ANY_TASK,
        driver="extend_volume",
        since="2.51",
    ),
    Operation(
        name="attach_interface",
        action="attach_interface",
        policy=_API + "os-attach-interfaces:create",
        accepts=_PLUGGABLE,
        events=("compute_attach_interface",),
        notifies="interface_attach",
        driver="attach_interface",
        status=200,
    ),
    Operation(
        name="detach_interface",
        action="detach_interface",
        policy=_API + "os-attach-interfaces:delete",
        accepts=_PLUGGABLE,
        events=("compute_detach_interface",),
        notifies="interface_detach",
        driver="detach_interface",
    ),
    Operation(
        name="attach_share",
        action="attach_share",
        policy=_API + "os-server-shares:create",
        accepts=frozenset({VmState.STOPPED}),
        events=("compute_allow_share",),
        notifies="share_attach",
        driver="attach_share",
        status=201,
        since="2.97",
    ),
    Operation(
        name="detach_share",
        action="detach_share",
        policy=_API + "os-server-shares:delete",
        accepts=frozenset({VmState.STOPPED}),
        events=("compute_deny_share",),
        notifies="share_detach",
        driver="detach_share",
        status=200,
        since="2.97",
    ),
)

OPERATIONS: Final[Mapping[str, Operation]] = {row.name: row for row in _ROWS}
"""Every operation by its name."""

REQUESTED: Final[Mapping[tuple[str, str | None], Operation]] = {
    (row.request, row.variant): row for row in _ROWS if row.request is not None
}
"""The operations that ``POST /servers/{id}/action`` leads to, by action key and variant."""


def get_operation(name: str) -> Operation:
    """The row with this name; KeyError for a name that is in no row."""
    return OPERATIONS[name]
