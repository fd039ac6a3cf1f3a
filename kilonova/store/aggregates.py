"""Aggregates, their hosts, and the zones that come of them (contract §2.3).

Whoever writes locks every aggregate first: that a host is in one zone only is true of all of them together.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Unpack
from uuid import uuid4

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from kilonova.domain.aggregates import ZONE_KEY, Aggregate, joined_zones
from kilonova.domain.errors import Conflict, Invalid, NotFound
from kilonova.domain.model import Instant, Request
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.fleet import find_service
from kilonova.store.rows import first_tuple
from kilonova.store.schema import instances
from kilonova.store.schema_aggregates import aggregate_hosts as members
from kilonova.store.schema_aggregates import aggregates

_COMPUTE: Final = "nova-compute"
_FEW: Final = 20
_ZONED: Final = (
    select(members.c.host, aggregates.c.availability_zone)
    .select_from(members.join(aggregates, aggregates.c.id == members.c.aggregate_id))
    .where(aggregates.c.availability_zone.is_not(None))
    .order_by(aggregates.c.id)
)


def list_aggregates(connection: Connection) -> list[Aggregate]:
    """Every aggregate with its hosts, in the order of their numbers."""
    return _aggregates(connection, select(aggregates).order_by(aggregates.c.id))


def get_aggregate(connection: Connection, id: int) -> Aggregate:
    """The aggregate with this number. Raises ``NotFound`` in Nova's words."""
    found = _aggregates(connection, select(aggregates).where(aggregates.c.id == id))
    if not found:
        raise NotFound(f"Aggregate {id} could not be found.")
    return found[0]


_ANY_ZONE: Final = "SELECT 1 FROM aggregates WHERE availability_zone IS NOT NULL LIMIT 1"


def zones_by_host(connection: Connection, hosts: Collection[str] | None = None) -> dict[str, str]:
    """The zone of each host that is in one, of these hosts at least; a host that is missing is in the default zone.

    On the path of every server that is shown: most clouds have no zones of their own, which ready SQL tells at once.
    """
    if first_tuple(connection, _ANY_ZONE, ()) is None:
        return {}
    few = hosts is not None and len(hosts) <= _FEW
    statement = _ZONED.where(members.c.host.in_(hosts or ())) if few else _ZONED
    return joined_zones((host, zone) for host, zone in connection.execute(statement))


def add_aggregate(tx: Transaction, name: str, zone: str | None, *, request: Request) -> Aggregate:
    """Keep a new aggregate, without hosts. Raises ``Conflict`` where the name is taken."""
    row = {
        "uuid": str(uuid4()),
        "name": name,
        "availability_zone": zone,
        "metadata_json": "{}",
        "created_at": request.received_at,
    }
    key = _uniquely(tx, name, lambda: tx.connection.execute(aggregates.insert().values(**row)).inserted_primary_key)
    if not key:
        raise RuntimeError("the database gave the new aggregate no number")
    made = get_aggregate(tx.connection, key[0])
    _announce(tx, "create", made, request)
    return made


def rename_aggregate(tx: Transaction, id: int, name: str, *, request: Request) -> Aggregate:
    """Give an aggregate another name. Raises ``NotFound``, and ``Conflict`` where the name is taken."""
    before = _locked(tx, id)
    changed = aggregates.update().where(aggregates.c.id == id).values(name=name, updated_at=request.received_at)
    _uniquely(tx, name, lambda: tx.connection.execute(changed))
    return _told(tx, "update_prop", id, request, {"name": before.name})


def change_aggregate_metadata(
    tx: Transaction, id: int, items: Mapping[str, str | None], *, what: str, request: Request
) -> Aggregate:
    """Set items of an aggregate's metadata, its zone among them; None removes one.

    ``what`` could not be done names the request in the text of ``Invalid``: raised for a zone without a name, for
    hosts that are in another zone already, and for hosts with instances. Raises ``NotFound`` in Nova's words.
    """
    before = _locked(tx, id)
    zone = before.availability_zone
    if ZONE_KEY in items:
        zone = _allowed_zone(tx.connection, before, items[ZONE_KEY], what)
    rest = {**json.loads(before.metadata_json), **{key: value for key, value in items.items() if key != ZONE_KEY}}
    kept = {key: value for key, value in rest.items() if value is not None}
    row = {"availability_zone": zone, "metadata_json": json.dumps(kept), "updated_at": request.received_at}
    tx.connection.execute(aggregates.update().where(aggregates.c.id == id).values(**row))
    return _told(tx, "update_metadata", id, request, {"metadata": before.metadata}, {"asked": dict(items)})


