"""Accounts and tokens of the embedded identity service, in tables; answers the identity room's ``IdentityRecords``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from sqlalchemy import RowMapping, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from kilonova.domain.accounts import ApplicationCredential, Domain, Grant, Group, Project, Role, Token, User
from kilonova.domain.errors import Conflict
from kilonova.domain.model import Instant
from kilonova.store.grants import StoredGrants, insert_grant
from kilonova.store.schema_identity import (
    id_application_credentials,
    id_domains,
    id_groups,
    id_projects,
    id_roles,
    id_tokens,
    id_users,
)

_T = TypeVar("_T", Domain, Project, Role, User, Group)


class StoredIdentity(StoredGrants):
    """Each method is one transaction; ``add_*`` and ``update_*`` raise Conflict where an id or name is taken."""

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

    def update_domain(self, domain: Domain) -> None:
        """Write the record of this id."""
        self._update(id_domains, domain, "domain")

    def delete_domain(self, domain_id: str) -> None:
        """Take it away with its projects, users and groups, and with them their grants and tokens."""
        with self._database.transaction() as tx:
            for table in (id_projects, id_users, id_groups):
                tx.connection.execute(delete(table).where(table.c.domain_id == domain_id))
            tx.connection.execute(delete(id_domains).where(id_domains.c.id == domain_id))

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
        self._delete(id_projects, project_id)

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
                    insert_grant(tx.connection, grant)
        except IntegrityError as error:
            raise _taken("user", user.name) from error

    def update_user(self, user: User) -> None:
        """Write the record of this id."""
        self._update(id_users, user, "user")

    def delete_user(self, user_id: str) -> None:
        """Take it away; its grants and tokens go with it."""
        self._delete(id_users, user_id)

    def find_group(self, group_id: str) -> Group | None:
        """The group of this id."""
        return self._find(Group, id_groups, id=group_id)

    def list_groups(self) -> Sequence[Group]:
        """Every group, by name."""
        return self._list(Group, id_groups)

    def add_group(self, group: Group) -> None:
        """Keep a new group."""
        self._add(id_groups, group, "group")

    def update_group(self, group: Group) -> None:
        """Write the record of this id."""
        self._update(id_groups, group, "group")

    def delete_group(self, group_id: str) -> None:
        """Take it away; its memberships and grants go with it."""
        self._delete(id_groups, group_id)

    def find_role(self, role_id: str) -> Role | None:
        """The role of this id."""
        return self._find(Role, id_roles, id=role_id)

    def list_roles(self) -> Sequence[Role]:
        """Every role, by name."""
        return self._list(Role, id_roles)

    def add_role(self, role: Role) -> None:
        """Keep a new role."""
        self._add(id_roles, role, "role")

    def update_role(self, role: Role) -> None:
        """Write the record of this id."""
        self._update(id_roles, role, "role")

    def delete_role(self, role_id: str) -> None:
        """Take it away; its grants and inferences go with it."""
        self._delete(id_roles, role_id)

    def find_application_credential(self, credential_id: str) -> ApplicationCredential | None:
        """The application credential of this id."""
        table = id_application_credentials
        with self._database.read() as connection:
            row = connection.execute(select(table).where(table.c.id == credential_id)).mappings().first()
        return None if row is None else _credential(row)

    def list_application_credentials(self, user_id: str) -> Sequence[ApplicationCredential]:
        """Those of a user, by name."""
        table = id_application_credentials
        with self._database.read() as connection:
            rows = connection.execute(select(table).where(table.c.user_id == user_id).order_by(table.c.name))
            return [_credential(row) for row in rows.mappings()]

    def add_application_credential(self, credential: ApplicationCredential) -> None:
        """Keep a new one."""
        values = asdict(credential) | {"role_ids": json.dumps(credential.role_ids)}
        try:
            with self._database.transaction() as tx:
                tx.connection.execute(insert(id_application_credentials).values(values))
        except IntegrityError as error:
            raise _taken("application_credential", credential.name) from error

    def delete_application_credential(self, credential_id: str) -> None:
        """Take it away; its tokens go with it."""
        self._delete(id_application_credentials, credential_id)

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

    def _delete(self, table: Table, record_id: str) -> None:
        """Delete a row; the database deletes what refers to it."""
        with self._database.transaction() as tx:
            tx.connection.execute(delete(table).where(table.c.id == record_id))

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


def _credential(row: RowMapping) -> ApplicationCredential:
    return ApplicationCredential(**{**row, "role_ids": tuple(json.loads(row["role_ids"]))})


def _taken(noun: str, name: str) -> Conflict:
    return Conflict(f"Conflict occurred attempting to store {noun} - Duplicate entry found with name {name}.")
