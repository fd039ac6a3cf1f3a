"""The records that the control plane keeps: immutable, without behaviour that needs a clock or a database.

Instants are whole microseconds since the Unix epoch in UTC: exact, ordered, the same in every database, and free
of time zones; the spellings that clients see are made in ``wire/times.py``. Sub-documents (``*_json``) are JSON
text in the form in which the API shows them, parsed only by who needs a part of them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NewType

from kilonova.domain.capacity import LOCAL_GB, MEMORY_MB, VCPUS, Capacity, Resource, promisable
from kilonova.domain.states import PowerState, TaskState, VmState, status_of

Instant = NewType("Instant", int)
"""Microseconds since 1970-01-01T00:00:00 UTC."""

Clock = Callable[[], Instant]
"""Tells the present; handed to whoever needs it, so that tests own the time."""

SECOND: Final = 1_000_000
"""Microseconds in a second."""


def after(instant: Instant, seconds: float) -> Instant:
    """The instant that lies ``seconds`` after another one (before it, when negative)."""
    return Instant(instant + round(seconds * SECOND))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The API request (or the loop) on whose behalf something is done.

    ``user_id`` and ``project_id`` are the caller's, which for an administrator are not the server's; None where
    nobody asked (contract §7.2). ``context_json`` is what else is told of the caller: ``user_name``, ``project_name``,
    ``user_domain``, ``project_domain``, ``roles`` and ``is_admin`` (contract §10.2), never a credential; None where it
    is not known.
    """

    request_id: str
    user_id: str | None
    project_id: str | None
    received_at: Instant
    context_json: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """A size of servers. ``flavorid`` is the id that clients use; ``id`` is the record's own number."""

    id: int
    flavorid: str
    name: str
    vcpus: int
    memory_mb: int
    root_gb: int
    ephemeral_gb: int = 0
    swap_mb: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    disabled: bool = False
    description: str | None = None
    extra_specs_json: str = "{}"
    created_at: Instant = Instant(0)

    @property
    def disk_gb(self) -> int:
        """What a server of this flavor takes of a host's disk, in GiB."""
        return self.root_gb + self.ephemeral_gb

    @property
    def embedded_json(self) -> str:
        """The flavor as servers carry it from microversion 2.47 on, with its extra specs (contract §6.3)."""
        return json.dumps(
            {
                "vcpus": self.vcpus,
                "ram": self.memory_mb,
                "disk": self.root_gb,
                "ephemeral": self.ephemeral_gb,
                "swap": self.swap_mb,
                "original_name": self.name,
                "extra_specs": json.loads(self.extra_specs_json),
            },
            separators=(",", ":"),
        )


