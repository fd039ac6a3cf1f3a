"""Accounts and tokens of the embedded identity service, in tables; answers the identity room's ``IdentityRecords``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from kilonova.domain.accounts import Domain, Grant, Project, Role, Token, User
from kilonova.domain.errors import Conflict
from kilonova.domain.model import Instant
from kilonova.store.database import Database
from kilonova.store.schema_identity import (
    id_assignments,
    id_domains,
    id_projects,
    id_roles,
    id_tokens,
    id_users,
)

_T = TypeVar("_T", Domain, Project, Role, User)


class StoredIdentity:
    """Each method is one transaction; ``add_*`` and ``update_*`` raise Conflict where an id or name is taken."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_domain(self, domain_id: str) -> Domain | None:
        """The domain of this id."""
        return self._find(Domain, id_domains, id=domain_id)

    def find_domain_by_name(self, name: str) -> Domain | None:
        """The domain of this name."""
        return self._find(Domain, id_domains, name=name)

    def list_domains(self) -> Sequence[Domain]:
        """Every domain, by name."""
        return self._list(Domain, id_domains)

    def add_domain(self, domain: Domain) -> None:
        """Keep a new domain."""
        self._add(id_domains, domain, "domain")

    def find_project(self, project_id: str) -> Project | None:
        """The project of this id."""
        return self._find(Project, id_projects, id=project_id)

    def find_project_by_name(self, name: str, domain_id: str) -> Project | None:
        """The project of this name in a domain."""
        return self._find(Project, id_projects, name=name, domain_id=domain_id)

    def list_projects(self) -> Sequence[Project]:
        """Every project, by name."""
        return self._list(Project, id_projects)

    def add_project(self, project: Project) -> None:
        """Keep a new project."""
        self._add(id_projects, project, "project")

    def update_project(self, project: Project) -> None:
        """Write the record of this id."""
        self._update(id_projects, project, "project")

    def delete_project(self, project_id: str) -> None:
        """Take it away; its grants and tokens go with it."""
        with self._database.transaction() as tx:
            tx.connection.execute(delete(id_tokens).where(id_tokens.c.project_id == project_id))
            tx.connection.execute(delete(id_assignments).where(id_assignments.c.project_id == project_id))
            tx.connection.execute(delete(id_projects).where(id_projects.c.id == project_id))

    def find_user(self, user_id: str) -> User | None:
        """The user of this id."""
        return self._find(User, id_users, id=user_id)

    def find_user_by_name(self, name: str, domain_id: str) -> User | None:
        """The user of this name in a domain."""
        return self._find(User, id_users, name=name, domain_id=domain_id)

    def list_users(self) -> Sequence[User]:
        """Every user, by name."""
        return self._list(User, id_users)

    def add_user(self, user: User, grants: Sequence[Grant] = ()) -> None:
        """Keep a new user together with first grants."""
        try:
            with self._database.transaction() as tx:
                tx.connection.execute(insert(id_users).values(asdict(user)))
                for grant in grants:
                    tx.connection.execute(insert(id_assignments).values(asdict(grant)))
        except IntegrityError as error:
            raise _taken("user", user.name) from error

    def update_user(self, user: User) -> None:
        """Write the record of this id."""
        self._update(id_users, user, "user")

    def delete_user(self, user_id: str) -> None:
        """Take it away; its grants and tokens go with it."""
        with self._database.transaction() as tx:
            tx.connection.execute(delete(id_tokens).where(id_tokens.c.user_id == user_id))
            tx.connection.execute(delete(id_assignments).where(id_assignments.c.user_id == user_id))
            tx.connection.execute(delete(id_users).where(id_users.c.id == user_id))

    def find_role(self, role_id: str) -> Role | None:
        """The role of this id."""
        return self._find(Role, id_roles, id=role_id)

    def list_roles(self) -> Sequence[Role]:
        """Every role, by name."""
        return self._list(Role, id_roles)

    def add_role(self, role: Role) -> None:
        """Keep a new role."""
        self._add(id_roles, role, "role")

    def list_grants(self, *, user_id: str | None = None, project_id: str | None = None) -> Sequence[Grant]:
        """The grants of a user, on a project, or both; all where neither is given."""
        table = id_assignments
        query = select(table).order_by(table.c.project_id, table.c.user_id, table.c.role_id)
        if user_id is not None:
            query = query.where(table.c.user_id == user_id)
        if project_id is not None:
            query = query.where(table.c.project_id == project_id)
        with self._database.read() as connection:
            return [Grant(**row) for row in connection.execute(query).mappings()]

    def add_grant(self, grant: Grant) -> None:
        """Grant it; granting twice is granting once."""
        try:
            with self._database.transaction() as tx:
                if not _has_grant(tx.connection, grant):
                    tx.connection.execute(insert(id_assignments).values(asdict(grant)))
        except IntegrityError as error:
            raise Conflict("The user, the project or the grant was changed at the same time; try again.") from error

    def delete_grant(self, grant: Grant) -> bool:
        """Take it away; False where there was none."""
        with self._database.transaction() as tx:
            return tx.connection.execute(delete(id_assignments).where(*_is_grant(grant))).rowcount > 0

    def find_token(self, digest: str) -> Token | None:
        """The token of this digest, whatever became of it."""
        with self._database.read() as connection:
            row = connection.execute(select(id_tokens).where(id_tokens.c.digest == digest)).mappings().first()
        if row is None:
            return None
        lists = {key: tuple(json.loads(row[key])) for key in ("methods", "audit_ids")}
        return Token(**{**row, **lists})

    def add_token(self, token: Token) -> None:
        """Keep a new token."""
        values = asdict(token) | {"methods": json.dumps(token.methods), "audit_ids": json.dumps(token.audit_ids)}
        try:
            with self._database.transaction() as tx:
                tx.connection.execute(insert(id_tokens).values(values))
        except IntegrityError as error:
            raise Conflict("The user or the project was deleted at the same time.") from error

    def revoke_token(self, digest: str, at: Instant) -> bool:
        """Mark it revoked; False where it is unknown or was revoked before."""
        living = (id_tokens.c.digest == digest, id_tokens.c.revoked_at.is_(None))
        with self._database.transaction() as tx:
            return tx.connection.execute(update(id_tokens).where(*living).values(revoked_at=at)).rowcount > 0

    def revoke_tokens_of_user(self, user_id: str, at: Instant) -> None:
        """Mark every token of the user revoked."""
        living = (id_tokens.c.user_id == user_id, id_tokens.c.revoked_at.is_(None))
        with self._database.transaction() as tx:
            tx.connection.execute(update(id_tokens).where(*living).values(revoked_at=at))

    def purge_tokens(self, before: Instant) -> int:
        """Drop the tokens that expired before an instant; how many those were."""
        with self._database.transaction() as tx:
            return tx.connection.execute(delete(id_tokens).where(id_tokens.c.expires_at < before)).rowcount

    def _find(self, kind: type[_T], table: Table, **equals: str) -> _T | None:
        query = select(table).where(*(table.c[key] == value for key, value in equals.items()))
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else kind(**row)

    def _list(self, kind: type[_T], table: Table) -> Sequence[_T]:
        with self._database.read() as connection:
            return [kind(**row) for row in connection.execute(select(table).order_by(table.c.name)).mappings()]

    def _add(self, table: Table, record: Any, noun: str) -> None:
        try:
            with self._database.transaction() as tx:
                tx.connection.execute(insert(table).values(asdict(record)))
        except IntegrityError as error:
            raise _taken(noun, record.name) from error

    def _update(self, table: Table, record: Any, noun: str) -> None:
        try:
            with self._database.transaction() as tx:
                tx.connection.execute(update(table).where(table.c.id == record.id).values(asdict(record)))
        except IntegrityError as error:
            raise _taken(noun, record.name) from error


def _is_grant(grant: Grant) -> tuple[Any, ...]:
    return tuple(id_assignments.c[key] == value for key, value in asdict(grant).items())


def _has_grant(connection: Connection, grant: Grant) -> bool:
    return connection.execute(select(id_assignments.c.role_id).where(*_is_grant(grant))).first() is not None


def _taken(noun: str, name: str) -> Conflict:
    return Conflict(f"Conflict occurred attempting to store {noun} - Duplicate entry found with name {name}.")
