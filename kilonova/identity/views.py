"""The records as Keystone v3 shows them."""

from collections.abc import Sequence
from typing import Any

from kilonova.domain.accounts import Domain, Grant, Project, Role, User
from kilonova.identity.embedded import Session
from kilonova.wire.times import zulu_micros


def token_view(session: Session, catalog: list[dict[str, Any]] | None) -> dict[str, Any]:
    """The body of a token; an unscoped one has neither project nor roles nor catalog."""
    token, user = session.token, session.user
    view: dict[str, Any] = {
        "methods": list(token.methods),
        "user": {
            "id": user.id,
            "name": user.name,
            "domain": _named(session.user_domain),
            "password_expires_at": None,
        },
        "audit_ids": list(token.audit_ids),
        "expires_at": zulu_micros(token.expires_at),
        "issued_at": zulu_micros(token.issued_at),
    }
    if session.project and session.project_domain:
        view["project"] = {**_named(session.project), "domain": _named(session.project_domain)}
        view["is_domain"] = False
        view["roles"] = [_named(role) for role in session.roles]
        if catalog is not None:
            view["catalog"] = catalog
    return {"token": view}


def domain_view(domain: Domain, here: str) -> dict[str, Any]:
    """A domain."""
    return {
        "id": domain.id,
        "name": domain.name,
        "description": domain.description,
        "enabled": domain.enabled,
        "tags": [],
        "options": {},
        "links": {"self": f"{here}/v3/domains/{domain.id}"},
    }


def project_view(project: Project, here: str) -> dict[str, Any]:
    """A project; projects here lie flat in their domain."""
    return {
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "parent_id": project.domain_id,
        "description": project.description,
        "enabled": project.enabled,
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": f"{here}/v3/projects/{project.id}"},
    }


def user_view(user: User, here: str) -> dict[str, Any]:
    """A user, without anything of the password."""
    view: dict[str, Any] = {
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "description": user.description,
        "enabled": user.enabled,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"{here}/v3/users/{user.id}"},
    }
    if user.default_project_id is not None:
        view["default_project_id"] = user.default_project_id
    if user.email is not None:
        view["email"] = user.email
    return view


def role_view(role: Role, here: str) -> dict[str, Any]:
    """A role; roles here belong to no domain."""
    return {
        "id": role.id,
        "name": role.name,
        "domain_id": None,
        "description": role.description,
        "options": {},
        "links": {"self": f"{here}/v3/roles/{role.id}"},
    }


def grant_view(grant: Grant, here: str) -> dict[str, Any]:
    """A role assignment by ids."""
    path = f"{here}/v3/projects/{grant.project_id}/users/{grant.user_id}/roles/{grant.role_id}"
    return {
        "user": {"id": grant.user_id},
        "role": {"id": grant.role_id},
        "scope": {"project": {"id": grant.project_id}},
        "links": {"assignment": path},
    }


def listing(name: str, items: Sequence[dict[str, Any]], url: str) -> dict[str, Any]:
    """A collection, in one page."""
    return {name: list(items), "links": {"self": url, "previous": None, "next": None}}


def version_view(here: str) -> dict[str, Any]:
    """The one version that is spoken."""
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{here}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def _named(record: Domain | Project | Role) -> dict[str, Any]:
    return {"id": record.id, "name": record.name}
