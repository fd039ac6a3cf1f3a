"""Who has which role on what, who is in which group, and which role brings which."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from kilonova.domain.accounts import Grant, Group, RoleInference, User
from kilonova.domain.errors import Conflict
from kilonova.store.database import Database
from kilonova.store.rows import many
from kilonova.store.schema_identity import id_grants, id_groups, id_memberships, id_role_inferences, id_users

_PARTS: Final = ("role_id", "user_id", "group_id", "project_id", "domain_id")
_COLUMNS: Final = [column for column in id_grants.columns if column.name != "key"]


class StoredGrants:
    """Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_grants(
        self,
        *,
        user_id: str | None = None,
        group_id: str | None = None,
        project_id: str | None = None,
        domain_id: str | None = None,
        is_system: bool | None = None,
    ) -> Sequence[Grant]:
        """The grants that fit all that is given, by what they are on and who has them."""
        asked = {"user_id": user_id, "group_id": group_id, "project_id": project_id, "domain_id": domain_id}
        wanted = {key: value for key, value in {**asked, "is_system": is_system}.items() if value is not None}
        order = (id_grants.c[name] for name in ("project_id", "domain_id", "user_id", "group_id", "role_id"))
        statement = select(*_COLUMNS).where(*(id_grants.c[key] == value for key, value in wanted.items()))
        with self._database.read() as connection:
            return many(connection, Grant, statement.order_by(*order))

    def add_grant(self, grant: Grant) -> None:
        """Grant it; granting twice is granting once."""
        try:
            with self._database.transaction() as tx:
                insert_grant(tx.connection, grant)
        except IntegrityError as error:
            raise Conflict("The user, the project or the grant was changed at the same time; try again.") from error

    def delete_grant(self, grant: Grant) -> bool:
        """Take it away; False where there was none."""
        with self._database.transaction() as tx:
            return tx.connection.execute(delete(id_grants).where(id_grants.c.key == _key(grant))).rowcount > 0

    def list_groups_of(self, user_id: str) -> Sequence[Group]:
        """The groups that a user is in, by name."""
        columns = [id_groups.c[name] for name in Group.__dataclass_fields__]
        joined = select(*columns).join(id_memberships, id_memberships.c.group_id == id_groups.c.id)
        statement = joined.where(id_memberships.c.user_id == user_id).order_by(id_groups.c.name)
        with self._database.read() as connection:
            return many(connection, Group, statement)

    def list_members(self, group_id: str) -> Sequence[User]:
        """The users in a group, by name."""
        joined = select(*id_users.columns).join(id_memberships, id_memberships.c.user_id == id_users.c.id)
        statement = joined.where(id_memberships.c.group_id == group_id).order_by(id_users.c.name)
        with self._database.read() as connection:
            return many(connection, User, statement)

    def add_member(self, user_id: str, group_id: str) -> None:
        """Put a user into a group; twice is once."""
        pair = {"user_id": user_id, "group_id": group_id}
        try:
            with self._database.transaction() as tx:
                here = (id_memberships.c[key] == value for key, value in pair.items())
                if tx.connection.execute(select(id_memberships.c.user_id).where(*here)).first() is None:
                    tx.connection.execute(insert(id_memberships).values(pair))
        except IntegrityError as error:
            raise Conflict("The user or the group was changed at the same time; try again.") from error

    def remove_member(self, user_id: str, group_id: str) -> bool:
        """Take a user out of a group; False where they were not in it."""
        here = (id_memberships.c.user_id == user_id, id_memberships.c.group_id == group_id)
        with self._database.transaction() as tx:
            return tx.connection.execute(delete(id_memberships).where(*here)).rowcount > 0

    def list_inferences(self) -> Sequence[RoleInference]:
        """Every pair of a role and one that it brings."""
        columns = id_role_inferences.c
        with self._database.read() as connection:
            statement = select(*columns).order_by(columns.prior_role_id, columns.implied_role_id)
            return many(connection, RoleInference, statement)

    def add_inference(self, inference: RoleInference) -> None:
        """Let one role bring another; twice is once."""
        try:
            with self._database.transaction() as tx:
                if tx.connection.execute(select(id_role_inferences).where(*_is(inference))).first() is None:
                    tx.connection.execute(insert(id_role_inferences).values(asdict(inference)))
        except IntegrityError as error:
            raise Conflict("One of the roles was changed at the same time; try again.") from error

    def delete_inference(self, inference: RoleInference) -> bool:
        """Let it not any more; False where it did not."""
        with self._database.transaction() as tx:
            return tx.connection.execute(delete(id_role_inferences).where(*_is(inference))).rowcount > 0


def insert_grant(connection: Connection, grant: Grant) -> None:
    """Keep a grant that may be there already, in a transaction that is under way."""
    key = _key(grant)
    if connection.execute(select(id_grants.c.key).where(id_grants.c.key == key)).first() is None:
        connection.execute(insert(id_grants).values({**asdict(grant), "key": key}))


def _key(grant: Grant) -> str:
    parts = [getattr(grant, part) or "" for part in _PARTS]
    return hashlib.sha256("|".join([*parts, "system" if grant.is_system else ""]).encode()).hexdigest()


def _is(inference: RoleInference) -> tuple[ColumnElement[bool], ...]:
    return tuple(id_role_inferences.c[key] == value for key, value in asdict(inference).items())