class Instance(NamedTuple):
    """A server, as the inside calls it. Field order is column order: a database row becomes one by a single call.

    ``generation`` counts the writes; a change is saved only if it is still the one that was read. ``host`` and
    ``node`` are None until a host was chosen. ``locked_by`` is ``owner``, ``admin`` or None. ``trusted_certs_json`` are
    the ids of the certificates that its image was asked to be signed by, None for none. Sizes are the
    flavor's at boot, in MiB and GiB as in Nova.
    """

    id: int
    uuid: str
    generation: int
    project_id: str
    user_id: str
    display_name: str
    hostname: str
    vm_state: VmState
    task_state: TaskState | None
    power_state: PowerState
    host: str | None
    node: str | None
    flavor_id: int
    flavorid: str
    flavor_name: str
    flavor_json: str
    vcpus: int
    memory_mb: int
    root_gb: int
    ephemeral_gb: int
    swap_mb: int
    image_ref: str
    image_json: str
    metadata_json: str
    tags_json: str
    addresses_json: str
    security_groups_json: str
    volumes_json: str
    created_at: Instant
    updated_at: Instant | None
    launched_at: Instant | None
    terminated_at: Instant | None
    deleted_at: Instant | None
    display_description: str | None = None
    availability_zone: str | None = None
    key_name: str | None = None
    user_data: str | None = None
    config_drive: str = ""
    reservation_id: str = ""
    launch_index: int = 0
    root_device_name: str | None = None
    kernel_id: str = ""
    ramdisk_id: str = ""
    disk_config: str = "MANUAL"
    access_ip_v4: str = ""
    access_ip_v6: str = ""
    progress: int = 0
    locked_by: str | None = None
    locked_reason: str | None = None
    hints_json: str = "{}"
    nics_json: str = "[]"
    key_data: str | None = None
    trusted_certs_json: str | None = None

    @property
    def status(self) -> str:
        """What clients see (contract §6.4)."""
        return status_of(self.vm_state, self.task_state)

    @property
    def name(self) -> str:
        """The name that the hypervisor knows the guest by, such as ``instance-0000002a``."""
        return f"instance-{self.id:08x}"

    @property
    def is_deleted(self) -> bool:
        """True once the server is gone for good; its record stays readable for the ledger and for usage."""
        return self.deleted_at is not None

    @property
    def disk_gb(self) -> int:
        """What it takes of a host's disk, in GiB."""
        return self.root_gb + self.ephemeral_gb

    @property
    def metadata(self) -> Mapping[str, str]:
        """The owner's key-value pairs."""
        return json.loads(self.metadata_json)  # type: ignore[no-any-return]

    @property
    def image(self) -> dict[str, Any]:
        """What was known of the image at boot: ``disk_format``, ``size``, ``os_hash_value``, ``properties``."""
        return json.loads(self.image_json)  # type: ignore[no-any-return]

    @property
    def public_keys(self) -> Mapping[str, str]:
        """The public key that the guest is to let its owner in by, under its name; as it was at boot."""
        return {self.key_name: self.key_data} if self.key_name and self.key_data else {}

    @property
    def nics(self) -> list[dict[str, Any]]:
        """Where the server is plugged in: one object per NIC, with ``mac``, ``address`` and ``label``."""
        return json.loads(self.nics_json)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceAction:
    """One request to do something to one server: the ledger's row, and while it is open, the pending work.

    ``host`` is the compute host that has to carry it out, None while the conductor has it. ``owner`` is the run of
    the process that took it, good until ``lease_until``; past ``deadline_at`` the action is closed as interrupted.
    ``message`` is None or ``Error`` as in Nova; ``result`` and ``finished_at`` are ours. ``step``, ``is_undoing`` and
    ``course_json`` say how far a workflow is (``domain/workflow.py``); ``step`` is None before its first one.
    ``cause`` is the code of why it failed, None where it did not.
    """

    id: int
    instance_uuid: str
    request_id: str
    action: str
    operation: str
    user_id: str | None
    project_id: str | None
    started_at: Instant
    updated_at: Instant | None
    finished_at: Instant | None
    result: str | None
    message: str | None
    host: str | None
    owner: str | None
    lease_until: Instant | None
    deadline_at: Instant
    attempts: int
    parameters_json: str
    step: str | None = None
    is_undoing: bool = False
    course_json: str = "{}"
    cause: str | None = None
    context_json: str | None = None

    @property
    def is_open(self) -> bool:
        """True until the action has its end."""
        return self.finished_at is None

    @property
    def parameters(self) -> dict[str, Any]:
        """What the caller asked for beyond the operation itself."""
        return json.loads(self.parameters_json)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceEvent:
    """One step of an action on one host; ``result`` is None while it runs, then ``Success`` or ``Error``."""

    id: int
    action_id: int
    event: str
    host: str | None
    started_at: Instant
    finished_at: Instant | None
    result: str | None
    traceback: str | None
    details: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an instance failed: ``message`` for its owner, ``details`` for the operator (contract §8)."""

    code: int
    cause: str
    message: str
    details: str
    host: str | None
    created_at: Instant


class Service(NamedTuple):
    """A process that heartbeats. Field order is column order, as of ``Instance``.

    ``last_seen_at`` is by the control plane's clock, None before the first beat.
    ``was_up`` is what was last announced of it, and ``turned_at`` when, None where it never turned.
    """

    id: int
    uuid: str
    binary: str
    host: str
    disabled: bool
    disabled_reason: str | None
    forced_down: bool
    report_count: int
    last_seen_at: Instant | None
    created_at: Instant
    updated_at: Instant | None
    version: int
    was_up: bool = True
    turned_at: Instant | None = None

    def is_up(self, now: Instant, *, service_down_seconds: float) -> bool:
        """Whether it beat within the window, both ways and inclusive; forced down wins (contract §1.5)."""
        if self.forced_down:
            return False
        seen = self.created_at if self.last_seen_at is None else self.last_seen_at
        return abs(now - seen) <= service_down_seconds * SECOND


class ComputeNode(NamedTuple):
    """What a host has and what is promised of it. Memory in MiB, disk in GiB; field order is column order.

    ``*_used`` is the sum of the claims, and ``running_vms`` their number: the servers on the node, running or not, as
    Nova counts them (contract §3.2).
    """

    id: int
    uuid: str
    host: str
    hypervisor_hostname: str
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str
    vcpus: int
    memory_mb: int
    local_gb: int
    vcpus_used: int
    memory_mb_used: int
    local_gb_used: int
    running_vms: int
    cpu_allocation_ratio: float
    ram_allocation_ratio: float
    disk_allocation_ratio: float
    reserved_memory_mb: int
    reserved_disk_gb: int
    disk_available_least: int | None
    cpu_info_json: str
    uptime_text: str | None
    created_at: Instant
    updated_at: Instant | None

    @property
    def capacity(self) -> Capacity:
        """What it has of each kind, and what of that is promised."""
        return Capacity(
            vcpus=Resource(
                name=VCPUS, total=self.vcpus, reserved=0, allocated=self.vcpus_used, ratio=self.cpu_allocation_ratio
            ),
            memory_mb=Resource(
                name=MEMORY_MB,
                total=self.memory_mb,
                reserved=self.reserved_memory_mb,
                allocated=self.memory_mb_used,
                ratio=self.ram_allocation_ratio,
            ),
            local_gb=Resource(
                name=LOCAL_GB,
                total=self.local_gb,
                reserved=self.reserved_disk_gb,
                allocated=self.local_gb_used,
                ratio=self.disk_allocation_ratio,
            ),
        )

    @property
    def vcpus_free(self) -> int:
        """Virtual CPUs still to be promised, overcommit included."""
        return promisable(self.vcpus, 0, self.cpu_allocation_ratio) - self.vcpus_used

    @property
    def memory_mb_free(self) -> int:
        """MiB of memory still to be promised, overcommit and reservation included."""
        return promisable(self.memory_mb, self.reserved_memory_mb, self.ram_allocation_ratio) - self.memory_mb_used

    @property
    def local_gb_free(self) -> int:
        """GiB of disk still to be promised, overcommit and reservation included."""
        return promisable(self.local_gb, self.reserved_disk_gb, self.disk_allocation_ratio) - self.local_gb_used
