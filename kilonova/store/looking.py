"""What the conditions of many servers are derived from, each kind of it in one query however many servers there are."""

from collections.abc import Collection

from sqlalchemy import Connection, and_, func, or_, select, union

from kilonova.domain.conditions import Status
from kilonova.domain.model import InstanceAction, Service
from kilonova.domain.refusals import REASONS
from kilonova.domain.server_conditions import PLACED
from kilonova.domain.states import VmState
from kilonova.store.decisions import KeptDecision
from kilonova.store.rows import many
from kilonova.store.schema import decisions, instance_actions, instances, services
from kilonova.store.schema_conditions import conditions


def list_noteworthy(connection: Connection, about: str, *, limit: int, after_uuid: str = "") -> list[str]:
    """Servers with something under way, in error, or last found to be amiss: their uuids, in order.

    ``about`` is the kind of thing that kept conditions have for servers; ``after_uuid`` the last of the page before.
    """
    kept, actions = conditions.c, instance_actions.c
    is_unplaced = and_(kept.type == PLACED, kept.reason.in_(sorted(REASONS)))
    is_amiss = or_(is_unplaced, and_(kept.type != PLACED, kept.status == str(Status.TRUE)))
    found = union(
        select(actions.instance_uuid.label("uuid")).where(actions.finished_at.is_(None)),
        select(kept.key).where(kept.about == about, is_amiss),
        select(instances.c.uuid).where(instances.c.vm_state == str(VmState.ERROR), instances.c.deleted_at.is_(None)),
    ).subquery()
    page = select(found.c.uuid).where(found.c.uuid > after_uuid).order_by(found.c.uuid).limit(limit)
    return [str(uuid) for uuid in connection.scalars(page)]


def open_actions(connection: Connection, uuids: Collection[str]) -> dict[str, list[InstanceAction]]:
    """The open actions of these servers, oldest first; only of those that have any."""
    table = instance_actions.c
    mine = select(instance_actions).where(table.instance_uuid.in_(list(uuids)), table.finished_at.is_(None))
    found: dict[str, list[InstanceAction]] = {}
    for action in many(connection, InstanceAction, mine.order_by(table.id)):
        found.setdefault(action.instance_uuid, []).append(action)
    return found


def newest_decisions(connection: Connection, uuids: Collection[str]) -> dict[str, KeptDecision]:
    """The last scheduling attempt for each of these servers that there was one for."""
    table = decisions.c
    newest = select(func.max(table.id)).where(table.instance_uuid.in_(list(uuids))).group_by(table.instance_uuid)
    found = many(connection, KeptDecision, select(decisions).where(table.id.in_(newest)))
    return {decision.instance_uuid: decision for decision in found}


def compute_services(connection: Connection, hosts: Collection[str]) -> dict[str, Service]:
    """The compute services of these hosts, by host."""
    table = services.c
    mine = select(services).where(table.binary == "nova-compute", table.host.in_(list(hosts)))
    return {service.host: service for service in many(connection, Service, mine)}
