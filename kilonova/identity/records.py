"""What the identity service keeps, as it needs it kept; ``bootstrap`` binds it to the tables."""

from collections.abc import Sequence
from typing import Protocol

from kilonova.domain.accounts import (
    ApplicationCredential,
    Domain,
    Grant,
    Group,
    Project,
    Role,
    RoleInference,
    Token,
    User,
)
from kilonova.domain.model import Instant


class GrantRecords(Protocol):
    """Who has which role on what, who is in which group, and which role brings which."""

    def list_grants(
        self,
        *,
        user_id: str | None = None,
        group_id: str | None = None,
        project_id: str | None = None,
        domain_id: str | None = None,
        is_system: bool | None = None,
    ) -> Sequence[Grant]:
        """The grants that fit all that is given; all of them where nothing is."""
        ...

    def add_grant(self, grant: Grant) -> None:
        """Grant it; granting twice is granting once."""
        ...

    def delete_grant(self, grant: Grant) -> bool:
        """Take it away; False where there was none."""
        ...

    def list_groups_of(self, user_id: str) -> Sequence[Group]:
        """The groups that a user is in."""
        ...

    def list_members(self, group_id: str) -> Sequence[User]:
        """The users in a group."""
        ...

    def add_member(self, user_id: str, group_id: str) -> None:
        """Put a user into a group; twice is once."""
        ...

    def remove_member(self, user_id: str, group_id: str) -> bool:
        """Take a user out of a group; False where they were not in it."""
        ...

    def list_inferences(self) -> Sequence[RoleInference]:
        """Every pair of a role and one that it brings."""
        ...

    def add_inference(self, inference: RoleInference) -> None:
        """Let one role bring another; twice is once."""
        ...

    def delete_inference(self, inference: RoleInference) -> bool:
        """Let it not any more; False where it did not."""
        ...


class TokenRecords(Protocol):
    """Tokens, and the application credentials that some are made with."""

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

    def find_application_credential(self, credential_id: str) -> ApplicationCredential | None:
        """The application credential of this id."""
        ...

    def list_application_credentials(self, user_id: str) -> Sequence[ApplicationCredential]:
        """Those of a user."""
        ...

    def add_application_credential(self, credential: ApplicationCredential) -> None:
        """Keep a new one. Conflict where the user has one of this name."""
        ...

    def delete_application_credential(self, credential_id: str) -> None:
        """Take it away with its tokens."""
        ...


class IdentityRecords(GrantRecords, TokenRecords, Protocol):
    """Accounts and tokens, kept. Each call is one transaction of its own.

    ``find_*`` gives None where there is nothing. The ``add_*`` of a name or id that is taken raises Conflict, as the
    ``update_*`` to such a name does. What is deleted takes its grants, memberships and tokens along. Lists are
    ordered by name, grants by their ids; they are whole, since a cloud of this size has few of each.
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

    def update_domain(self, domain: Domain) -> None:
        """Write the record of this id."""
        ...

    def delete_domain(self, domain_id: str) -> None:
        """Take it away with its projects, users and groups."""
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
        """Write the record of this id."""
        ...

    def delete_project(self, project_id: str) -> None:
        """Take it away; servers and images of it stay where they are."""
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
        """Keep a new user together with first grants, or neither."""
        ...

    def update_user(self, user: User) -> None:
        """Write the record of this id."""
        ...

    def delete_user(self, user_id: str) -> None:
        """Take it away."""
        ...

    def find_group(self, group_id: str) -> Group | None:
        """The group of this id."""
        ...

    def list_groups(self) -> Sequence[Group]:
        """Every group."""
        ...

    def add_group(self, group: Group) -> None:
        """Keep a new group."""
        ...

    def update_group(self, group: Group) -> None:
        """Write the record of this id."""
        ...

    def delete_group(self, group_id: str) -> None:
        """Take it away; its members stay."""
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

    def update_role(self, role: Role) -> None:
        """Write the record of this id."""
        ...

    def delete_role(self, role_id: str) -> None:
        """Take it away."""
        ...
