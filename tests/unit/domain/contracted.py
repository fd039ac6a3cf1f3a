"""What Nova's contract says of each operation, written down from it by hand: the judge of our own table.

Nothing here is derived from ``kilonova.domain.operations``. States are the contract's words, several separated by
blanks; ``*`` is any that a living server can be in.
"""

from typing import Final, NamedTuple


class Contracted(NamedTuple):
    """One row of contract §6.6.2 (or of the sub-resources below it).

    ``becomes`` empty: unchanged; ``power`` None: not said; ``success`` None: varies with the microversion. ``tasks``
    are the task states in which it is taken all the same, ``only_tasks`` those of which one has to be there.
    ``stopped`` is where it leads a server that was stopped, if elsewhere. ``launched`` is False where the server need
    not have been launched, ``locks`` False where a lock does not matter.
    """

    name: str
    states: str
    sets: str
    becomes: str
    success: int | None
    request: str | None = None
    variant: str | None = None
    power: int | None = None
    tasks: str = ""
    only_tasks: str = ""
    launched: bool = True
    locks: bool = True
    word: str = ""
    stopped: str = ""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FOUR: Final = "active stopped paused suspended"
_VOLUMES: Final = "active paused stopped resized soft-delete shelved shelved_offloaded"
_PORTS: Final = "active paused stopped"
_HARD_TASKS: Final = "rebooting reboot_pending reboot_started rebooting_hard pausing unpausing suspending resuming"

ACTIONS: Final = (
    Contracted("start", "stopped", "powering-on", "active", 202, "os-start", power=1, word="start"),
    Contracted("stop", "active error", "powering-off", "stopped", 202, "os-stop", power=4, word="stop"),
    Contracted("reboot", "active", "rebooting", "active", 202, "reboot", "SOFT", power=1),
    Contracted(
        "reboot_hard",
        "active stopped paused suspended error",
        "rebooting_hard",
        "active",
        202,
        "reboot",
        "HARD",
        power=1,
        tasks=_HARD_TASKS,
        word="reboot",
    ),
    Contracted("pause", "active", "pausing", "paused", 202, "pause", power=3),
    Contracted("unpause", "paused", "unpausing", "active", 202, "unpause"),
    Contracted("suspend", "active", "suspending", "suspended", 202, "suspend"),
    Contracted("resume", "suspended", "resuming", "active", 202, "resume"),
    Contracted("rescue", "active stopped error", "rescuing", "rescued", 200, "rescue"),
    Contracted("unrescue", "rescued", "unrescuing", "active", 202, "unrescue"),
    Contracted(
        "change_password", "active", "updating_password", "active", 202, "changePassword", word="changePassword"
    ),
    Contracted(
        "create_image", _FOUR, "image_snapshot_pending", "", 202, "createImage", locks=False, word="createImage"
    ),
    Contracted("create_backup", _FOUR, "image_backup", "", 202, "createBackup", word="createBackup"),
    Contracted("rebuild", "active stopped error", "rebuilding", "active", 202, "rebuild", stopped="stopped"),
    Contracted("resize", "active stopped", "resize_prep", "resized", 202, "resize"),
    Contracted("migrate", "active stopped", "resize_prep", "resized", 202, "migrate"),
    Contracted("confirm_resize", "resized", "", "active", 204, "confirmResize", word="confirmResize"),
    Contracted("revert_resize", "resized", "resize_reverting", "active", 202, "revertResize", word="revertResize"),
    Contracted("live_migrate", "active paused", "migrating", "", 202, "os-migrateLive", word="os-migrateLive"),
    Contracted("evacuate", "active stopped error", "rebuilding", "active", 200, "evacuate", tasks="*"),
    Contracted("lock", "*", "", "", 202, "lock", tasks="*", launched=False, locks=False),
    Contracted("unlock", "*", "", "", 202, "unlock", tasks="*", launched=False, locks=False),
    Contracted("shelve", _FOUR, "shelving", "shelved", 202, "shelve"),
    Contracted(
        "shelve_offload",
        "shelved",
        "shelving_offloading",
        "shelved_offloaded",
        202,
        "shelveOffload",
        power=4,
        word="shelveOffload",
    ),
    Contracted("unshelve", "shelved shelved_offloaded", "unshelving", "active", 202, "unshelve"),
    Contracted("restore", "soft-delete", "restoring", "active", 202, "restore"),
    Contracted("force_delete", "*", "deleting", "deleted", 202, "forceDelete", tasks="*", launched=False),
    Contracted("delete", "*", "deleting", "deleted", 204, tasks="*", launched=False),
    Contracted("soft_delete", "*", "soft-deleting", "soft-delete", 204, tasks="*", launched=False),
    Contracted("trigger_crash_dump", "active paused rescued resized error", "", "", 202, "trigger_crash_dump"),
    Contracted("reset_state", "*", "", "", 202, "os-resetState", tasks="*", launched=False, locks=False),
    Contracted("inject_network_info", "*", "", "", 202, "injectNetworkInfo", tasks="*", launched=False),
    Contracted("attach_volume", _VOLUMES, "", "", None),
    Contracted("detach_volume", _VOLUMES, "", "", 202),
    Contracted("swap_volume", "active paused resized", "", "", 202),
    Contracted("attach_interface", _PORTS, "", "", 200),
    Contracted("detach_interface", _PORTS, "", "", 202),
    Contracted("attach_share", "stopped", "", "", 201),
    Contracted("detach_share", "stopped", "", "", 200),
    Contracted("force_complete_live_migration", "active", "", "", 202, only_tasks="migrating", word="force_complete"),
    Contracted("abort_live_migration", "*", "", "", 202, only_tasks="migrating", word="abort live migration"),
)
"""Contract §6.6.2. ``create`` and ``extend_volume`` are not in it: no server's state decides about them."""

