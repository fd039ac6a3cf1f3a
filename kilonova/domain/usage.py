"""What is billed: the segments of a server's life in which nothing that costs money changed."""

from typing import NamedTuple

from kilonova.domain.model import Instance
from kilonova.domain.states import VmState


class Billed(NamedTuple):
    """What a segment is made of. While none of these changes, the segment stays open.

    Memory in MiB, disk (root and ephemeral) in GiB.
    """

    project_id: str
    flavor_name: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    vm_state: VmState
    host: str | None


def billed(instance: Instance) -> Billed | None:
    """What the instance costs now, or None before it was first launched and after it was deleted."""
    if instance.launched_at is None or instance.deleted_at is not None:
        return None
    return Billed(
        project_id=instance.project_id,
        flavor_name=instance.flavor_name,
        vcpus=instance.vcpus,
        memory_mb=instance.memory_mb,
        disk_gb=instance.disk_gb,
        vm_state=instance.vm_state,
        host=instance.host,
    )
