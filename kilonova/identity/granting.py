"""Roles, what they bring, and who has them on what."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from kilonova.domain.accounts import Grant, Role, RoleInference
from kilonova.domain.errors import Forbidden, Invalid, NotFound, NotSupported
from kilonova.identity.accounts import Accounts
from kilonova.identity.bodies import Body, changes_in, name_in, refuse_options, text_in
from kilonova.identity.embedded import EmbeddedIdentity

_FIELDS: Final = ("name", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A role that somebody has on something. ``prior_role_id`` is the granted role that brings it, None for itself."""

    grant: Grant
    by_group_id: str | None = None
    prior_role_id: str | None = None


class Granting:
    """Changes of roles and grants; each takes effect on tokens that are already out."""

    def __init__(self, identity: EmbeddedIdentity, accounts: Accounts) -> None:
        self._identity = identity
        self._records = identity.records
        self._accounts = accounts

    def create_role(self, wanted: Body) -> Role:
        """A new role. Conflict where the name is taken, NotSupported for a role of one domain."""
        refuse_options(wanted)
        if wanted.get("domain_id") is not None:
            raise NotSupported("Roles here belong to no domain.")
        role = Role(id=uuid4().hex, name=name_in(wanted), description=text_in(wanted, "description") or "")
        self._records.add_role(role)
        return role

    def update_role(self, role_id: str, wanted: Body) -> Role:
        """Change a role's name or description."""
        refuse_options(wanted)
        role = self._accounts.get_role(role_id)
        named = {key: wanted[key] for key in _FIELDS if key in wanted}
        changed = replace(role, **changes_in(named, ("description",)))
        self._records.update_role(changed)
        self._identity.forget()
        return changed

    def delete_role(self, role_id: str) -> None:
        """Take a role away from everybody."""
        self._accounts.get_role(role_id)
        self._records.delete_role(role_id)
        self._identity.forget()

    def imply(self, inference: RoleInference) -> None:
        """Let a role bring another. NotFound where one of them is not there, Forbidden to let ``admin`` be brought."""
        implied = self._accounts.get_role(inference.implied_role_id)
        self._accounts.get_role(inference.prior_role_id)
        if inference.prior_role_id == inference.implied_role_id:
            raise Invalid("A role cannot imply itself.")
        if implied.name == "admin":  # Keystone's [assignment] prohibited_implied_role
            raise Forbidden(f"{implied.id} cannot be an implied roles.")
        self._records.add_inference(inference)
        self._identity.forget()

    def check_implied(self, inference: RoleInference) -> None:
        """NotFound unless the first role brings the second itself."""
        if inference not in self._records.list_inferences():
            raise _no_inference(inference)

    def stop_implying(self, inference: RoleInference) -> None:
        """Let a role bring another no more. NotFound where it did not."""
        found = self._records.delete_inference(inference)
        self._identity.forget()
        if not found:
            raise _no_inference(inference)

    def grant(self, grant: Grant) -> None:
        """Give a role. NotFound where the role, who gets it or what it is on is not there."""
        self._check(grant)
        self._records.add_grant(grant)
        self._identity.forget()

    def check_granted(self, grant: Grant) -> None:
        """NotFound unless exactly this was granted."""
        self._check(grant)
        if grant not in self._list(grant):
            raise _no_grant(grant)

    def take_back(self, grant: Grant) -> None:
        """Take a role away again. NotFound where it was not granted."""
        self._check(grant)
        found = self._records.delete_grant(grant)
        self._identity.forget()
        if not found:
            raise _no_grant(grant)

    def list_roles_of(self, like: Grant) -> Sequence[Role]:
        """The roles granted to whom, and on what, ``like`` names (whatever its role); implied ones not included."""
        self._check_ends(like)
        ids = {grant.role_id for grant in self._list(like)}
        return [role for role in self._records.list_roles() if role.id in ids]

    def assignments(self, *, effective: bool) -> list[Assignment]:
        """Everything that is granted; ``effective``: every role that a user has, by whatever way."""
        grants = self._records.list_grants()
        if not effective:
            return [Assignment(grant=grant) for grant in grants]
        members = {group.id: self._records.list_members(group.id) for group in self._records.list_groups()}
        brought: dict[str, Sequence[Role]] = {}
        found = []
        for grant in grants:
            users = [user.id for user in members[grant.group_id]] if grant.group_id else [grant.user_id]
            roles = brought.setdefault(grant.role_id, self._identity.sessions.with_implied([grant.role_id]))
            found += [
                Assignment(
                    grant=replace(grant, group_id=None, user_id=user_id, role_id=role.id),
                    by_group_id=grant.group_id,
                    prior_role_id=None if role.id == grant.role_id else grant.role_id,
                )
                for user_id in users
                for role in roles
            ]
        return found

    def _list(self, like: Grant) -> Sequence[Grant]:
        return self._records.list_grants(
            user_id=like.user_id,
            group_id=like.group_id,
            project_id=like.project_id,
            domain_id=like.domain_id,
            is_system=like.is_system,
        )

    def _check(self, grant: Grant) -> None:
        self._check_ends(grant)
        self._accounts.get_role(grant.role_id)

    def _check_ends(self, grant: Grant) -> None:
        if grant.user_id is not None:
            self._accounts.get_user(grant.user_id)
        if grant.group_id is not None:
            self._accounts.get_group(grant.group_id)
        if grant.project_id is not None:
            self._accounts.get_project(grant.project_id)
        if grant.domain_id is not None:
            self._accounts.get_domain(grant.domain_id)


def _no_grant(grant: Grant) -> NotFound:
    return NotFound(f"Could not find role assignment with role: {grant.role_id}.")


def _no_inference(inference: RoleInference) -> NotFound:
    return NotFound(f"{inference.prior_role_id} does not imply {inference.implied_role_id}.")
