"""Changes to domains, projects, users and groups; each takes effect on tokens that are already out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeVar
from uuid import uuid4

from kilonova.domain.accounts import Domain, Group, Project, Role, User
from kilonova.domain.errors import Forbidden, Invalid, NotFound, NotSupported
from kilonova.identity.bodies import (
    SHORT,
    Body,
    changes_in,
    extra_in,
    flag_in,
    name_in,
    refuse_moving,
    refuse_options,
    tags_in,
    text_in,
)
from kilonova.identity.embedded import EmbeddedIdentity
from kilonova.identity.first_start import DEFAULT_DOMAIN
from kilonova.identity.signin import Reference

_T = TypeVar("_T")

_OF_ALL: Final = frozenset({"id", "name", "description", "enabled", "domain_id", "options", "links", "tags"})
_OF_PROJECTS: Final = _OF_ALL | {"parent_id", "is_domain"}
_OF_USERS: Final = _OF_ALL | {"password", "original_password", "email", "default_project_id", "password_expires_at"}


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

    def get_group(self, group_id: str) -> Group:
        """A group by id."""
        return _found(self._records.find_group(group_id), "group", group_id)

    def get_role(self, role_id: str) -> Role:
        """A role by id."""
        return _found(self._records.find_role(role_id), "role", role_id)

    def list_projects_of(self, user_id: str) -> Sequence[Project]:
        """The projects on which a user or one of their groups has a role, by name."""
        ids = {grant.project_id for grant in self._identity.sessions.grants_of(user_id)}
        return [project for project in self._records.list_projects() if project.id in ids]

    def list_domains_of(self, user_id: str) -> Sequence[Domain]:
        """The domains on which a user or one of their groups has a role, by name."""
        ids = {grant.domain_id for grant in self._identity.sessions.grants_of(user_id)}
        return [domain for domain in self._records.list_domains() if domain.id in ids]

    def create_domain(self, wanted: Body) -> Domain:
        """A new domain. Invalid without a usable name, Conflict where it is taken."""
        refuse_options(wanted)
        domain = Domain(
            id=uuid4().hex,
            name=name_in(wanted, SHORT),
            description=text_in(wanted, "description") or "",
            enabled=flag_in(wanted, "enabled"),
            extra_json=extra_in(wanted, _OF_ALL),
        )
        self._records.add_domain(domain)
        return domain

    def update_domain(self, domain_id: str, wanted: Body) -> Domain:
        """Change a domain; where it is disabled, so is everybody in it, and every token of its projects."""
        refuse_options(wanted)
        domain = self.get_domain(domain_id)
        extra = extra_in(wanted, _OF_ALL, domain.extra_json)
        changed = replace(domain, **changes_in(wanted, ("description",), longest_name=SHORT), extra_json=extra)
        if domain_id == DEFAULT_DOMAIN and not changed.enabled:
            raise Forbidden("The default domain cannot be disabled: its administrator could not enable it again.")
        self._records.update_domain(changed)
        self._identity.forget()
        return changed

    def delete_domain(self, domain_id: str) -> None:
        """Take a domain away with all in it. Forbidden unless it was disabled before, as in Keystone."""
        if self.get_domain(domain_id).enabled:
            raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
        self._records.delete_domain(domain_id)
        self._identity.forget()

    def create_project(self, wanted: Body) -> Project:
        """A new project. Invalid without a usable name, Conflict where it is taken."""
        refuse_options(wanted)
        if wanted.get("is_domain") or wanted.get("parent_id") not in (None, wanted.get("domain_id") or DEFAULT_DOMAIN):
            raise NotSupported("Projects here lie flat in their domain: no project is a domain or has a parent.")
        project = Project(
            id=uuid4().hex,
            domain_id=self._domain(wanted),
            name=name_in(wanted, SHORT),
            description=text_in(wanted, "description") or "",
            enabled=flag_in(wanted, "enabled"),
            tags_json=tags_in(wanted),
            extra_json=extra_in(wanted, _OF_PROJECTS),
        )
        self._records.add_project(project)
        return project

    def update_project(self, project_id: str, wanted: Body) -> Project:
        """Change a project; a disabled one's tokens stop working."""
        refuse_options(wanted)
        project = self.get_project(project_id)
        refuse_moving(wanted, project.domain_id)
        changes = changes_in(wanted, ("description",), longest_name=SHORT)
        if "tags" in wanted:
            changes["tags_json"] = tags_in(wanted)
        changed = replace(project, **changes, extra_json=extra_in(wanted, _OF_PROJECTS, project.extra_json))
        self._records.update_project(changed)
        self._identity.forget()
        return changed

    def delete_project(self, project_id: str) -> None:
        """Take a project away with its grants and tokens."""
        self.get_project(project_id)
        self._records.delete_project(project_id)
        self._identity.forget()

    def create_user(self, wanted: Body) -> User:
        """A new user; without a password nobody can sign in as them. Conflict where the name is taken."""
        refuse_options(wanted)
        password = text_in(wanted, "password")
        user = User(
            id=uuid4().hex,
            domain_id=self._domain(wanted),
            name=name_in(wanted),
            password_hash=self._identity.passwords.hash(password) if password else None,
            default_project_id=text_in(wanted, "default_project_id"),
            email=text_in(wanted, "email"),
            description=text_in(wanted, "description") or "",
            enabled=flag_in(wanted, "enabled"),
            extra_json=extra_in(wanted, _OF_USERS),
        )
        self._records.add_user(user)
        return user

    def update_user(self, user_id: str, wanted: Body) -> User:
        """Change a user; a new password, or disabling, ends all their tokens."""
        refuse_options(wanted)
        user = self.get_user(user_id)
        refuse_moving(wanted, user.domain_id)
        changes = changes_in(wanted, ("description", "email", "default_project_id"))
        password = text_in(wanted, "password")
        if password:
            changes["password_hash"] = self._identity.passwords.hash(password)
        changed = replace(user, **changes, extra_json=extra_in(wanted, _OF_USERS, user.extra_json))
        self._records.update_user(changed)
        if password or not changed.enabled:
            self._records.revoke_tokens_of_user(user_id, self._identity.clock())
        self._identity.forget()
        return changed

    def change_password(self, user_id: str, wanted: Body) -> None:
        """A user's own change of password. Unauthenticated where the original one is wrong."""
        original, password = text_in(wanted, "original_password"), text_in(wanted, "password")
        if not original or not password:
            raise Invalid("original_password and password are both needed")
        self._identity.check_password(Reference(id=user_id), original)
        self.update_user(user_id, {"password": password})

    def delete_user(self, user_id: str) -> None:
        """Take a user away with their grants, tokens and application credentials."""
        self.get_user(user_id)
        self._records.delete_user(user_id)
        self._identity.forget()

    def create_group(self, wanted: Body) -> Group:
        """A new group, empty. Conflict where the name is taken."""
        description = text_in(wanted, "description") or ""
        group = Group(
            id=uuid4().hex, domain_id=self._domain(wanted), name=name_in(wanted, SHORT), description=description
        )
        self._records.add_group(group)
        return group

    def update_group(self, group_id: str, wanted: Body) -> Group:
        """Change a group's name or description."""
        group = self.get_group(group_id)
        refuse_moving(wanted, group.domain_id)
        named = {key: wanted[key] for key in ("name", "description") if key in wanted}
        changed = replace(group, **changes_in(named, ("description",), longest_name=SHORT))
        self._records.update_group(changed)
        return changed

    def delete_group(self, group_id: str) -> None:
        """Take a group away; its members lose the roles that it gave them."""
        self.get_group(group_id)
        self._records.delete_group(group_id)
        self._identity.forget()

    def add_member(self, user_id: str, group_id: str) -> None:
        """Put a user into a group. NotFound where one of the two is not there."""
        self.get_user(user_id)
        self.get_group(group_id)
        self._records.add_member(user_id, group_id)
        self._identity.forget()

    def check_member(self, user_id: str, group_id: str) -> None:
        """NotFound unless the user is in the group."""
        self.get_user(user_id)
        if all(group.id != self.get_group(group_id).id for group in self._records.list_groups_of(user_id)):
            raise _not_in(user_id, group_id)

    def remove_member(self, user_id: str, group_id: str) -> None:
        """Take a user out of a group. NotFound where they were not in it."""
        self.get_user(user_id)
        self.get_group(group_id)
        found = self._records.remove_member(user_id, group_id)
        self._identity.forget()
        if not found:
            raise _not_in(user_id, group_id)

    def _domain(self, wanted: Body) -> str:
        return self.get_domain(text_in(wanted, "domain_id") or DEFAULT_DOMAIN).id


def _found(record: _T | None, noun: str, record_id: str) -> _T:
    if record is None:
        raise NotFound(f"Could not find {noun}: {record_id}.")
    return record


def _not_in(user_id: str, group_id: str) -> NotFound:
    return NotFound(f"User '{user_id}' not found in group '{group_id}'.")
