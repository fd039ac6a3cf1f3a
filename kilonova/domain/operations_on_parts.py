"""The rows of the table for what is plugged into a server: volumes, interfaces, shares (contract §6.6.2, below it)."""

from typing import Final

from kilonova.domain.operation import ANY_STATE, ANY_TASK, Operation
from kilonova.domain.states import VmState

_API: Final = "os_compute_api:"
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

PARTS: Final = (
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
        keeps=("port_id", "is_given", "fixed_ip", "tag"),
        status=200,
        is_ready=True,
    ),
    Operation(
        name="detach_interface",
        action="detach_interface",
        policy=_API + "os-attach-interfaces:delete",
        accepts=_PLUGGABLE,
        events=("compute_detach_interface",),
        notifies="interface_detach",
        driver="detach_interface",
        keeps=("port_id",),
        is_ready=True,
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
"""These rows, in their order."""
