"""Instances, requests and changes for tests: small builders over the real records."""

from typing import Any
from uuid import uuid4

from kilonova.domain.changes import Change, Phase
from kilonova.domain.model import Fault, Instance, InstanceAction, Instant, Request
from kilonova.domain.operations import Operation, get_operation
from kilonova.domain.states import PowerState, VmState
from kilonova.domain.transitions import accepted, failed, finished
from kilonova.store.changes import Saved, save
from kilonova.store.database import Database
from kilonova.store.fleet import NodeValues, save_node
from kilonova.store.ledger import get_action

NOW = Instant(1_700_000_000_000_000)
NODE: NodeValues = {
    "hypervisor_hostname": "node-1",
    "hypervisor_type": "QEMU",
    "hypervisor_version": 8_002_000,
    "host_ip": "127.0.0.1",
    "vcpus": 4,
    "memory_mb": 8192,
    "local_gb": 100,
    "cpu_allocation_ratio": 1.0,
    "ram_allocation_ratio": 1.0,
    "disk_allocation_ratio": 1.0,
    "reserved_memory_mb": 0,
    "reserved_disk_gb": 0,
}


def at(seconds: float) -> Instant:
    """So many seconds into the test's own time."""
    return Instant(NOW + round(seconds * 1_000_000))


def asked(request_id: str | None = None, *, project_id: str = "p1") -> Request:
    return Request(request_id=request_id or f"req-{uuid4()}", user_id="u1", project_id=project_id, received_at=NOW)


def draft(**fields: Any) -> Instance:
    """An instance that nobody has saved yet."""
    instance = Instance(
        id=0,
        uuid=str(uuid4()),
        generation=0,
        project_id="p1",
        user_id="u1",
        display_name="web",
        hostname="web",
        vm_state=VmState.BUILDING,
        task_state=None,
        power_state=PowerState.NOSTATE,
        host=None,
        node=None,
        flavor_id=1,
        flavorid="1",
        flavor_name="m1.tiny",
        flavor_json="{}",
        vcpus=1,
        memory_mb=512,
        root_gb=1,
        ephemeral_gb=0,
        swap_mb=0,
        image_ref="img",
        image_json="{}",
        metadata_json="{}",
        tags_json="[]",
        addresses_json="{}",
        security_groups_json="[]",
        volumes_json="[]",
        created_at=NOW,
        updated_at=None,
        launched_at=None,
        terminated_at=None,
        deleted_at=None,
    )
    return instance._replace(**fields)


def running(**fields: Any) -> Instance:
    """A draft of one that runs."""
    made = draft(vm_state=VmState.ACTIVE, power_state=PowerState.RUNNING, host="h1", node="node-1", launched_at=NOW)
    return made._replace(**fields)


def kept(database: Database, instance: Instance | None = None, *, now: Instant = NOW) -> Instance:
    """The instance as it was saved, by a change of no operation."""
    change = Change(before=None, after=instance or draft(), request=asked(), occurred_at=now)
    with database.transaction() as tx:
        return save(tx, change).instance


def changed(database: Database, before: Instance, now: Instant = NOW, **fields: Any) -> Instance:
    """The instance after a change of no operation."""
    change = Change(before=before, after=before._replace(**fields), request=asked(), occurred_at=now)
    with database.transaction() as tx:
        return save(tx, change).instance


class Story:
    """One operation on one instance, told phase by phase."""

    def __init__(self, database: Database, instance: Instance, operation: str, *, host: str | None = "h1") -> None:
        self.database = database
        self.instance = instance
        self.operation: Operation = get_operation(operation)
        self.host = host
        self.request = asked()
        self.action_id: int | None = None

    def accept(self, now: Instant = NOW) -> "Story":
        is_new = self.instance.generation == 0
        return self._save(Phase.ACCEPTED, accepted(self.operation, self.instance, now=now), now, is_new=is_new)

    def start(self, now: Instant = NOW, *, event: str | None = None) -> "Story":
        return self._save(Phase.START, self.instance, now, event=event)

    def step(self, now: Instant = NOW, **fields: Any) -> "Story":
        return self._save(Phase.STEP, self.instance._replace(**fields), now)

    def end(self, now: Instant = NOW, *, closes_action: bool = True) -> "Story":
        after = finished(self.operation, self.instance, now=now)
        return self._save(Phase.END, after, now, closes_action=closes_action)

    def fail(self, now: Instant = NOW, *, fault: Fault | None = None, event: str | None = None) -> "Story":
        after = failed(self.operation, self.instance, now=now, power=None)
        return self._save(
            Phase.ERROR, after, now, fault=fault, event=event, traceback="Traceback: boom", details="boom"
        )

    @property
    def action(self) -> InstanceAction:
        with self.database.read() as connection:
            return get_action(connection, self.instance.uuid, self.request.request_id)

    def _save(self, phase: Phase, after: Instance, now: Instant, *, is_new: bool = False, **more: Any) -> "Story":
        change = Change(
            before=None if is_new else self.instance,
            after=after,
            request=self.request,
            occurred_at=now,
            operation=self.operation,
            phase=phase,
            action_id=self.action_id,
            host=self.host,
            **more,
        )
        with self.database.transaction() as tx:
            saved: Saved = save(tx, change)
        self.instance, self.action_id = saved
        return self


def noded(database: Database, host: str = "h1", **values: Any) -> str:
    """The uuid of a node that was reported."""
    with database.transaction() as tx:
        return save_node(tx, host, now=NOW, **{**NODE, **values}).uuid
