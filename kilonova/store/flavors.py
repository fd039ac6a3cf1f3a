"""Flavors. Servers carry a copy of theirs, so that removing one takes nothing from them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NotRequired, TypedDict, Unpack

from sqlalchemy import ColumnElement, Connection, func, or_, select
from sqlalchemy.exc import IntegrityError

from kilonova.domain.changes import Cause
from kilonova.domain.errors import Conflict, NotFound
from kilonova.domain.model import Flavor, Instant, Request
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.rows import many, one
from kilonova.store.schema import flavors
from kilonova.store.schema_catalog import flavor_access

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


def list_flavors(
    connection: Connection, *, include_private: bool = False, project_id: str | None = None
) -> list[Flavor]:
    """The flavors by their flavorid, which is Nova's default order (contract §11.6).

    Private ones are among them with ``include_private``, or where ``project_id`` has access to them.
    """
    statement = select(flavors).order_by(flavors.c.flavorid)
    return many(connection, Flavor, statement if include_private else statement.where(_is_visible_to(project_id)))


def count_flavors(connection: Connection) -> int:
    """How many flavors there are."""
    return connection.scalar(select(func.count()).select_from(flavors)) or 0


def get_flavor(
    connection: Connection, flavorid: str, *, include_private: bool = True, project_id: str | None = None
) -> Flavor:
    """The flavor with the id that clients use. Raises ``NotFound`` in Nova's words.

    Without ``include_private`` a private one is there only for a ``project_id`` that has access to it.
    """
    statement = select(flavors).where(flavors.c.flavorid == flavorid)
    found = one(connection, Flavor, statement if include_private else statement.where(_is_visible_to(project_id)))
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
    tx.connection.execute(flavor_access.delete().where(flavor_access.c.flavor_id == flavor.id))
    tx.connection.execute(flavors.delete().where(flavors.c.id == flavor.id))
    _announce(tx, "delete", {**_row(flavor), "id": flavor.id}, now=now, request=request)


def update_flavor(
    tx: Transaction, flavorid: str, values: Mapping[str, Any], *, now: Instant, request: Request
) -> Flavor:
    """Give fields of a flavor new values; servers keep what they had. Raises ``NotFound`` in Nova's words."""
    before = get_flavor(tx.connection, flavorid)
    tx.connection.execute(flavors.update().where(flavors.c.id == before.id).values(**values))
    after = get_flavor(tx.connection, flavorid)
    _announce_update(tx, after, now=now, request=request)
    return after


def change_extra_specs(
    tx: Transaction,
    flavorid: str,
    *,
    wanted: Mapping[str, str] | None = None,
    unwanted: Sequence[str] = (),
    request: Request,
) -> Flavor:
    """Set some extra specs and drop others. Raises ``NotFound`` for an unknown flavor, or a key that is not there."""
    tx.connection.execute(select(flavors.c.id).where(flavors.c.flavorid == flavorid).with_for_update())
    specs = json.loads(get_flavor(tx.connection, flavorid).extra_specs_json)
    for key in unwanted:
        if specs.pop(key, None) is None:
            raise NotFound(f"Flavor {flavorid} has no extra specs with key {key}.")
    text = json.dumps(dict(sorted({**specs, **(wanted or {})}.items())), separators=(",", ":"))
    return update_flavor(tx, flavorid, {"extra_specs_json": text}, now=request.received_at, request=request)


def list_flavor_access(connection: Connection, flavor: Flavor) -> list[str]:
    """The projects that may use a private flavor, in the order in which they got to."""
    mine = select(flavor_access.c.project_id).where(flavor_access.c.flavor_id == flavor.id)
    return list(connection.scalars(mine.order_by(flavor_access.c.created_at, flavor_access.c.project_id)))


def add_flavor_access(tx: Transaction, flavor: Flavor, project_id: str, *, request: Request) -> None:
    """Let a project use a flavor. Raises ``Conflict`` in Nova's words where it may already."""
    row = {"flavor_id": flavor.id, "project_id": project_id, "created_at": request.received_at}
    try:
        with tx.connection.begin_nested():
            tx.connection.execute(flavor_access.insert().values(**row))
    except IntegrityError as error:
        raise Conflict(
            f"Flavor access already exists for flavor {flavor.flavorid} and project {project_id} combination."
        ) from error
    _announce_update(tx, flavor, now=request.received_at, request=request)


def remove_flavor_access(tx: Transaction, flavor: Flavor, project_id: str, *, request: Request) -> None:
    """Take a flavor from a project. Raises ``NotFound`` in Nova's words where it had no access."""
    gone = tx.connection.execute(
        flavor_access.delete().where(flavor_access.c.flavor_id == flavor.id, flavor_access.c.project_id == project_id)
    )
    if gone.rowcount != 1:
        raise NotFound(f"Flavor access not found for {flavor.flavorid} / {project_id} combination.")
    _announce_update(tx, flavor, now=request.received_at, request=request)


def seed_flavors(tx: Transaction, now: Instant) -> None:
    """Add the usual flavors if there is none at all."""
    if tx.connection.scalar(select(flavors.c.id).limit(1)) is not None:
        return
    for flavorid, name, vcpus, memory_mb, root_gb in _SEEDS:
        add_flavor(tx, flavorid=flavorid, name=name, vcpus=vcpus, memory_mb=memory_mb, root_gb=root_gb, now=now)


def _is_visible_to(project_id: str | None) -> ColumnElement[bool]:
    if project_id is None:
        return flavors.c.is_public
    granted = select(flavor_access.c.flavor_id).where(flavor_access.c.project_id == project_id)
    return or_(flavors.c.is_public, flavors.c.id.in_(granted))


def _row(flavor: Flavor) -> dict[str, Any]:
    return {column.name: getattr(flavor, column.name) for column in flavors.c if column.name != "id"}


def _taken(connection: Connection, flavor: Flavor) -> Conflict:
    """Nova says which of the two it was."""
    if connection.scalar(select(flavors.c.id).where(flavors.c.name == flavor.name)) is not None:
        return Conflict(f"Flavor with name {flavor.name} already exists.")
    return Conflict(f"Flavor with ID {flavor.flavorid} already exists.")


def _announce_update(tx: Transaction, flavor: Flavor, *, now: Instant, request: Request) -> None:
    """Tell the flavor as it now is, with the projects that may use it."""
    row = {**_row(flavor), "id": flavor.id, "projects": list_flavor_access(tx.connection, flavor)}
    _announce(tx, "update", row, now=now, request=request)


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
