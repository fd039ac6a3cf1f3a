"""What identity needs of a store; ``bootstrap`` binds it to the tables."""

from collections.abc import Sequence
from typing import Protocol

from kilonova.domain.accounts import Domain, Grant, Project, Role, Token, User
from kilonova.domain.model import Instant


class IdentityRecords(Protocol):
    """Accounts and tokens, kept. Each call is one transaction of its own.

    ``find_*`` gives None where there is nothing. The ``add_*`` of a name or id that is taken raises Conflict.
    Lists are ordered by name, grants by their ids; they are whole, since a cloud of this size has few of each.
    """

    def find_domain(self, domain_id: str) -> Domain | None:
        """The domain of this id."""
        ...

    def find_domain_by_name(self, name: str) -> Domain | None:
        """The domain of this name."""
        ...

    def list_domains(self) -> Sequence[Domain]:
        """Every domain."""
        ...

    def add_domain(self, domain: Domain) -> None:
        """Keep a new domain."""
        ...

    def find_project(self, project_id: str) -> Project | None:
        """The project of this id."""
        ...

    def find_project_by_name(self, name: str, domain_id: str) -> Project | None:
        """The project of this name in a domain."""
        ...

    def list_projects(self) -> Sequence[Project]:
        """Every project."""
        ...

    def add_project(self, project: Project) -> None:
        """Keep a new project."""
        ...

    def update_project(self, project: Project) -> None:
        """Write the record of this id. Conflict where its new name is taken."""
        ...

    def delete_project(self, project_id: str) -> None:
        """Take it away with its grants and tokens; servers and images of it stay where they are."""
        ...

    def find_user(self, user_id: str) -> User | None:
        """The user of this id."""
        ...

    def find_user_by_name(self, name: str, domain_id: str) -> User | None:
        """The user of this name in a domain."""
        ...

    def list_users(self) -> Sequence[User]:
        """Every user."""
        ...

    def add_user(self, user: User, grants: Sequence[Grant] = ()) -> None:
        """Keep a new user together with first grants, or neither. Conflict where the name is taken."""
        ...

    def update_user(self, user: User) -> None:
        """Write the record of this id. Conflict where its new name is taken."""
        ...

    def delete_user(self, user_id: str) -> None:
        """Take it away with its grants and tokens."""
        ...

    def find_role(self, role_id: str) -> Role | None:
        """The role of this id."""
        ...

    def list_roles(self) -> Sequence[Role]:
        """Every role."""
        ...

    def add_role(self, role: Role) -> None:
        """Keep a new role."""
        ...

    def list_grants(self, *, user_id: str | None = None, project_id: str | None = None) -> Sequence[Grant]:
        """The grants of a user, on a project, or both; all of them where neither is given."""
        ...

    def add_grant(self, grant: Grant) -> None:
        """Grant it; granting twice is granting once."""
        ...

    def delete_grant(self, grant: Grant) -> bool:
        """Take it away; False where there was none."""
        ...

    def find_token(self, digest: str) -> Token | None:
        """The token of this digest, whatever became of it."""
        ...

    def add_token(self, token: Token) -> None:
        """Keep a new token."""
        ...

    def revoke_token(self, digest: str, at: Instant) -> bool:
        """Mark it revoked; False where it is unknown or was revoked before."""
        ...

    def revoke_tokens_of_user(self, user_id: str, at: Instant) -> None:
        """Mark every token of the user revoked."""
        ...

    def purge_tokens(self, before: Instant) -> int:
        """Drop the tokens that expired before an instant; how many those were."""
        ...
