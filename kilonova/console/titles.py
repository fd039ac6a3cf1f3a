"""What a request on a server is called: as done, while it goes on, and where it failed."""

from typing import Final, NamedTuple


class Title(NamedTuple):
    """One action by how far it came."""

    done: str
    going: str
    failed: str


TITLES: Final = {
    "create": Title("Created", "Creating", "Creation failed"),
    "delete": Title("Deleted", "Deleting", "Deletion failed"),
    "start": Title("Started", "Starting", "Start failed"),
    "stop": Title("Stopped", "Stopping", "Stop failed"),
    "reboot": Title("Rebooted", "Rebooting", "Reboot failed"),
    "pause": Title("Paused", "Pausing", "Pause failed"),
    "unpause": Title("Unpaused", "Unpausing", "Unpause failed"),
    "suspend": Title("Suspended", "Suspending", "Suspension failed"),
    "resume": Title("Resumed", "Resuming", "Resumption failed"),
    "rebuild": Title("Rebuilt", "Rebuilding", "Rebuild failed"),
    "resize": Title("Resized", "Resizing", "Resize failed"),
    "migrate": Title("Migrated", "Migrating", "Migration failed"),
    "confirmResize": Title("Resize confirmed", "Confirming the resize", "Confirmation of the resize failed"),
    "revertResize": Title("Resize reverted", "Reverting the resize", "Reversion of the resize failed"),
    "live-migration": Title("Migrated live", "Migrating live", "Live migration failed"),
    "evacuate": Title("Evacuated", "Evacuating", "Evacuation failed"),
    "shelve": Title("Shelved", "Shelving", "Shelving failed"),
    "unshelve": Title("Unshelved", "Unshelving", "Unshelving failed"),
    "shelveOffload": Title("Offloaded", "Offloading", "Offloading failed"),
    "rescue": Title("Rescued", "Rescuing", "Rescue failed"),
    "unrescue": Title("Unrescued", "Unrescuing", "Unrescue failed"),
    "createImage": Title("Image made", "Making an image", "Making an image failed"),
    "createBackup": Title("Backed up", "Backing up", "Backup failed"),
    "restore": Title("Restored", "Restoring", "Restoration failed"),
    "lock": Title("Locked", "Locking", "Locking failed"),
    "unlock": Title("Unlocked", "Unlocking", "Unlocking failed"),
    "changePassword": Title("Password changed", "Changing the password", "Change of the password failed"),
    "attach_interface": Title("Interface attached", "Attaching an interface", "Attaching an interface failed"),
    "detach_interface": Title("Interface detached", "Detaching an interface", "Detaching an interface failed"),
    "attach_volume": Title("Volume attached", "Attaching a volume", "Attaching a volume failed"),
    "detach_volume": Title("Volume detached", "Detaching a volume", "Detaching a volume failed"),
    "swap_volume": Title("Volume swapped", "Swapping a volume", "Swapping a volume failed"),
    "extend_volume": Title("Volume extended", "Extending a volume", "Extending a volume failed"),
    "attach_share": Title("Share attached", "Attaching a share", "Attaching a share failed"),
    "detach_share": Title("Share detached", "Detaching a share", "Detaching a share failed"),
    "resetState": Title("State set by hand", "Setting the state by hand", "Setting the state by hand failed"),
    "injectNetworkInfo": Title(
        "Network information injected",
        "Injecting network information",
        "Injecting network information failed",
    ),
    "trigger_crash_dump": Title("Crash dump triggered", "Triggering a crash dump", "Crash dump failed"),
    "live_migration_force_complete": Title(
        "Live migration forced to its end",
        "Forcing the live migration to its end",
        "Forcing the live migration to its end failed",
    ),
    "live_migration_cancel": Title(
        "Live migration called off",
        "Calling off the live migration",
        "Calling off the live migration failed",
    ),
}
"""By the action's name, as Nova spells it."""


def title_of(action: str, outcome: str) -> str:
    """What to call it; its own name where there is no title for it."""
    title = TITLES.get(action)
    if title is None:
        return action
    return {"ok": title.done, "open": title.going}.get(outcome, title.failed)
