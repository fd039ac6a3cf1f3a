"""Ports: those that were made by hand, and those of servers whose address does not follow from their number."""

from collections.abc import Collection, Sequence

from sqlalchemy import and_, func, or_, select
from sqlalchemy.exc import IntegrityError

from kilonova.domain.errors import NotFound
from kilonova.domain.model import Instance, Instant
from kilonova.domain.ports import Port
from kilonova.store.database import Connection, Transaction
from kilonova.store.failures import Contention
from kilonova.store.rows import many, one
from kilonova.store.schema import instances
from kilonova.store.schema_network import ports

_UNKNOWN = "Port {} could not be found."


def add_port(tx: Transaction, port: Port) -> None:
    """Take the port's addresses. ``Contention`` where somebody took one of them in the same moment."""
    values = {name: getattr(port, name) for name in Port.__slots__}
    try:
        tx.connection.execute(ports.insert().values(**values))
    except IntegrityError as error:
        raise Contention("Somebody else took the same address; try again.") from error


def find_port(connection: Connection, port_id: str) -> Port | None:
    """The port of this id, whosever it is, or None."""
    return one(connection, Port, select(ports).where(ports.c.id == port_id))


def get_port(connection: Connection, port_id: str, *, project_id: str | None) -> Port:
    """A project's port, or any one for None; NotFound in Nova's words."""
    found = find_port(connection, port_id)
    if found is None or project_id not in (None, found.project_id):
        raise NotFound(_UNKNOWN.format(port_id))
    return found


def list_ports(connection: Connection, *, project_id: str | None = None, device_id: str | None = None) -> list[Port]:
    """Ports, oldest first; of one project, and of one server alone, where those are given."""
    statement = select(ports).order_by(ports.c.created_at, ports.c.id)
    if project_id is not None:
        statement = statement.where(ports.c.project_id == project_id)
    if device_id is not None:
        statement = statement.where(ports.c.device_id == device_id)
    return many(connection, Port, statement)


def count_kept(connection: Connection, project_id: str) -> int:
    """How many ports of the project were made by hand."""
    statement = select(func.count()).where(ports.c.project_id == project_id, ports.c.is_kept)
    return int(connection.scalar(statement) or 0)


def find_user(connection: Connection, address: str) -> str | None:
    """What has the address: a server's UUID, the id of a port that nothing is plugged into, or None."""
    taken = connection.execute(select(ports.c.device_id, ports.c.id).where(ports.c.address == address)).first()
    if taken is not None:
        return str(taken.device_id or taken.id)
    plugged = instances.c.nics_json.contains(f'"address":"{address}"', autoescape=True)
    return connection.scalar(select(instances.c.uuid).where(instances.c.deleted_at.is_(None), plugged).limit(1))


def is_plugged(connection: Connection, port_id: str, project_id: str) -> bool:
    """Whether a living server of the project is plugged into this port, be it one with a record or none."""
    theirs = (instances.c.project_id == project_id, instances.c.deleted_at.is_(None))
    plugged = instances.c.nics_json.contains(f'"port_id":"{port_id}"', autoescape=True)
    return connection.scalar(select(instances.c.id).where(*theirs, plugged).limit(1)) is not None


def is_taken(connection: Connection, *, address: str, mac: str) -> bool:
    """Whether a port has one of these; what follows from a server's number is not looked at."""
    statement = select(ports.c.id).where(or_(ports.c.address == address, ports.c.mac == mac))
    return connection.scalar(statement.limit(1)) is not None


def taken_addresses(connection: Connection) -> set[str]:
    """Every address that a port has."""
    return set(connection.scalars(select(ports.c.address)))


def plug(tx: Transaction, port_id: str, device_id: str, *, project_id: str, now: Instant) -> bool:
    """Plug a server into a project's port; False if the port is not there, or something is plugged in."""
    mine = and_(ports.c.id == port_id, ports.c.project_id == project_id, ports.c.device_id.is_(None))
    return tx.connection.execute(ports.update().where(mine).values(device_id=device_id, updated_at=now)).rowcount == 1


def rename(tx: Transaction, port_id: str, *, name: str, description: str, now: Instant) -> None:
    """Call the port otherwise."""
    tx.connection.execute(
        ports.update().where(ports.c.id == port_id).values(name=name, description=description, updated_at=now)
    )


def drop(tx: Transaction, port_id: str) -> bool:
    """Give up a port that nothing is plugged into; False for any other."""
    mine = and_(ports.c.id == port_id, ports.c.device_id.is_(None))
    return tx.connection.execute(ports.delete().where(mine)).rowcount == 1


def follow(tx: Transaction, before: Instance | None, after: Instance, *, now: Instant) -> None:
    """Unplug what a server has no more, all of it once the server is deleted: what was made by hand stays."""
    if before is None or before.nics_json == "[]":
        return
    if after.is_deleted and not before.is_deleted:
        _unplug(tx, _reserved(before), now)
    elif before.nics_json != after.nics_json:
        _unplug(tx, set(_reserved(before)) - set(_reserved(after)), now)


def _reserved(instance: Instance) -> Sequence[str]:
    """The ports of a server that are no mere consequence of its number."""
    return [str(nic["port_id"]) for nic in instance.nics if nic.get("is_reserved")]


def _unplug(tx: Transaction, port_ids: Collection[str], now: Instant) -> None:
    if port_ids:
        mine = ports.c.id.in_(list(port_ids))
        tx.connection.execute(ports.delete().where(mine, ~ports.c.is_kept))
        tx.connection.execute(ports.update().where(mine).values(device_id=None, updated_at=now))
