"""Changes to projects, users and grants; each takes effect on tokens that are already out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

from kilonova.domain.accounts import Domain, Grant, Project, Role, User
from kilonova.domain.errors import Invalid, NotFound, NotSupported
from kilonova.identity.embedded import EmbeddedIdentity
from kilonova.identity.first_start import DEFAULT_DOMAIN
from kilonova.identity.signin import Reference

_T = TypeVar("_T")


class Accounts:
    """Reads raise NotFound in Keystone's words; writes make the identity service forget what it remembered."""

    def __init__(self, identity: EmbeddedIdentity) -> None:
        self._identity = identity
        self._records = identity.records

    def get_domain(self, domain_id: str) -> Domain:
        """A domain by id."""
        return _found(self._records.find_domain(domain_id), "domain", domain_id)

    def get_project(self, project_id: str) -> Project:
        """A project by id."""
        return _found(self._records.find_project(project_id), "project", project_id)

    def get_user(self, user_id: str) -> User:
        """A user by id."""
        return _found(self._records.find_user(user_id), "user", user_id)

    def get_role(self, role_id: str) -> Role:
        """A role by id."""
        return _found(self._records.find_role(role_id), "role", role_id)

    def list_projects_of(self, user_id: str) -> list[Project]:
        """The projects on which a user has a role, by name."""
        ids = {grant.project_id for grant in self._records.list_grants(user_id=user_id)}
        return [project for project in self._records.list_projects() if project.id in ids]

    def create_project(self, wanted: Mapping[str, Any]) -> Project:
        """A new project. Invalid without a usable name, Conflict where it is taken."""
        if wanted.get("is_domain") or wanted.get("parent_id") not in (None, wanted.get("domain_id") or DEFAULT_DOMAIN):
            raise NotSupported("Projects here lie flat in their domain: no project is a domain or has a parent.")
        project = Project(
            id=uuid4().hex,
            domain_id=self._domain(wanted),
            name=_name(wanted),
            description=_text(wanted, "description") or "",
            enabled=_flag(wanted, "enabled"),
        )
        self._records.add_project(project)
        return project

    def update_project(self, project_id: str, wanted: Mapping[str, Any]) -> Project:
        """Change name, description or enabled; a disabled project's tokens stop working."""
        project = self.get_project(project_id)
        changed = replace(project, **_changes(wanted, ("description",)))
        self._records.update_project(changed)
        self._identity.forget()
        return changed

    def delete_project(self, project_id: str) -> None:
        """Take a project away with its grants and tokens."""
        self.get_project(project_id)
        self._records.delete_project(project_id)
        self._identity.forget()

    def create_user(self, wanted: Mapping[str, Any]) -> User:
        """A new user; without a password nobody can sign in as them. Conflict where the name is taken."""
        password = _text(wanted, "password")
        user = User(
            id=uuid4().hex,
            domain_id=self._domain(wanted),
            name=_name(wanted),
            password_hash=self._identity.passwords.hash(password) if password else None,
            default_project_id=_text(wanted, "default_project_id"),
            email=_text(wanted, "email"),
            description=_text(wanted, "description") or "",
            enabled=_flag(wanted, "enabled"),
        )
        self._records.add_user(user)
        return user

    def update_user(self, user_id: str, wanted: Mapping[str, Any]) -> User:
        """Change a user; a new password, or disabling, ends all their tokens."""
        user = self.get_user(user_id)
        changes = _changes(wanted, ("description", "email", "default_project_id"))
        password = _text(wanted, "password")
        if password:
            changes["password_hash"] = self._identity.passwords.hash(password)
        changed = replace(user, **changes)
        self._records.update_user(changed)
        if password or not changed.enabled:
            self._records.revoke_tokens_of_user(user_id, self._identity.clock())
        self._identity.forget()
        return changed

    def change_password(self, user_id: str, wanted: Mapping[str, Any]) -> None:
        """A user's own change of password. Unauthenticated where the original one is wrong."""
        original, password = _text(wanted, "original_password"), _text(wanted, "password")
        if not original or not password:
            raise Invalid("original_password and password are both needed")
        self._identity.check_password(Reference(id=user_id), original)
        self.update_user(user_id, {"password": password})

    def delete_user(self, user_id: str) -> None:
        """Take a user away with their grants and tokens."""
        self.get_user(user_id)
        self._records.delete_user(user_id)
        self._identity.forget()

    def create_role(self, wanted: Mapping[str, Any]) -> Role:
        """A new role. Conflict where the name is taken."""
        role = Role(id=uuid4().hex, name=_name(wanted), description=_text(wanted, "description") or "")
        self._records.add_role(role)
        return role

    def grant(self, grant: Grant) -> None:
        """Give a user a role on a project. NotFound where one of the three is not there."""
        self._check(grant)
        self._records.add_grant(grant)
        self._identity.forget()

    def take_back(self, grant: Grant) -> None:
        """Take a role away again. NotFound where it was not granted."""
        self._check(grant)
        found = self._records.delete_grant(grant)
        self._identity.forget()
        if not found:
            raise NotFound(f"Could not find role assignment with role: {grant.role_id}.")

    def list_roles_on(self, user_id: str, project_id: str) -> list[Role]:
        """The roles granted to a user on a project, by name, implied ones not included."""
        self.get_user(user_id)
        self.get_project(project_id)
        ids = {grant.role_id for grant in self._records.list_grants(user_id=user_id, project_id=project_id)}
        return [role for role in self._records.list_roles() if role.id in ids]

    def _check(self, grant: Grant) -> None:
        self.get_user(grant.user_id)
        self.get_project(grant.project_id)
        self.get_role(grant.role_id)

    def _domain(self, wanted: Mapping[str, Any]) -> str:
        return self.get_domain(_text(wanted, "domain_id") or DEFAULT_DOMAIN).id


def _found(record: _T | None, noun: str, record_id: str) -> _T:
    if record is None:
        raise NotFound(f"Could not find {noun}: {record_id}.")
    return record


def _changes(wanted: Mapping[str, Any], texts: tuple[str, ...]) -> dict[str, Any]:
    """The fields that a PATCH names and that may change; null empties a text."""
    if "domain_id" in wanted:
        raise Invalid("The domain of a record cannot be changed")
    changes: dict[str, Any] = {key: _text(wanted, key) for key in texts if key in wanted}
    if "description" in changes:
        changes["description"] = changes["description"] or ""
    if "name" in wanted:
        changes["name"] = _name(wanted)
    if "enabled" in wanted:
        changes["enabled"] = _flag(wanted, "enabled")
    return changes


def _name(wanted: Mapping[str, Any]) -> str:
    name = _text(wanted, "name")
    if not name or not name.strip():
        raise Invalid("Invalid input for field 'name': it must be a string that is not empty")
    return name


def _text(wanted: Mapping[str, Any], key: str) -> str | None:
    value = wanted.get(key)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"Invalid input for field '{key}': {value!r} is not of type 'string'")
    if value is not None and len(value) > 255:
        raise Invalid(f"Invalid input for field '{key}': it is longer than 255 characters")
    return value


def _flag(wanted: Mapping[str, Any], key: str) -> bool:
    value = wanted.get(key, True)
    if not isinstance(value, bool):
        raise Invalid(f"Invalid input for field '{key}': {value!r} is not of type 'boolean'")
    return value
