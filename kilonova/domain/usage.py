"""What is billed: the segments of a server's life in which nothing that costs money changed; and Nova's usage report.

The report (contract §5) knows no segments: a server counts from its last launch to its end at what it has now.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from kilonova.domain.model import SECOND, Instance, Instant
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


class Window(NamedTuple):
    """The time that a usage report is about. One that is reversed is legal, and makes hours negative (§5.2)."""

    start: Instant
    stop: Instant

    def selects(self, launched_at: Instant | None, terminated_at: Instant | None) -> bool:
        """Whether a server of this life is in the report (contract §5.3); one that was never launched is not."""
        if launched_at is None or launched_at >= self.stop:
            return False
        return terminated_at is None or terminated_at > self.start

    def hours(self, launched_at: Instant, terminated_at: Instant | None) -> float:
        """The hours of a life that lie in the window, unrounded (contract §5.4)."""
        if launched_at > self.stop or (terminated_at is not None and terminated_at < self.start):
            return 0.0
        end = self.stop if terminated_at is None else min(terminated_at, self.stop)
        return (end - max(launched_at, self.start)) / SECOND / 3600.0


class ServerUsage(NamedTuple):
    """What a usage report needs to know of one server. Memory in MiB, disks in GiB."""

    uuid: str
    project_id: str
    display_name: str
    flavor_name: str
    vm_state: str
    vcpus: int
    memory_mb: int
    root_gb: int
    ephemeral_gb: int
    launched_at: Instant
    terminated_at: Instant | None

    @property
    def local_gb(self) -> int:
        """What it has of its host's disk; swap is not counted."""
        return self.root_gb + self.ephemeral_gb

    @property
    def state(self) -> str:
        """``terminated`` for one that has ended, else its vm_state."""
        return self.vm_state if self.terminated_at is None else "terminated"

    def uptime_seconds(self, now: Instant) -> int:
        """Whole seconds from launch to end, or to now; the window does not matter."""
        end = now if self.terminated_at is None else self.terminated_at
        return int((end - self.launched_at) / SECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectUsage:
    """What a project used in a window: hours, and hours times what its servers have.

    ``count`` is how many servers are in it, ``last_uuid`` the last of them in the order of the report.
    """

    project_id: str
    count: int
    last_uuid: str
    hours: float
    local_gb_hours: float
    memory_mb_hours: float
    vcpu_hours: float
    servers: tuple[ServerUsage, ...] = ()


def usage_by_project(servers: Iterable[ServerUsage], window: Window) -> list[ProjectUsage]:
    """The usage of each project, of servers that are sorted by project, with the servers in it."""
    return [
        _of_project(project_id, tuple(group), window)
        for project_id, group in groupby(servers, key=lambda server: server.project_id)
    ]


def _of_project(project_id: str, servers: tuple[ServerUsage, ...], window: Window) -> ProjectUsage:
    hours = [window.hours(server.launched_at, server.terminated_at) for server in servers]
    lived = list(zip(hours, servers, strict=True))
    return ProjectUsage(
        project_id=project_id,
        count=len(servers),
        last_uuid=servers[-1].uuid,
        hours=sum(hours),
        local_gb_hours=sum(each * server.local_gb for each, server in lived),
        memory_mb_hours=sum(each * server.memory_mb for each, server in lived),
        vcpu_hours=sum(each * server.vcpus for each, server in lived),
        servers=servers,
    )
