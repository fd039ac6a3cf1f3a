"""Server groups and their members. A server that is gone is no member any more, though its row stays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select, union

from kilonova.domain.errors import NotFound, QuotaExceeded
from kilonova.domain.groups import Company, GroupPolicy, ServerGroup
from kilonova.domain.model import Instance, Request
from kilonova.domain.quota import UNLIMITED
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.quotas import lock_project
from kilonova.store.schema import claims, compute_nodes, instances
from kilonova.store.schema_catalog import server_group_members as members
from kilonova.store.schema_catalog import server_groups as groups

_LIVING: Final = instances.c.deleted_at.is_(None)
_APART: Final = frozenset({GroupPolicy.ANTI_AFFINITY, GroupPolicy.SOFT_ANTI_AFFINITY})
_WITH_INSTANCES: Final = members.join(instances, instances.c.uuid == members.c.instance_uuid)


def get_server_group(connection: Connection, uuid: str) -> ServerGroup:
    """The group of this uuid, with its members. Raises ``NotFound`` in Nova's words."""
    found = _groups(connection, select(groups).where(groups.c.uuid == uuid))
    if not found:
        raise NotFound(f"Instance group {uuid} could not be found.")
    return found[0]


def list_server_groups(connection: Connection, project_id: str | None) -> list[ServerGroup]:
    """The groups of a project, or of every one, the oldest first."""
    statement = select(groups).order_by(groups.c.id)
    return _groups(connection, statement if project_id is None else statement.where(groups.c.project_id == project_id))


def count_server_groups(connection: Connection, project_id: str) -> int:
    """How many groups a project has."""
    return connection.scalar(select(func.count()).where(groups.c.project_id == project_id)) or 0


def find_group_uuid(connection: Connection, instance_uuid: str) -> str | None:
    """The uuid of the group that a server is in, or None."""
    joined = groups.join(members, members.c.group_id == groups.c.id)
    return connection.scalar(select(groups.c.uuid).select_from(joined).where(members.c.instance_uuid == instance_uuid))


def add_server_group(tx: Transaction, group: ServerGroup, *, limit: int, request: Request) -> ServerGroup:
    """Keep a new group; its ``id`` is given here. Raises ``QuotaExceeded`` where the project has ``limit`` of them."""
    lock_project(tx, group.project_id)
    if limit != UNLIMITED and count_server_groups(tx.connection, group.project_id) >= limit:
        raise QuotaExceeded("Quota exceeded, too many server groups.")
    row = _row(group)
    key = tx.connection.execute(groups.insert().values(**row)).inserted_primary_key
    if not key:
        raise RuntimeError("the database gave the new group no id")
    made = replace(group, id=key[0])
    _announce(tx, "create", made, request)
    return made


def remove_server_group(tx: Transaction, uuid: str, *, request: Request) -> None:
    """Remove a group; its servers stay. Raises ``NotFound`` in Nova's words."""
    found = get_server_group(tx.connection, uuid)
    tx.connection.execute(members.delete().where(members.c.group_id == found.id))
    tx.connection.execute(groups.delete().where(groups.c.id == found.id))
    _announce(tx, "delete", found, request)


def join_server_group(tx: Transaction, uuid: str, servers: Sequence[Instance], *, limit: int, request: Request) -> None:
    """Make new servers members of a group of their project.

    Raises ``NotFound`` for a group that is not there or another project's, ``QuotaExceeded`` where their owner would
    have more than ``limit`` servers in it.
    """
    tx.connection.execute(select(groups.c.id).where(groups.c.uuid == uuid).with_for_update())
    group = get_server_group(tx.connection, uuid)
    first = servers[0]
    if group.project_id != first.project_id:
        raise NotFound(f"Instance group {uuid} could not be found.")
    if limit != UNLIMITED and _count_of_user(tx.connection, group.id, first.user_id) + len(servers) > limit:
        raise QuotaExceeded("Quota exceeded, too many servers in group")
    tx.connection.execute(
        members.insert(), [{"group_id": group.id, "instance_uuid": server.uuid} for server in servers]
    )
    joined = get_server_group(tx.connection, uuid)
    _announce(tx, "add_member", joined, request, {"joined": [server.uuid for server in servers]})


