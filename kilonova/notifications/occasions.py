"""What a change of a server is told as: from the row's event and phase to the occasions, in Nova's order.

An occasion is written ``NAME`` or ``NAME.PHASE`` with the versioned name of the notice (``power_off.start``); besides
the notices of ``NOTICES`` there are

- ``update``: ``compute.instance.update`` / ``instance.update``, if the options want it and something changed;
- ``exists``: that the server is there, before something destroys what it was (contract §10.5);
- ``exception``: the operation's method failed;
- ``select_destinations``: the scheduler was asked (``start``) and found a host (``end``);
- ``build_instances``, ``migrate_server``, ``rebuild_server``: the conductor gave up (``compute_task.*``).

``NAME.PHASE@HOST`` is told in the name of that host instead of the row's. A change may name its occasions itself
(``Change.notices``, for moments of multi-step operations that follow from no event); else ``_BY_EVENT`` says them, and
what is not in there is ``update`` and then the operation's ``notifies`` with the phase.

Sources: contract §10.4.2 and §10.4.4.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from kilonova.domain.changes import Phase
from kilonova.domain.faults import HOPELESS, find_cause
from kilonova.domain.journal import JournalRow
from kilonova.domain.operations import OPERATIONS, Operation
from kilonova.domain.states import PowerState, VmState
from kilonova.notifications.documents import parsed


class Occasion(NamedTuple):
    """One thing to tell: ``phase`` is empty where the notice has none, ``host`` None for the row's own."""

    name: str
    phase: str = ""
    host: str | None = None


class Notice(NamedTuple):
    """What a notice is called and carries.

    ``legacy`` is the name between ``compute.instance.`` and the phase, None where legacy has nothing. ``payload`` is
    the versioned object after ``Instance``, None where versioned has nothing; ``addresses`` the phases whose legacy
    payload has ``fixed_ips``; ``has_error`` whether there is a phase ``error``; ``has_volumes`` whether the block
    devices are always told; ``service`` who speaks in legacy, ``binary`` in versioned.
    """

    legacy: str | None
    payload: str | None = "ActionPayload"
    addresses: tuple[str, ...] = ()
    has_error: bool = False
    has_volumes: bool = False
    service: str = "compute"
    binary: str = "nova-compute"


_BOTH: Final = ("start", "end")
_END: Final = ("end",)

NOTICES: Final[Mapping[str, Notice]] = {
    "create": Notice("create", "CreatePayload", addresses=_END, has_error=True, has_volumes=True),
    "delete": Notice("delete", has_volumes=True),
    "shutdown": Notice("shutdown", has_volumes=True),
    "soft_delete": Notice("soft_delete"),
    "restore": Notice("restore"),
    "power_off": Notice("power_off"),
    "power_on": Notice("power_on"),
    "reboot": Notice("reboot", has_error=True, has_volumes=True),
    "pause": Notice("pause"),
    "unpause": Notice("unpause"),
    "suspend": Notice("suspend"),
    "resume": Notice("resume", has_volumes=True),
    "rescue": Notice("rescue", "ActionRescuePayload", addresses=_BOTH),
    "unrescue": Notice("unrescue", addresses=_BOTH),
    "rebuild": Notice("rebuild", "ActionRebuildPayload", addresses=_END, has_error=True, has_volumes=True),
    "rebuild_scheduled": Notice("rebuild.scheduled", "ActionRebuildPayload", binary="nova-conductor"),
    "evacuate": Notice("evacuate", binary="nova-api"),
    "resize": Notice("resize", addresses=_BOTH, has_error=True, has_volumes=True),
    "resize_prep": Notice("resize.prep", "ActionResizePrepPayload"),
    "resize_finish": Notice("finish_resize", addresses=_BOTH, has_volumes=True),
    "resize_confirm": Notice("resize.confirm", addresses=_END),
    "resize_revert": Notice("resize.revert", has_volumes=True),
    "live_migration_pre": Notice("live_migration.pre", addresses=_BOTH, has_volumes=True),
    "live_migration_post": Notice("live_migration._post", addresses=_BOTH),
    "live_migration_post_dest": Notice("live_migration.post.dest", addresses=_BOTH),
    "live_migration_rollback": Notice("live_migration._rollback", has_volumes=True),
    "live_migration_rollback_dest": Notice("live_migration.rollback.dest", addresses=_BOTH),
    "live_migration_abort": Notice("live.migration.abort"),
    "live_migration_force_complete": Notice("live.migration.force.complete"),
    "shelve": Notice("shelve", has_volumes=True),
    "shelve_offload": Notice("shelve_offload", has_volumes=True),
    "unshelve": Notice("unshelve", has_volumes=True),
    "snapshot": Notice("snapshot", "ActionSnapshotPayload"),
    "trigger_crash_dump": Notice("trigger_crash_dump"),
    "lock": Notice(None, binary="nova-api"),
    "unlock": Notice(None, binary="nova-api"),
    "interface_attach": Notice(None, has_error=True),
    "interface_detach": Notice(None),
    "create_ip": Notice("create_ip", None, addresses=_BOTH),
    "delete_ip": Notice("delete_ip", None, addresses=_BOTH),
}
"""Every notice of a server that is not an update and not ``exists``, by its versioned name."""

