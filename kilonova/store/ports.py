"""Ports and their addresses: those that were made by hand, and those of servers' NICs."""

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.exc import IntegrityError

from kilonova.domain.errors import NotFound
from kilonova.domain.model import Instance, Instant
from kilonova.domain.ports import Port, addresses_of
from kilonova.store.database import Connection, Transaction
from kilonova.store.failures import Contention
from kilonova.store.schema import instances
from kilonova.store.schema_network import addresses, ports

_UNKNOWN = "Port {} could not be found."
_LOOKED_AT = 256  # addresses that are looked up at once


def add_port(tx: Transaction, port: Port) -> None:
    """Take the port's addresses. ``Contention`` where somebody took one of them in the same moment."""
    values = {name: getattr(port, name) for name in Port.__slots__ if name != "addresses"}
    _insert(tx, ports.insert().values(**values))
    take(tx, port.id, port.addresses, now=port.created_at)


def take(tx: Transaction, port_id: str, wanted: Iterable[str], *, now: Instant) -> None:
    """Take addresses for a port, which need not have a record. ``Contention`` as above."""
    for address in wanted:
        _insert(tx, addresses.insert().values(address=address, port_id=port_id, taken_at=now))


def _insert(tx: Transaction, statement: Any) -> None:
    try:
        tx.connection.execute(statement)
    except IntegrityError as error:
        raise Contention("Somebody else took the same address; try again.") from error


def find_port(connection: Connection, port_id: str) -> Port | None:
    """The port of this id, whosever it is, or None."""
    return next(iter(_ports(connection, ports.c.id == port_id)), None)


def get_port(connection: Connection, port_id: str, *, project_id: str | None) -> Port:
    """A project's port, or any one for None; NotFound in Nova's words."""
    found = find_port(connection, port_id)
    if found is None or project_id not in (None, found.project_id):
        raise NotFound(_UNKNOWN.format(port_id))
    return found


def list_ports(connection: Connection, *, project_id: str | None = None, device_id: str | None = None) -> list[Port]:
    """Ports, oldest first; of one project, and of one server alone, where those are given."""
    wanted = []
    if project_id is not None:
        wanted.append(ports.c.project_id == project_id)
    if device_id is not None:
        wanted.append(ports.c.device_id == device_id)
    return _ports(connection, *wanted)


def _ports(connection: Connection, *wanted: ColumnElement[bool]) -> list[Port]:
    """Those for which all is so, with their addresses in the order in which they were taken."""
    theirs: dict[str, list[str]] = {}
    had = select(addresses.c.port_id, addresses.c.address).join(ports, ports.c.id == addresses.c.port_id)
    for port_id, address in connection.execute(had.where(*wanted).order_by(addresses.c.taken_at, addresses.c.address)):
        theirs.setdefault(port_id, []).append(address)
    rows = connection.execute(select(ports).where(*wanted).order_by(ports.c.created_at, ports.c.id)).mappings()
    return [Port(**row, addresses=tuple(theirs.get(row["id"], ()))) for row in rows]


def count_kept(connection: Connection, project_id: str) -> int:
    """How many ports of the project were made by hand."""
    statement = select(func.count()).where(ports.c.project_id == project_id, ports.c.is_kept)
    return int(connection.scalar(statement) or 0)


def find_user(connection: Connection, address: str) -> str | None:
    """What has the address: a server's UUID, the id of a port that nothing is plugged into, or None."""
    taken = select(addresses.c.port_id, ports.c.device_id).outerjoin(ports, ports.c.id == addresses.c.port_id)
    found = connection.execute(taken.where(addresses.c.address == address)).first()
    if found is None:
        return None
    plugged = instances.c.nics_json.contains(f'"port_id":"{found.port_id}"', autoescape=True)
    living = select(instances.c.uuid).where(instances.c.deleted_at.is_(None), plugged).limit(1)
    return str(found.device_id or connection.scalar(living) or found.port_id)


