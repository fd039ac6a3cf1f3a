"""What Kilonova's notifications have otherwise than Nova's, one row each, with the reason; the reference page shows it.

The tests compare strictly: a difference that is not in here fails, and so does a row of here that is none any more.
"""

from collections.abc import Mapping
from typing import Final

PAYLOADS: Final[Mapping[str, str]] = {
    "*: .image.properties: nova_object.version 1.19 instead of 1.20": "As in the samples, which are older.",
}
"""By ``event type: path in the payload: what`` (``*`` for any event type)."""

VALUES: Final[Mapping[str, str]] = {
    "availability_zone": "The zone that was asked for, null where none was; Nova tells the host's.",
    "flavor.is_public, disabled, rxtx_factor, description": (
        "Of a server's flavor they are true, false, 1.0 and null: a server keeps of its flavor what it runs by."
    ),
    "request_spec.image.checksum, owner, created_at, ...": "Null: a server keeps of its image what it boots by.",
    "request_spec.num_instances, force_hosts, instance_group, retry": "1 and null: each server is placed by itself.",
    "ip_addresses[].device_name": "Null: the host's name of a guest's interface is not kept.",
    "task_state of unshelve.start": "Already spawning: the host takes the server up and begins in one.",
    "args": "Of a method that failed, the server alone, with those of its columns that tell which one and how it is.",
}
"""Fields whose values are of the right type and yet not what Nova would say."""

SEQUENCES: Final[Mapping[str, str]] = {
    "create": (
        "The first update comes when the order is accepted, not once a host was found; and a server goes from "
        "scheduling to spawning at once, without networking and block_device_mapping."
    ),
    "live_migrate": (
        "The update that clears the task state comes before live_migration._post.end, not before post.dest.end: a "
        "server has its task state until all is done, and the source is tidied last."
    ),
}
"""By operation: where the order of its messages, or what its updates say, is not Nova's."""

NOT_TOLD: Final[Mapping[str, str]] = {
    "instance.volume_*": "There are no volumes.",
    "volume.usage": "There are no volumes.",
    "instance.share_*": "There are no shares.",
    "metrics.update": "There are no compute monitors.",
    "add_host_to_aggregate": "What was refused changed nothing; it is answered, and not told.",
    "remove_host_from_aggregate": "What was refused changed nothing; it is answered, and not told.",
}
"""Event types that Nova has and Kilonova does not; a star stands for anything."""
