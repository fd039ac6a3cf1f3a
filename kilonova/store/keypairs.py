"""Key pairs. Servers carry a copy of theirs, so that removing one takes nothing from them."""

from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from kilonova.domain.errors import Conflict, Invalid, NotFound, QuotaExceeded
from kilonova.domain.keypairs import KeyPair, KeyType
from kilonova.domain.model import Request
from kilonova.domain.quota import UNLIMITED
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.quotas import lock_project
from kilonova.store.schema_catalog import keypairs


def find_keypair(connection: Connection, user_id: str, name: str) -> KeyPair | None:
    """The user's key pair of this name, or None."""
    mine = (keypairs.c.user_id == user_id, keypairs.c.name == name)
    row = connection.execute(select(keypairs).where(*mine)).mappings().first()
    return None if row is None else _keypair(row)


def get_keypair(connection: Connection, user_id: str, name: str) -> KeyPair:
    """The user's key pair of this name. Raises ``NotFound`` in Nova's words."""
    found = find_keypair(connection, user_id, name)
    if found is None:
        raise NotFound(f"Keypair {name} not found for user {user_id}")
    return found


def list_keypairs(
    connection: Connection, user_id: str, *, marker: str | None = None, limit: int | None = None
) -> list[KeyPair]:
    """The user's key pairs by name, those behind the one named ``marker``. Raises ``Invalid`` for an unknown one."""
    statement = select(keypairs).where(keypairs.c.user_id == user_id).order_by(keypairs.c.name)
    if marker is not None:
        if find_keypair(connection, user_id, marker) is None:
            raise Invalid(f"Marker {marker} could not be found.")
        statement = statement.where(keypairs.c.name > marker)
    if limit is not None:
        statement = statement.limit(limit)
    return [_keypair(row) for row in connection.execute(statement).mappings()]


def add_keypair(tx: Transaction, keypair: KeyPair, *, limit: int, request: Request, is_import: bool) -> KeyPair:
    """Keep a new key pair; its ``id`` is given here.

    Raises ``QuotaExceeded`` where the user has ``limit`` of them, ``Conflict`` where the name is taken.
    """
    row = {name: getattr(keypair, name) for name in keypairs.c.keys() if name != "id"}  # noqa: SIM118  no dictionary
    row["type"] = str(keypair.type)
    lock_project(tx, keypair.user_id)  # of whom key pairs are counted, not of a project; no two ids are the same
    mine = select(func.count()).where(keypairs.c.user_id == keypair.user_id)
    if limit != UNLIMITED and (tx.connection.scalar(mine) or 0) >= limit:
        raise QuotaExceeded("Quota exceeded, too many key pairs.")
    try:
        with tx.connection.begin_nested():
            tx.connection.execute(keypairs.insert().values(**row))
    except IntegrityError as error:
        raise Conflict(f"Key pair '{keypair.name}' already exists.") from error
    made = get_keypair(tx.connection, keypair.user_id, keypair.name)
    _announce(tx, "import" if is_import else "create", made, request)
    return made


def remove_keypair(tx: Transaction, user_id: str, name: str, *, request: Request) -> None:
    """Remove a key pair. Raises ``NotFound`` in Nova's words."""
    found = get_keypair(tx.connection, user_id, name)
    tx.connection.execute(keypairs.delete().where(keypairs.c.id == found.id))
    _announce(tx, "delete", found, request)


def _keypair(row: Any) -> KeyPair:
    return KeyPair(**{**row, "type": KeyType(row["type"])})


def _announce(tx: Transaction, operation: str, keypair: KeyPair, request: Request) -> None:
    journal.append(
        tx,
        kind="keypair",
        key=f"{keypair.user_id}/{keypair.name}"[:255],
        operation=operation,
        request=request,
        occurred_at=request.received_at,
        snapshot={name: getattr(keypair, name) for name in keypairs.c.keys()},  # noqa: SIM118  not a dictionary
    )