def is_plugged(connection: Connection, port_id: str, project_id: str) -> bool:
    """Whether a living server of the project is plugged into this port, be it one with a record or none."""
    theirs = (instances.c.project_id == project_id, instances.c.deleted_at.is_(None))
    plugged = instances.c.nics_json.contains(f'"port_id":"{port_id}"', autoescape=True)
    return connection.scalar(select(instances.c.id).where(*theirs, plugged).limit(1)) is not None


def is_taken(connection: Connection, *, address: str | None = None, mac: str | None = None) -> bool:
    """Whether a port has this address, or one with a record this MAC."""
    of_address = select(addresses.c.port_id).where(addresses.c.address == address)
    of_mac = select(ports.c.id).where(ports.c.mac == mac)
    asked = ([of_address] if address is not None else []) + ([of_mac] if mac is not None else [])
    return any(connection.scalar(statement.limit(1)) is not None for statement in asked)


def first_free(connection: Connection, candidates: Iterable[str]) -> str | None:
    """The first of the addresses that no port has; None where there is none."""
    rest = iter(candidates)
    while some := list(islice(rest, _LOOKED_AT)):
        taken = set(connection.scalars(select(addresses.c.address).where(addresses.c.address.in_(some))))
        for address in some:
            if address not in taken:
                return address
    return None


def is_mac_plugged(connection: Connection, mac: str) -> bool:
    """Whether a living server has a NIC with this MAC, be it one that follows from its number."""
    plugged = instances.c.nics_json.contains(f'"mac":"{mac}"', autoescape=True)
    statement = select(instances.c.id).where(instances.c.deleted_at.is_(None), plugged)
    return connection.scalar(statement.limit(1)) is not None


def taken_addresses(connection: Connection) -> set[str]:
    """Every address that a port has."""
    return set(connection.scalars(select(addresses.c.address)))


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
    """Give up a port that nothing is plugged into, with its addresses; False for any other."""
    mine = and_(ports.c.id == port_id, ports.c.device_id.is_(None))
    if tx.connection.execute(ports.delete().where(mine)).rowcount != 1:
        return False
    tx.connection.execute(addresses.delete().where(addresses.c.port_id == port_id))
    return True


def follow(tx: Transaction, before: Instance | None, after: Instance, *, now: Instant) -> None:
    """Unplug what a server has no more, all of it once the server is deleted: what was made by hand stays.

    So does an address of such a port, unless it was taken from the NIC that is still plugged in there.
    """
    if before is None or before.nics_json == "[]":
        return
    has_gone = after.is_deleted and not before.is_deleted
    if not has_gone and before.nics_json == after.nics_json:
        return
    left = [] if has_gone else after.nics
    ports_gone = _reserved(before.nics) - _reserved(left)
    kept = _unplug(tx, ports_gone, now) if ports_gone else set()
    lost = _addresses(before.nics, but=kept) - _addresses(left)
    if lost:
        tx.connection.execute(addresses.delete().where(addresses.c.address.in_(lost)))


def _reserved(nics: Sequence[dict[str, Any]]) -> set[str]:
    """The ports of NICs that are no mere consequence of their server's number."""
    return {str(nic["port_id"]) for nic in nics if nic.get("is_reserved")}


def _addresses(nics: Sequence[dict[str, Any]], *, but: Collection[str] = ()) -> set[str]:
    return {address for nic in nics if nic.get("port_id") not in but for address in addresses_of(nic)}


def _unplug(tx: Transaction, port_ids: Collection[str], now: Instant) -> set[str]:
    """Leave nothing plugged into these ports; gives those that stay, for they were made by hand."""
    mine = ports.c.id.in_(list(port_ids))
    kept = set(tx.connection.scalars(select(ports.c.id).where(mine, ports.c.is_kept)))
    tx.connection.execute(ports.delete().where(mine, ~ports.c.is_kept))
    if kept:
        tx.connection.execute(ports.update().where(ports.c.id.in_(kept)).values(device_id=None, updated_at=now))
    return kept
