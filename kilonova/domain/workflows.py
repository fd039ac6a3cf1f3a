"""The table of workflows: the steps of every operation that has several, one row each (contract §6.6, §7.6, §10.4.4).

A ``Step`` of ``domain/workflow.py`` says what its columns mean. What a step changes in the records beside its task
state is code, found in ``services`` under the same names.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from kilonova.domain.states import TaskState, VmState
from kilonova.domain.workflow import IfLost, Step, Where, Workflow

_COLD: Final = Workflow(
    (
        Step(
            name="place",
            where=Where.CONDUCTOR,
            event="cold_migrate",
            also=("conductor_migrate_server",),
        ),
        Step(
            name="prepare",
            where=Where.DESTINATION,
            verb="prepare_move",
            event="compute_prep_resize",
            retries=True,
            if_lost=IfLost.FAIL,
        ),
        Step(
            name="move_out",
            where=Where.SOURCE,
            verb="migrate_out",
            undo="revert_move",
            event="compute_resize_instance",
            task=TaskState.RESIZE_MIGRATING,
            then=TaskState.RESIZE_MIGRATED,
            fails_to=VmState.ERROR,
        ),
        Step(
            name="finish",
            where=Where.DESTINATION,
            verb="take_in",
            undo="drop_moved",
            event="compute_finish_resize",
            task=TaskState.RESIZE_FINISH,
            fails_to=VmState.ERROR,
            if_lost=IfLost.FAIL,
            undo_if_lost=IfLost.SKIP,
        ),
    )
)

_OFFLOAD: Final = Step(
    name="offload",
    where=Where.SOURCE,
    verb="destroy",
    event="compute_shelve_offload_instance",
    task=TaskState.SHELVING_OFFLOADING,
)

WORKFLOWS: Final[Mapping[str, Workflow]] = {
    "resize": _COLD,
    "migrate": _COLD,
    "confirm_resize": Workflow(
        (
            Step(
                name="confirm",
                where=Where.SOURCE,
                verb="confirm_move",
                event="compute_confirm_resize",
                fails_to=VmState.ERROR,
                if_lost=IfLost.SKIP,
            ),
        )
    ),
    "revert_resize": Workflow(
        (
            Step(
                name="leave",
                where=Where.DESTINATION,
                verb="drop_moved",
                event="compute_revert_resize",
                fails_to=VmState.ERROR,
                is_final=True,
                goes_on=True,
                if_lost=IfLost.SKIP,
            ),
            Step(
                name="return",
                where=Where.SOURCE,
                verb="revert_move",
                event="compute_finish_revert_resize",
                fails_to=VmState.ERROR,
            ),
        )
    ),
    "live_migrate": Workflow(
        (
            Step(name="place", where=Where.CONDUCTOR, event="conductor_live_migrate_instance"),
            Step(
                name="check_destination",
                where=Where.DESTINATION,
                verb="check_live_destination",
                event="compute_check_can_live_migrate_destination",
                if_lost=IfLost.FAIL,
            ),
            Step(
                name="check_source",
                where=Where.SOURCE,
                verb="check_live_source",
                event="compute_check_can_live_migrate_source",
                opens="compute_live_migration",
            ),
            Step(
                name="prepare",
                where=Where.DESTINATION,
                verb="prepare_live",
                undo="cancel_live",
                event="compute_pre_live_migration",
                undo_event="compute_rollback_live_migration_at_destination",
                if_lost=IfLost.FAIL,
                undo_if_lost=IfLost.SKIP,
            ),
            Step(
                name="migrate",
                where=Where.SOURCE,
                verb="live_migrate",
                undo="stay",
                event="compute_live_migration",
                tells=("update", "live_migration_post.start"),
                is_final=True,
            ),
            Step(
                name="arrive",
                where=Where.DESTINATION,
                verb="arrive",
                event="compute_post_live_migration_at_destination",
                fails_to=VmState.ERROR,
            ),
            Step(
                name="tidy",
                where=Where.SOURCE,
                verb="confirm_move",
                tells=("update", "live_migration_post.end"),
                if_lost=IfLost.SKIP,
            ),
        )
    ),
    "evacuate": Workflow(
        (
            Step(name="place", where=Where.CONDUCTOR, event="rebuild_server", fails_to=VmState.ERROR),
            Step(
                name="rebuild",
                where=Where.DESTINATION,
                verb="evacuate",
                undo="destroy",
                event="compute_rebuild_instance",
                task=TaskState.REBUILD_SPAWNING,
                fails_to=VmState.ERROR,
                if_lost=IfLost.FAIL,
                undo_if_lost=IfLost.SKIP,
            ),
        )
    ),
    "shelve": Workflow(
        (
            Step(
                name="keep",
                where=Where.SOURCE,
                verb="shelve",
                undo="take_up",
                event="compute_shelve_instance",
                task=TaskState.SHELVING,
                through=(TaskState.SHELVING_IMAGE_PENDING_UPLOAD, TaskState.SHELVING_IMAGE_UPLOADING),
                then=TaskState.SHELVING_OFFLOADING,
                is_final=True,
            ),
            replace(_OFFLOAD, event=None),
        )
    ),
    "shelve_offload": Workflow((_OFFLOAD,)),
    "unshelve": Workflow(
        (
            Step(name="look_up", where=Where.CONDUCTOR, event="get_image_info"),
            Step(name="place", where=Where.CONDUCTOR, event="schedule_instances"),
            Step(
                name="spawn",
                where=Where.DESTINATION,
                verb="unshelve",
                undo="put_back",
                event="compute_unshelve_instance",
                task=TaskState.SPAWNING,
                if_lost=IfLost.FAIL,
                undo_if_lost=IfLost.SKIP,
            ),
        )
    ),
}
"""By the operation's name."""

CALLED_OFF_BY: Final[Mapping[str, str]] = {"abort_live_migration": "live_migrate"}
"""Operations that call another one off that is under way."""