def find_company(connection: Connection, instance_uuid: str, *, lock: bool = False) -> Company | None:
    """What the server's group demands of its host, as the other members lie now; None where it is in no group.

    With ``lock`` nobody else gets past here before the transaction ends: members are placed one after the other.
    """
    mine = select(members.c.group_id).where(members.c.instance_uuid == instance_uuid)
    group_id = connection.scalar(mine)
    if group_id is None:
        return None
    chosen = select(groups).where(groups.c.id == group_id)
    row = connection.execute(chosen.with_for_update() if lock else chosen).mappings().first()
    return None if row is None else _company(connection, row, but=instance_uuid)


def get_company(connection: Connection, uuid: str, project_id: str) -> Company:
    """What a project's group demands of one more member. Raises ``NotFound`` where it is not there, or not theirs."""
    chosen = select(groups).where(groups.c.uuid == uuid, groups.c.project_id == project_id)
    row = connection.execute(chosen).mappings().first()
    if row is None:
        raise NotFound(f"Instance group {uuid} could not be found.")
    return _company(connection, row)


def _company(connection: Connection, group: RowMapping, *, but: str | None = None) -> Company:
    """What a group demands by the hosts of its living members, save one.

    Where members are to be apart, one that moves, and may come back, is kept away from at both ends.
    """
    others: list[ColumnElement[bool]] = [members.c.group_id == group["id"], _LIVING]
    if but is not None:
        others.append(members.c.instance_uuid != but)
    lie = select(instances.c.uuid, instances.c.host).select_from(_WITH_INSTANCES)
    places = lie.where(*others, instances.c.host.is_not(None)).subquery()
    if group["policy"] in _APART:
        promised = _WITH_INSTANCES.join(claims, claims.c.instance_uuid == instances.c.uuid)
        nodes = promised.join(compute_nodes, compute_nodes.c.uuid == claims.c.node_uuid)
        go = select(instances.c.uuid, compute_nodes.c.host).select_from(nodes).where(*others)
        places = union(select(places), go).subquery()
    counted = select(places.c.host, func.count().label("number")).group_by(places.c.host)
    return _group(group, ()).company({found.host: found.number for found in connection.execute(counted)})


def _groups(connection: Connection, statement: Any) -> list[ServerGroup]:
    rows = connection.execute(statement).mappings().all()
    living = _members(connection, [row["id"] for row in rows])
    return [_group(row, living.get(row["id"], ())) for row in rows]


def _members(connection: Connection, group_ids: Iterable[int]) -> dict[int, list[str]]:
    """The living members of each group, in the order in which they came."""
    statement = (
        select(members.c.group_id, members.c.instance_uuid)
        .select_from(_WITH_INSTANCES)
        .where(members.c.group_id.in_(list(group_ids)), _LIVING)
        .order_by(instances.c.id)
    )
    found: dict[int, list[str]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.group_id, []).append(row.instance_uuid)
    return found


def _count_of_user(connection: Connection, group_id: int, user_id: str) -> int:
    counted = (
        select(func.count())
        .select_from(_WITH_INSTANCES)
        .where(members.c.group_id == group_id, instances.c.user_id == user_id, _LIVING)
    )
    return connection.scalar(counted) or 0


def _group(row: Any, uuids: Iterable[str]) -> ServerGroup:
    return ServerGroup(**{**row, "policy": GroupPolicy(row["policy"])}, members=tuple(uuids))


def _row(group: ServerGroup) -> dict[str, Any]:
    row = {name: getattr(group, name) for name in groups.c.keys() if name != "id"}  # noqa: SIM118  not a dictionary
    return {**row, "policy": str(group.policy)}


def _announce(
    tx: Transaction, operation: str, group: ServerGroup, request: Request, facts: Mapping[str, Any] | None = None
) -> None:
    journal.append(
        tx,
        kind="server_group",
        key=group.uuid,
        project_id=group.project_id,
        operation=operation,
        request=request,
        occurred_at=request.received_at,
        facts=facts or {},
        snapshot={**_row(group), "id": group.id, "members": list(group.members)},
    )