ACTION_NAMES: Final = _words(
    "create delete evacuate restore stop start reboot rebuild revertResize confirmResize resize migrate pause unpause "
    "suspend resume rescue unrescue changePassword shelve shelveOffload unshelve live-migration live_migration_cancel "
    "live_migration_force_complete trigger_crash_dump extend_volume attach_interface detach_interface attach_volume "
    "detach_volume attach_share detach_share swap_volume lock unlock createBackup createImage resetState "
    "refresh_volume_attachment"
)
"""Contract §7.5."""

_MIGRATING: Final = (
    "conductor_migrate_server cold_migrate compute_prep_resize compute_resize_instance compute_finish_resize"
)
EVENTS: Final[dict[str, str]] = {
    "create": "conductor_schedule_and_build_instances compute__do_build_and_run_instance",
    "delete": "compute_terminate_instance",
    "force_delete": "compute_terminate_instance",
    "soft_delete": "compute_soft_delete_instance",
    "restore": "compute_restore_instance",
    "start": "compute_start_instance",
    "stop": "compute_stop_instance",
    "reboot": "compute_reboot_instance",
    "reboot_hard": "compute_reboot_instance",
    "pause": "compute_pause_instance",
    "unpause": "compute_unpause_instance",
    "suspend": "compute_suspend_instance",
    "resume": "compute_resume_instance",
    "rescue": "compute_rescue_instance",
    "unrescue": "compute_unrescue_instance",
    "change_password": "compute_set_admin_password",
    "rebuild": "rebuild_server compute_rebuild_instance",
    "evacuate": "rebuild_server compute_rebuild_instance",
    "resize": _MIGRATING,
    "migrate": _MIGRATING,
    "confirm_resize": "compute_confirm_resize",
    "revert_resize": "compute_revert_resize compute_finish_revert_resize",
    "live_migrate": "conductor_live_migrate_instance compute_check_can_live_migrate_destination "
    "compute_check_can_live_migrate_source compute_live_migration compute_pre_live_migration "
    "compute_post_live_migration_at_destination",
    "abort_live_migration": "compute_live_migration_abort",
    "force_complete_live_migration": "compute_live_migration_force_complete",
    "shelve": "compute_shelve_instance",
    "shelve_offload": "compute_shelve_offload_instance",
    "unshelve": "get_image_info schedule_instances compute_unshelve_instance",
    "create_image": "compute_snapshot_instance",
    "create_backup": "compute_backup_instance",
    "trigger_crash_dump": "compute_trigger_crash_dump",
    "attach_volume": "compute_attach_volume",
    "detach_volume": "compute_detach_volume",
    "swap_volume": "compute_swap_volume",
    "extend_volume": "compute_extend_volume",
    "attach_interface": "compute_attach_interface",
    "detach_interface": "compute_detach_interface",
    "attach_share": "compute_allow_share",
    "detach_share": "compute_deny_share",
    "lock": "api_lock",
    "unlock": "api_unlock",
    "reset_state": "",
}
"""Contract §7.6, by operation. ``create`` has its first event only where no host was found."""