_NO_PHASES: Final = frozenset({"lock", "unlock", "evacuate", "rebuild_scheduled"})


def phases_of(name: str) -> tuple[str, ...]:
    """The phases that a notice has; none for one that stands for itself."""
    if name in _NO_PHASES:
        return ()
    return (*_BOTH, "error") if NOTICES[name].has_error else _BOTH


_Plan = tuple[str, ...]
_UPDATE: Final[_Plan] = ("update",)
_PLACED: Final[_Plan] = ("select_destinations.start", "select_destinations.end", "update")
_BUILD: Final = "compute__do_build_and_run_instance"
_LOST_BUILD: Final[_Plan] = ("shutdown.start", "shutdown.end", "create.error", "update")

_BY_EVENT: Final[Mapping[tuple[str, Phase], _Plan]] = {
    ("conductor_schedule_and_build_instances", Phase.ERROR): ("update", "build_instances"),
    ("compute_terminate_instance", Phase.START): ("update", "delete.start", "shutdown.start"),
    ("compute_terminate_instance", Phase.END): ("shutdown.end", "update", "delete.end"),
    ("cold_migrate", Phase.END): _PLACED,
    ("schedule_instances", Phase.END): _PLACED,
    ("rebuild_server", Phase.END): ("update", "rebuild_scheduled"),
    ("rebuild_server", Phase.ERROR): ("update", "rebuild_server"),
    ("compute_rebuild_instance", Phase.START): ("update", "exists", "rebuild.start"),
    ("compute_rebuild_instance", Phase.END): ("update", "rebuild.end"),
    ("compute_rebuild_instance", Phase.ERROR): ("update", "rebuild.error", "exception"),
    ("compute_rescue_instance", Phase.START): ("update", "rescue.start", "exists"),
    ("compute_shelve_instance", Phase.START): ("update", "exists", "shelve.start"),
    ("compute_shelve_offload_instance", Phase.START): ("update", "shelve_offload.start"),
    ("compute_shelve_offload_instance", Phase.END): ("update", "shelve_offload.end"),
    ("compute_unshelve_instance", Phase.START): ("unshelve.start", "update"),
    ("conductor_migrate_server", Phase.ERROR): ("update", "migrate_server"),
    ("cold_migrate", Phase.ERROR): ("update", "migrate_server"),
    ("conductor_live_migrate_instance", Phase.ERROR): ("update", "migrate_server"),
    ("compute_prep_resize", Phase.START): ("update", "exists", "resize_prep.start"),
    ("compute_prep_resize", Phase.END): ("update", "resize_prep.end"),
    ("compute_prep_resize", Phase.ERROR): ("update", "resize.error", "exception"),
    ("compute_resize_instance", Phase.START): ("update", "resize.start"),
    ("compute_resize_instance", Phase.END): ("update", "resize.end"),
    ("compute_resize_instance", Phase.ERROR): ("update", "resize.error", "exception"),
    ("compute_finish_resize", Phase.START): ("update", "resize_finish.start"),
    ("compute_finish_resize", Phase.END): ("update", "resize_finish.end"),
    ("compute_finish_resize", Phase.ERROR): ("update", "resize.error", "exception"),
    ("compute_revert_resize", Phase.START): ("update", "exists"),
    ("compute_revert_resize", Phase.END): _UPDATE,
    ("compute_revert_resize", Phase.ERROR): ("update", "exception"),
    ("compute_finish_revert_resize", Phase.START): ("update", "resize_revert.start"),
    ("compute_finish_revert_resize", Phase.END): ("update", "resize_revert.end"),
    ("compute_pre_live_migration", Phase.START): ("update", "live_migration_pre.start"),
    ("compute_pre_live_migration", Phase.END): ("update", "live_migration_pre.end"),
    ("compute_live_migration", Phase.START): _UPDATE,
    ("compute_live_migration", Phase.END): ("update", "live_migration_post.end"),
    ("compute_live_migration", Phase.ERROR): ("update", "live_migration_rollback.start", "live_migration_rollback.end"),
    ("compute_check_can_live_migrate_destination", Phase.START): _UPDATE,
    ("compute_check_can_live_migrate_destination", Phase.END): _UPDATE,
    ("compute_check_can_live_migrate_destination", Phase.ERROR): ("update", "exception"),
    ("compute_check_can_live_migrate_source", Phase.START): _UPDATE,
    ("compute_check_can_live_migrate_source", Phase.END): _UPDATE,
    ("compute_check_can_live_migrate_source", Phase.ERROR): ("update", "exception"),
    ("compute_rollback_live_migration_at_destination", Phase.START): ("update", "live_migration_rollback_dest.start"),
    ("compute_rollback_live_migration_at_destination", Phase.END): ("update", "live_migration_rollback_dest.end"),
    ("conductor_live_migrate_instance", Phase.END): _PLACED,
    ("compute_post_live_migration_at_destination", Phase.START): ("update", "live_migration_post_dest.start"),
    ("compute_post_live_migration_at_destination", Phase.END): ("update", "live_migration_post_dest.end"),
}
"""Where the operation's name and phase do not say it."""


