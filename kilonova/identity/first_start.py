"""What a cloud needs before anybody can sign in."""

from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from kilonova.domain.accounts import Domain, Grant, Project, Role, RoleInference, User
from kilonova.identity.caller import IMPLIES
from kilonova.identity.passwords import Passwords
from kilonova.identity.records import IdentityRecords

DEFAULT_DOMAIN: Final = "default"
ROLES: Final = ("admin", "manager", "member", "reader", "service", "auditor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrapped:
    """The ids of what every cloud has.

    ``created`` says whether the administrator was made by this call, and with it whether the password that was
    given is the one to sign in with.
    """

    admin_user_id: str
    admin_project_id: str
    demo_project_id: str
    created: bool


def bootstrap_identity(records: IdentityRecords, *, password: str) -> Bootstrapped:
    """Make what is missing: domain Default, the roles, projects admin and demo, user admin on both and the system.

    Idempotent: an administrator who exists keeps their password and whatever was changed about them since.
    """
    if records.find_domain(DEFAULT_DOMAIN) is None:
        records.add_domain(Domain(id=DEFAULT_DOMAIN, name="Default", description="The default domain"))
    roles = _ensure_roles(records)
    admin_project = _ensure_project(records, "admin", "The administrators' own project")
    demo_project = _ensure_project(records, "demo", "A project to try things in")
    user = records.find_user_by_name("admin", DEFAULT_DOMAIN)
    created = user is None
    if user is None:
        hashed = Passwords().hash(password)
        user = User(id=uuid4().hex, domain_id=DEFAULT_DOMAIN, name="admin", password_hash=hashed)
        projects = (admin_project.id, demo_project.id)
        grants = [Grant(user_id=user.id, project_id=project_id, role_id=roles["admin"]) for project_id in projects]
        records.add_user(user, [*grants, Grant(user_id=user.id, is_system=True, role_id=roles["admin"])])
    return Bootstrapped(
        admin_user_id=user.id, admin_project_id=admin_project.id, demo_project_id=demo_project.id, created=created
    )


def _ensure_roles(records: IdentityRecords) -> dict[str, str]:
    """The ids of the roles by name. One that is made anew brings and is brought as at first, whatever it was before."""
    ids = {role.name: role.id for role in records.list_roles()}
    missing = [name for name in ROLES if name not in ids]
    for name in missing:
        role = Role(id=uuid4().hex, name=name)
        records.add_role(role)
        ids[name] = role.id
    for prior, implied in IMPLIES.items():
        if prior in missing or implied in missing:
            records.add_inference(RoleInference(prior_role_id=ids[prior], implied_role_id=ids[implied]))
    return ids


def _ensure_project(records: IdentityRecords, name: str, description: str) -> Project:
    project = records.find_project_by_name(name, DEFAULT_DOMAIN)
    if project is None:
        project = Project(id=uuid4().hex, domain_id=DEFAULT_DOMAIN, name=name, description=description)
        records.add_project(project)
    return project
