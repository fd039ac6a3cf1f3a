"""How many living servers there are, by whatever tells them apart: one aggregate query, whatever their number."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from kilonova.domain.states import TaskState, VmState, status_of
from kilonova.store.rows import tuples
from kilonova.store.schema import instance_actions, instances

_COLUMNS: Final = instances.c
_BY: Final[dict[str, tuple[Any, ...]]] = {
    "status": (_COLUMNS.vm_state, _COLUMNS.task_state),
    "host": (_COLUMNS.host,),
    "project": (_COLUMNS.project_id,),
    "az": (_COLUMNS.host, _COLUMNS.availability_zone),
}
GROUPS: Final = tuple(_BY)
"""What servers can be counted by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some living servers that have the asked-for facts in common; None for a fact that nobody asked for.

    ``requested_zone`` is the zone that servers without a host were ordered for.
    """

    status: str | None
    host: str | None
    project_id: str | None
    requested_zone: str | None
    servers: int
    vcpus: int
    memory_mb: int
    disk_gb: int


class Hosted(NamedTuple):
    """A server on a node: the name that its hypervisor knows it by, and its uuid."""

    name: str
    uuid: str


def count_servers(connection: Connection, by: Collection[str], *, project_id: str | None = None) -> list[Group]:
    """The living servers, of one project if wanted, in groups by some of ``GROUPS``; for ``az`` with their host."""
    columns = list(dict.fromkeys(column for name in by for column in _BY[name]))
    sums = (func.sum(_COLUMNS.vcpus), func.sum(_COLUMNS.memory_mb), func.sum(_COLUMNS.root_gb + _COLUMNS.ephemeral_gb))
    statement = select(*columns, func.count(), *sums).where(_COLUMNS.deleted_at.is_(None)).group_by(*columns)
    if project_id is not None:
        statement = statement.where(_COLUMNS.project_id == project_id)
    names = [column.name for column in columns]
    return [_group(dict(zip(names, row, strict=False)), row[len(names) :]) for row in connection.execute(statement)]


def list_hosted(connection: Connection, host: str | None = None) -> dict[tuple[str, str], list[Hosted]]:
    """The living servers of every node, or of one host's, oldest first: no more of each than a list of them shows."""
    statement = select(_COLUMNS.host, _COLUMNS.node, _COLUMNS.id, _COLUMNS.uuid).where(_COLUMNS.deleted_at.is_(None))
    statement = statement.where(_COLUMNS.host.is_not(None) if host is None else _COLUMNS.host == host)
    found: dict[tuple[str, str], list[Hosted]] = {}
    for host_, node, id_, uuid in tuples(connection, statement.order_by(_COLUMNS.id)):
        found.setdefault((host_, node), []).append(Hosted(f"instance-{id_:08x}", uuid))
    return found


def workload_by_node(connection: Connection) -> dict[tuple[str, str], int]:
    """How many servers of each node have something in progress: Nova's ``current_workload`` (contract §3.2).

    Counted over what is open, not over what there is: a server with a task state has an open action.
    """
    on = instances.join(instance_actions, instance_actions.c.instance_uuid == _COLUMNS.uuid)
    busy = (
        select(_COLUMNS.host, _COLUMNS.node, func.count(func.distinct(_COLUMNS.uuid)))
        .select_from(on)
        .where(instance_actions.c.finished_at.is_(None), _COLUMNS.task_state.is_not(None), _COLUMNS.host.is_not(None))
        .group_by(_COLUMNS.host, _COLUMNS.node)
    )
    return {(host, node): number for host, node, number in connection.execute(busy)}


def _group(facts: dict[str, Any], numbers: Any) -> Group:
    vm_state, task_state = facts.get("vm_state"), facts.get("task_state")
    servers, vcpus, memory_mb, disk_gb = (int(number or 0) for number in numbers)
    return Group(
        status=None if vm_state is None else status_of(VmState(vm_state), task_state and TaskState(task_state)),
        host=facts.get("host"),
        project_id=facts.get("project_id"),
        requested_zone=facts.get("availability_zone"),
        servers=servers,
        vcpus=vcpus,
        memory_mb=memory_mb,
        disk_gb=disk_gb,
    )
