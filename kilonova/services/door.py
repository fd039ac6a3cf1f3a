"""The agents' one door to the control plane: four calls, and the records that pass through it.

An agent has no database credentials. It says that it is alive and what its host has, asks for work, reports the
phases of that work, and tells what changed on its own (design §1.5).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kilonova.domain.changes import Phase, Raised
from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Instance, Instant
from kilonova.domain.states import PowerState, TaskState
from kilonova.domain.workflow import Leg


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was counted of a host's guests at one moment by the agent's clock: None for one that does not run.

    A guest of the host that is not in it did not answer, or is gone.
    """

    at: Instant
    guests: Mapping[str, Diagnostics | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """A heartbeat. ``working`` are the actions that this run of the agent has in hand: their leases are renewed.

    ``agent_id`` is the same for every run of one agent; ``sent_at`` is by its own clock, from which nothing follows
    but that it differs. ``trouble`` is why the hypervisor does not answer, and then ``nodes`` is empty: the agent
    lives all the same. ``samples`` are what was counted since the last heartbeat that was heard. ``driver`` is the name
    of the agent's driver, such as ``libvirt``.
    """

    host: str
    agent_id: str
    run_id: str
    sent_at: Instant
    nodes: tuple[NodeReport, ...]
    working: tuple[int, ...]
    trouble: str | None = None
    samples: tuple[Sample, ...] = ()
    driver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One operation to carry out on one instance, until ``deadline_at``; of a workflow, one ``leg`` of it.

    ``verb`` is what the driver is asked for; ``parameters`` are those of the operation, and what earlier steps handed
    on.
    """

    action_id: int
    operation: str
    instance: Instance
    parameters: dict[str, Any]
    deadline_at: Instant
    verb: str
    leg: Leg | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an operation failed: ``message`` for the owner, ``detail`` and ``traceback`` for the operator.

    ``is_cleared`` says whether nothing of the guest is left on the host; only then may it be built on another one.
    ``raised`` is the exception behind it, None where there was none.
    """

    cause: FaultCause
    message: str
    detail: str
    traceback: str
    is_cleared: bool = False
    raised: Raised | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReport:
    """That an operation, or the ``leg`` of a workflow, started, went on, ended or failed on a host.

    ``step`` is the task state of the next part of it (with the phase STEP), ``power`` what the hypervisor says by then,
    ``result`` what the driver's call returned, for the steps that follow.
    """

    action_id: int
    host: str
    run_id: str
    phase: Phase
    step: TaskState | None = None
    power: PowerState | None = None
    failure: Failure | None = None
    leg: Leg | None = None
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the hypervisor says of a guest, whoever caused it; ``detail`` says how it was seen.

    ``generation`` is None at the first look. A doubt comes back with the generation that the instance then had; the
    second look repeats it, and counts only if the instance has not changed since.
    """

    instance_uuid: str
    power: PowerState
    detail: str
    generation: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be done about what was observed.

    ``unwanted`` guests are to be removed: their server was deleted, or lives on another host. ``doubts`` are guests
    that differ from their record, with its generation: the agent looks again and tells what it then sees.
    """

    unwanted: frozenset[str] = frozenset()
    doubts: Mapping[str, int] = field(default_factory=dict)


class Door(Protocol):
    """The four calls. Each may raise ``Unavailable``; the agent then tries again, a report until it is heard."""

    def report_state(self, report: HostReport) -> None:
        """Say that the agent lives, with what its host has.

        Raises ``Conflict`` while another agent speaks for the host, and ``Invalid`` for what cannot be a host.
        """

    def next_work(self, host: str, run_id: str, *, limit: int) -> Sequence[Work]:
        """Take work of this host under a lease; at most one operation an instance, the oldest first."""

    def report(self, report: PhaseReport) -> bool:
        """Say how far an operation is; False if it is no longer this run's to carry out."""

    def observe(self, host: str, observations: Sequence[Observation], *, is_complete: bool = False) -> Verdict:
        """Tell power states that nobody asked for; ``is_complete`` if these are all the guests that the host has."""
