"""The books: what is counted in more than one way must come to the same. Each question finds what does not.

All of it is zero by construction, as records, segments and claims are written in one transaction; these queries prove
it on a living database, and find what a hand that wrote into it broke.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, exists, func, or_, select

from kilonova.store.schema import claims, compute_nodes, instances, usage_segments

_A: Final = usage_segments.alias("a")
_B: Final = usage_segments.alias("b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """How often one check failed, and the first of those that it failed for."""

    check: str
    count: int
    examples: tuple[str, ...]


def list_discrepancies(connection: Connection, *, most: int = 20) -> list[Discrepancy]:
    """Every check with what it found, also where that is nothing."""
    return [_checked(connection, name, question(), most) for name, question in _CHECKS.items()]


def _checked(connection: Connection, name: str, question: Select[Any], most: int) -> Discrepancy:
    count = connection.scalar(select(func.count()).select_from(question.subquery())) or 0
    examples = tuple(str(each) for each in connection.scalars(question.limit(most))) if count else ()
    return Discrepancy(check=name, count=count, examples=examples)


def _negative() -> Select[Any]:
    return select(_A.c.instance_uuid).where(_A.c.ended_at < _A.c.started_at)


def _overlapping() -> Select[Any]:
    later = and_(
        _B.c.instance_uuid == _A.c.instance_uuid,
        _B.c.id > _A.c.id,
        or_(_A.c.ended_at.is_(None), _B.c.started_at < _A.c.ended_at),
    )
    return select(_A.c.instance_uuid).where(exists().where(later))


def _open_of_deleted() -> Select[Any]:
    gone = and_(instances.c.uuid == _A.c.instance_uuid, instances.c.deleted_at.is_not(None))
    return select(_A.c.instance_uuid).where(_A.c.ended_at.is_(None), exists().where(gone))


def _unbilled() -> Select[Any]:
    """Launched servers whose open segment is missing, or says something else than they do."""
    same = and_(
        _A.c.instance_uuid == instances.c.uuid,
        _A.c.ended_at.is_(None),
        _A.c.project_id == instances.c.project_id,
        _A.c.flavor_name == instances.c.flavor_name,
        _A.c.vcpus == instances.c.vcpus,
        _A.c.memory_mb == instances.c.memory_mb,
        _A.c.disk_gb == instances.c.root_gb + instances.c.ephemeral_gb,
        _A.c.vm_state == instances.c.vm_state,
        func.coalesce(_A.c.host, "") == func.coalesce(instances.c.host, ""),
    )
    living = and_(instances.c.launched_at.is_not(None), instances.c.deleted_at.is_(None))
    return select(instances.c.uuid).where(living, ~exists().where(same))


def _claims_of_nobody() -> Select[Any]:
    living = and_(instances.c.uuid == claims.c.instance_uuid, instances.c.deleted_at.is_(None))
    return select(claims.c.instance_uuid).where(~exists().where(living))


def _drifted_nodes() -> Select[Any]:
    """Nodes whose counted use is not the sum of what is claimed on them."""
    sums = (
        select(
            claims.c.node_uuid,
            func.sum(claims.c.vcpus).label("vcpus"),
            func.sum(claims.c.memory_mb).label("memory_mb"),
            func.sum(claims.c.local_gb).label("local_gb"),
        )
        .group_by(claims.c.node_uuid)
        .subquery()
    )
    node = compute_nodes.c
    return (
        select(node.hypervisor_hostname)
        .select_from(compute_nodes.outerjoin(sums, sums.c.node_uuid == node.uuid))
        .where(
            or_(
                node.vcpus_used != func.coalesce(sums.c.vcpus, 0),
                node.memory_mb_used != func.coalesce(sums.c.memory_mb, 0),
                node.local_gb_used != func.coalesce(sums.c.local_gb, 0),
            )
        )
    )


_CHECKS: Final[Mapping[str, Callable[[], Select[Any]]]] = {
    "negative_segments": _negative,
    "overlapping_segments": _overlapping,
    "open_segments_of_deleted_servers": _open_of_deleted,
    "servers_billed_for_what_they_are_not": _unbilled,
    "claims_of_nobody": _claims_of_nobody,
    "nodes_that_drifted_from_their_claims": _drifted_nodes,
}
