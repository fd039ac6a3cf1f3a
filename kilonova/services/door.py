"""The agents' one door to the control plane: four calls, and the records that pass through it.

An agent has no database credentials. It says that it is alive and what its host has, asks for work, reports the
phases of that work, and tells what changed on its own (design §1.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kilonova.domain.changes import Phase
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Instance, Instant
from kilonova.domain.states import PowerState


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """What one node of a host has. Memory in MiB, disk in GiB; ``cpu_info_json`` as os-hypervisors shows it."""

    hypervisor_hostname: str
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str
    vcpus: int
    memory_mb: int
    local_gb: int
    disk_available_least: int | None
    cpu_info_json: str
    uptime_text: str | None
    running_vms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """A heartbeat. ``working`` are the actions that this run of the agent has in hand: their leases are renewed."""

    host: str
    run_id: str
    nodes: tuple[NodeReport, ...]
    working: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One operation to carry out on one instance, until ``deadline_at``."""

    action_id: int
    operation: str
    instance: Instance
    parameters: dict[str, Any]
    deadline_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an operation failed: ``message`` for the owner, ``detail`` and ``traceback`` for the operator."""

    cause: FaultCause
    message: str
    detail: str
    traceback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReport:
    """That an operation started, ended or failed on a host. ``power`` is what the hypervisor says by then."""

    action_id: int
    host: str
    phase: Phase
    power: PowerState | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the hypervisor says of a guest, whoever caused it; ``detail`` says how it was seen."""

    instance_uuid: str
    power: PowerState
    detail: str


class Door(Protocol):
    """The four calls. Each may raise ``Unavailable``; the agent then tries again later."""

    def report_state(self, report: HostReport) -> None:
        """Say that the agent lives, with what its host has."""

    def next_work(self, host: str, run_id: str, *, limit: int) -> Sequence[Work]:
        """Take work of this host under a lease; at most one operation an instance, the oldest first."""

    def report(self, report: PhaseReport) -> None:
        """Say how far an operation is."""

    def observe(self, host: str, observations: Sequence[Observation]) -> frozenset[str]:
        """Tell power states; returns the guests among them that were deleted and should not exist any more."""