NOTIFICATIONS: Final[dict[str, tuple[str, str]]] = {
    # operation: (legacy, below compute.instance.; versioned, below instance.); empty for nothing
    "create": ("create", "create"),
    "delete": ("delete", "delete"),
    "force_delete": ("delete", "delete"),
    "soft_delete": ("soft_delete", "soft_delete"),
    "restore": ("restore", "restore"),
    "stop": ("power_off", "power_off"),
    "start": ("power_on", "power_on"),
    "reboot": ("reboot", "reboot"),
    "reboot_hard": ("reboot", "reboot"),
    "pause": ("pause", "pause"),
    "unpause": ("unpause", "unpause"),
    "suspend": ("suspend", "suspend"),
    "resume": ("resume", "resume"),
    "rescue": ("rescue", "rescue"),
    "unrescue": ("unrescue", "unrescue"),
    "change_password": ("", ""),
    "rebuild": ("rebuild", "rebuild"),
    "evacuate": ("evacuate", "evacuate"),
    "resize": ("resize", "resize"),
    "migrate": ("resize", "resize"),
    "confirm_resize": ("resize.confirm", "resize_confirm"),
    "revert_resize": ("resize.revert", "resize_revert"),
    "live_migrate": ("live_migration._post", "live_migration_post"),
    "abort_live_migration": ("live.migration.abort", "live_migration_abort"),
    "force_complete_live_migration": ("live.migration.force.complete", "live_migration_force_complete"),
    "shelve": ("shelve", "shelve"),
    "shelve_offload": ("shelve_offload", "shelve_offload"),
    "unshelve": ("unshelve", "unshelve"),
    "create_image": ("snapshot", "snapshot"),
    "create_backup": ("snapshot", "snapshot"),
    "trigger_crash_dump": ("trigger_crash_dump", "trigger_crash_dump"),
    "attach_volume": ("volume.attach", "volume_attach"),
    "detach_volume": ("volume.detach", "volume_detach"),
    "swap_volume": ("", "volume_swap"),
    "extend_volume": ("", ""),
    "attach_interface": ("", "interface_attach"),
    "detach_interface": ("", "interface_detach"),
    "attach_share": ("", "share_attach"),
    "detach_share": ("", "share_detach"),
    "lock": ("", "lock"),
    "unlock": ("", "unlock"),
    "reset_state": ("", ""),
    "inject_network_info": ("", ""),
}
"""Contract §10.4.2 and §10.6.1."""

LEAVES_ERROR: Final = _words(
    "create delete force_delete soft_delete suspend resume rescue unrescue resize migrate confirm_resize "
    "revert_resize rebuild evacuate"
)
"""Contract §6.6.4: the operations whose failure puts the server into ERROR; reboots only if the guest is off."""

ACTION_OF: Final[dict[str, str]] = {
    "start": "start",
    "stop": "stop",
    "reboot": "reboot",
    "reboot_hard": "reboot",
    "pause": "pause",
    "unpause": "unpause",
    "suspend": "suspend",
    "resume": "resume",
    "rescue": "rescue",
    "unrescue": "unrescue",
    "change_password": "changePassword",
    "create_image": "createImage",
    "create_backup": "createBackup",
    "rebuild": "rebuild",
    "resize": "resize",
    "migrate": "migrate",
    "confirm_resize": "confirmResize",
    "revert_resize": "revertResize",
    "live_migrate": "live-migration",
    "evacuate": "evacuate",
    "lock": "lock",
    "unlock": "unlock",
    "shelve": "shelve",
    "shelve_offload": "shelveOffload",
    "unshelve": "unshelve",
    "restore": "restore",
    "delete": "delete",
    "force_delete": "delete",
    "soft_delete": "delete",
    "trigger_crash_dump": "trigger_crash_dump",
    "reset_state": "resetState",
}
"""Contract §7.5 and §7.6: what the ledger calls each operation that is an action of a server."""
