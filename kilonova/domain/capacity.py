"""What a node has, what of it is promised, and what is left: one arithmetic for placing, claims, lists and metrics."""

from dataclasses import dataclass
from typing import Final


def promisable(total: int, reserved: int, ratio: float) -> int:
    """How much of a thing may be promised altogether: what the host does not keep, so many times."""
    return int((total - reserved) * ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind of thing that a node has: virtual CPUs, memory in MiB or disk in GiB.

    ``total`` is what there is, ``reserved`` what of it the host keeps for itself, ``ratio`` how often the rest may be
    promised, and ``allocated`` what the claims on the node promise.
    """

    name: str
    total: int
    reserved: int
    allocated: int
    ratio: float

    @property
    def capacity(self) -> int:
        """What may be promised altogether."""
        return promisable(self.total, self.reserved, self.ratio)

    @property
    def free(self) -> int:
        """What may still be promised; below zero where the node shrank, or the settings did, under its claims."""
        return self.capacity - self.allocated

    @property
    def used(self) -> int:
        """What Nova's ``os-hypervisors`` calls used: promised, or kept by the host (contract §3.2)."""
        return self.allocated + self.reserved

    def fits(self, amount: int) -> bool:
        """Whether so much can be promised now; who asks for nothing fits, however full it is."""
        return amount <= 0 or amount <= self.free


VCPUS: Final = "vcpus"
MEMORY_MB: Final = "memory_mb"
LOCAL_GB: Final = "local_gb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """All that is counted of a node."""

    vcpus: Resource
    memory_mb: Resource
    local_gb: Resource

    @property
    def resources(self) -> tuple[Resource, Resource, Resource]:
        """Each kind."""
        return self.vcpus, self.memory_mb, self.local_gb

    @property
    def is_overcommitted(self) -> bool:
        """Whether more is promised than may be: the node or the settings shrank under its claims."""
        return any(each.free < 0 for each in self.resources)