def occasions_of(row: JournalRow) -> list[Occasion]:
    """What this row of an instance is told as, in order."""
    facts = parsed(row.facts_json)
    named = facts.get("notices")
    plan = tuple(named) if named is not None else _plan(row, facts.get("event"), facts.get("host"))
    return [occasion_of(text) for text in plan]


def occasion_of(text: str) -> Occasion:
    """The occasion that is written so. ValueError for a name that is none."""
    told, _, host = text.partition("@")
    name, _, phase = told.partition(".")
    if name not in NOTICES and name not in _OTHERS:
        raise ValueError(f"there is no notice {name!r}")
    return Occasion(name, phase, host or None)


_OTHERS: Final = frozenset(
    {"update", "exists", "exception", "select_destinations", "build_instances", "migrate_server", "rebuild_server"}
)


def _plan(row: JournalRow, event: str | None, host: str | None) -> _Plan:
    operation = OPERATIONS.get(row.operation or "")
    if operation is None or row.phase is None:
        return _UPDATE
    if row.phase is Phase.STEP:
        return _PLACED if _is_placing(row) else _UPDATE
    if row.phase is Phase.ACCEPTED:
        return ("update", "evacuate") if operation.notifies == "evacuate" else _UPDATE
    if row.phase is Phase.RETRY:
        return _LOST_BUILD if event == _BUILD else _UPDATE
    special = _special(row, operation, event, host)
    if special is not None:
        return special
    known = _BY_EVENT.get((event or "", row.phase))
    return _regular(operation, row.phase, event) if known is None else known


def _special(row: JournalRow, operation: Operation, event: str | None, host: str | None) -> _Plan | None:
    """What the event and the phase alone do not tell apart."""
    if row.phase is Phase.END:
        return _special_end(row, operation, event, host)
    if row.phase is Phase.ERROR and operation.notifies == "reboot":
        return ("reboot.error", "update", "reboot.end") if _runs(row) else ("update", "exception")
    if row.phase is Phase.ERROR and event == _BUILD:
        return _LOST_BUILD if _is_hopeless(row) else (*_LOST_BUILD, "build_instances")
    return None


def _special_end(row: JournalRow, operation: Operation, event: str | None, host: str | None) -> _Plan | None:
    if operation.name in ("lock", "unlock"):
        return ("update", operation.notifies)
    if event == _BUILD and not parsed(row.facts_json).get("closes_action", True):
        return _LOST_BUILD  # written before there was a phase for it
    if operation.name == "evacuate" and event == "rebuild_server":
        return (*_PLACED, "rebuild_scheduled")
    if operation.becomes is VmState.DELETED and host is None:
        return ("delete.start", "update", "delete.end")
    return None


def _is_placing(row: JournalRow) -> bool:
    """Whether the step is the one by which a host was chosen."""
    return "host" in parsed(row.previous_json or "{}") and parsed(row.snapshot_json)["host"] is not None


def _is_hopeless(row: JournalRow) -> bool:
    """Whether a build was given up at once; else the conductor gave it up after the last host (contract §6.6.4)."""
    cause = find_cause((parsed(row.facts_json).get("fault") or {}).get("cause", ""))
    return cause in HOPELESS


def _runs(row: JournalRow) -> bool:
    """Whether the guest runs all the same: then a failed reboot has its end (contract §6.6.4, §10.4.4)."""
    snapshot = parsed(row.snapshot_json)
    return bool(snapshot["power_state"] == PowerState.RUNNING and snapshot["vm_state"] == VmState.ACTIVE)


def _regular(operation: Operation, phase: Phase, event: str | None) -> _Plan:
    """Events of the conductor before the operation's own are told by nothing but their update."""
    if event != operation.event:
        return _UPDATE
    name = operation.notifies
    failing: _Plan = ("exception",) if phase is Phase.ERROR else ()
    if name not in NOTICES or (failing and not NOTICES[name].has_error):
        return (*_UPDATE, *failing)
    return (*_UPDATE, f"{name}.{phase}", *failing)
