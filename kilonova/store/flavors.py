"""Flavors. Servers carry a copy of theirs, so that removing one takes nothing from them."""

from typing import Any, Final, NotRequired, TypedDict, Unpack

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from kilonova.domain.changes import Cause
from kilonova.domain.errors import Conflict, NotFound
from kilonova.domain.model import Flavor, Instant, Request
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.rows import many, one
from kilonova.store.schema import flavors

_SEEDS: Final = (
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2048, 20),
    ("3", "m1.medium", 2, 4096, 40),
    ("4", "m1.large", 4, 8192, 80),
    ("5", "m1.xlarge", 8, 16384, 160),
    ("42", "m1.nano", 1, 64, 1),
)
"""Id, name, vcpus, memory in MiB, root disk in GiB: what deployments of Nova have had for years."""


class FlavorValues(TypedDict):
    """What a flavor is made of; fields of ``domain.model.Flavor``."""

    flavorid: str
    name: str
    vcpus: int
    memory_mb: int
    root_gb: int
    ephemeral_gb: NotRequired[int]
    swap_mb: NotRequired[int]
    rxtx_factor: NotRequired[float]
    is_public: NotRequired[bool]
    disabled: NotRequired[bool]
    description: NotRequired[str | None]
    extra_specs_json: NotRequired[str]


def list_flavors(connection: Connection, *, include_private: bool = False) -> list[Flavor]:
    """The flavors by their flavorid, which is Nova's default order (contract §11.6)."""
    statement = select(flavors).order_by(flavors.c.flavorid)
    if not include_private:
        statement = statement.where(flavors.c.is_public)
    return many(connection, Flavor, statement)


def get_flavor(connection: Connection, flavorid: str) -> Flavor:
    """The flavor with the id that clients use. Raises ``NotFound`` in Nova's words."""
    found = one(connection, Flavor, select(flavors).where(flavors.c.flavorid == flavorid))
    if found is None:
        raise NotFound(f"Flavor {flavorid} could not be found.")
    return found


def find_flavor_by_id(connection: Connection, flavor_id: int) -> Flavor | None:
    """The flavor with the record's own number, or None when it was removed."""
    return one(connection, Flavor, select(flavors).where(flavors.c.id == flavor_id))


def add_flavor(
    tx: Transaction, *, now: Instant, request: Request | None = None, **values: Unpack[FlavorValues]
) -> Flavor:
    """Add a flavor. Raises ``Conflict`` in Nova's words if its flavorid or name is taken."""
    flavor = Flavor(id=0, created_at=now, **values)
    row = _row(flavor)
    try:
        with tx.connection.begin_nested():
            key = tx.connection.execute(flavors.insert().values(**row)).inserted_primary_key
    except IntegrityError as error:
        raise _taken(tx.connection, flavor) from error
    if not key:
        raise RuntimeError("the database gave the new flavor no id")
    _announce(tx, "create", {**row, "id": key[0]}, now=now, request=request)
    return get_flavor(tx.connection, flavor.flavorid)


def remove_flavor(tx: Transaction, flavorid: str, *, now: Instant, request: Request | None = None) -> None:
    """Remove a flavor. Raises ``NotFound`` in Nova's words."""
    flavor = get_flavor(tx.connection, flavorid)
    tx.connection.execute(flavors.delete().where(flavors.c.id == flavor.id))
    _announce(tx, "delete", {**_row(flavor), "id": flavor.id}, now=now, request=request)


def seed_flavors(tx: Transaction, now: Instant) -> None:
    """Add the usual flavors if there is none at all."""
    if tx.connection.scalar(select(flavors.c.id).limit(1)) is not None:
        return
    for flavorid, name, vcpus, memory_mb, root_gb in _SEEDS:
        add_flavor(tx, flavorid=flavorid, name=name, vcpus=vcpus, memory_mb=memory_mb, root_gb=root_gb, now=now)


def _row(flavor: Flavor) -> dict[str, Any]:
    return {column.name: getattr(flavor, column.name) for column in flavors.c if column.name != "id"}


def _taken(connection: Connection, flavor: Flavor) -> Conflict:
    """Nova says which of the two it was."""
    if connection.scalar(select(flavors.c.id).where(flavors.c.name == flavor.name)) is not None:
        return Conflict(f"Flavor with name {flavor.name} already exists.")
    return Conflict(f"Flavor with ID {flavor.flavorid} already exists.")


def _announce(tx: Transaction, operation: str, row: dict[str, Any], *, now: Instant, request: Request | None) -> None:
    journal.append(
        tx,
        kind="flavor",
        key=row["flavorid"],
        operation=operation,
        cause=Cause.RECONCILED if request is None else Cause.REQUESTED,
        request=request,
        occurred_at=now,
        snapshot=row,
    )