def remove_aggregate(tx: Transaction, id: int, *, request: Request) -> None:
    """Remove an aggregate. Raises ``NotFound``, and ``Invalid`` where it has hosts, in Nova's words."""
    found = _locked(tx, id)
    if found.hosts:
        raise Invalid(f"Cannot remove host from aggregate {id}. Reason: Host aggregate is not empty.")
    tx.connection.execute(aggregates.delete().where(aggregates.c.id == id))
    _announce(tx, "delete", found, request)


def metadata_by_host(connection: Connection) -> dict[str, dict[str, frozenset[str]]]:
    """What the metadata of each host's aggregates says: for every key all of its values (a zone among them)."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    for aggregate in list_aggregates(connection):
        items = aggregate.metadata
        for host in aggregate.hosts if items else ():
            known = found.setdefault(host, {})
            known.update({key: known.get(key, frozenset()) | {value} for key, value in items.items()})
    return found


def add_aggregate_host(tx: Transaction, id: int, host: str, *, default_zone: str, request: Request) -> Aggregate:
    """Put a compute host into an aggregate.

    Raises ``NotFound`` for an unknown host or aggregate; ``Conflict`` where it is in there already, is in another
    zone, or has instances that would change theirs.
    """
    _lock(tx)
    if find_service(tx.connection, _COMPUTE, host) is None:
        raise NotFound(f"Compute host {host} could not be found.")
    before = _locked(tx, id)
    what = f"Cannot add host to aggregate {id}."
    if before.availability_zone is not None:
        others = _other_zones(tx.connection, before, [host], before.availability_zone)
        if others:
            raise Conflict(f"{what} Reason: {_zoned_already(others)}")
    if host in before.hosts:
        raise Conflict(f"Aggregate {id} already has host {host}.")
    old = zones_by_host(tx.connection, [host]).get(host, default_zone)
    _check_move(tx.connection, host, what, old=old, new=before.availability_zone or old)
    tx.connection.execute(members.insert().values(aggregate_id=id, host=host))
    return _told(tx, "add_host", id, request, {"hosts": list(before.hosts)})


def remove_aggregate_host(tx: Transaction, id: int, host: str, *, default_zone: str, request: Request) -> Aggregate:
    """Take a host out of an aggregate.

    Raises ``NotFound`` where it is not in there, ``Conflict`` where it has instances that would change their zone.
    """
    before = _locked(tx, id, f"Cannot remove host {host} in aggregate {id}")
    if host not in before.hosts:
        raise NotFound(f"Cannot remove host {host} in aggregate {id}")
    old = zones_by_host(tx.connection, [host]).get(host, default_zone)
    tx.connection.execute(members.delete().where(members.c.aggregate_id == id, members.c.host == host))
    new = zones_by_host(tx.connection, [host]).get(host, default_zone)
    _check_move(tx.connection, host, f"Cannot remove host from aggregate {id}.", old=old, new=new)
    return _told(tx, "remove_host", id, request, {"hosts": list(before.hosts)})


def forget_host(tx: Transaction, host: str, *, request: Request) -> None:
    """Take a host that is no more out of every aggregate (contract §1.4)."""
    _lock(tx)
    for found in list_aggregates(tx.connection):
        if host in found.hosts:
            mine = (members.c.aggregate_id == found.id) & (members.c.host == host)
            tx.connection.execute(members.delete().where(mine))
            _told(tx, "remove_host", found.id, request, {"hosts": list(found.hosts)})


def _allowed_zone(connection: Connection, aggregate: Aggregate, zone: str | None, what: str) -> str:
    """The zone, if the aggregate can be it."""
    if not zone:
        raise Invalid(f"{what} Reason: Aggregate {aggregate.name} does not support empty named availability zone.")
    others = _other_zones(connection, aggregate, aggregate.hosts, zone)
    if others:
        raise Invalid(f"{what} Reason: {_zoned_already(others)}")
    if zone != aggregate.availability_zone and _count_instances(connection, aggregate.hosts):
        raise Invalid(f"{what} Reason: One or more hosts contain instances in this zone.")
    return zone


def _other_zones(connection: Connection, aggregate: Aggregate, hosts: Iterable[str], zone: str) -> list[str]:
    """The zones other than this one that other aggregates put these hosts in, one for each such aggregate."""
    wanted = set(hosts)
    others = [other for other in list_aggregates(connection) if other.id != aggregate.id]
    theirs = [other.availability_zone for other in others if not wanted.isdisjoint(other.hosts)]
    return [each for each in theirs if each is not None and each != zone]


def _zoned_already(zones: list[str]) -> str:
    return f"One or more hosts already in availability zone(s) {zones}."


def _check_move(connection: Connection, host: str, what: str, *, old: str, new: str) -> None:
    """Conflict where servers would find themselves in another zone than the one they were placed in."""
    count = _count_instances(connection, [host]) if old != new else 0
    if count:
        raise Conflict(
            f"{what} Reason: Host {host} has {count} instance(s) in availability zone {old}, which would then be in "
            f"{new}. Shelve-offload them first and unshelve them afterwards, or move them away."
        )


def _count_instances(connection: Connection, hosts: Iterable[str]) -> int:
    columns = instances.c
    living = select(func.count()).where(columns.host.in_(list(hosts)), columns.deleted_at.is_(None))
    return connection.scalar(living) or 0


def _lock(tx: Transaction) -> None:
    tx.connection.execute(select(aggregates.c.id).order_by(aggregates.c.id).with_for_update()).all()


def _locked(tx: Transaction, id: int, missing: str | None = None) -> Aggregate:
    """The aggregate, with all of them locked. ``missing`` replaces the text where there is none."""
    _lock(tx)
    try:
        return get_aggregate(tx.connection, id)
    except NotFound as error:
        raise NotFound(missing or error.message) from None


def _uniquely(tx: Transaction, name: str, write: Any) -> Any:
    try:
        with tx.connection.begin_nested():
            return write()
    except IntegrityError:
        raise Conflict(f"Aggregate {name} already exists.") from None


def _aggregates(connection: Connection, statement: Any) -> list[Aggregate]:
    rows = connection.execute(statement).mappings().all()
    chosen = members.c.aggregate_id.in_([row["id"] for row in rows])
    hosts: dict[int, list[str]] = {}
    for id_, host in connection.execute(
        select(members.c.aggregate_id, members.c.host).where(chosen).order_by(members.c.id)
    ):
        hosts.setdefault(id_, []).append(host)
    return [Aggregate(**row, hosts=tuple(hosts.get(row["id"], ()))) for row in rows]


def _told(
    tx: Transaction,
    operation: str,
    id: int,
    request: Request,
    previous: Mapping[str, Any],
    facts: Mapping[str, Any] | None = None,
) -> Aggregate:
    changed = get_aggregate(tx.connection, id)
    _announce(tx, operation, changed, request, previous, facts)
    return changed


def tell(tx: Transaction, it: Aggregate, *, now: Instant, **telling: Unpack[journal.Telling]) -> None:
    """Tell of something that is done with an aggregate, and changes nothing of it."""
    journal.append(tx, kind="aggregate", key=it.uuid, occurred_at=now, snapshot=_snapshot(it), **telling)


def _snapshot(it: Aggregate) -> dict[str, Any]:
    return {
        "id": it.id,
        "uuid": it.uuid,
        "name": it.name,
        "metadata": it.metadata,
        "hosts": list(it.hosts),
        "created_at": it.created_at,
        "updated_at": it.updated_at,
    }


def _announce(
    tx: Transaction,
    operation: str,
    it: Aggregate,
    request: Request,
    previous: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    journal.append(
        tx,
        kind="aggregate",
        key=it.uuid,
        operation=operation,
        request=request,
        occurred_at=request.received_at,
        previous=previous,
        facts=facts or {},
        snapshot=_snapshot(it),
    )
