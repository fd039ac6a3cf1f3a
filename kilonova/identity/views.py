"""The records as Keystone v3 shows them."""

import json
from collections.abc import Sequence
from typing import Any

from kilonova.domain.accounts import (
    ApplicationCredential,
    Domain,
    Grant,
    Group,
    Project,
    Role,
    RoleInference,
    Target,
    User,
)
from kilonova.identity.sessions import Session
from kilonova.wire.times import naive, zulu_micros


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
    if session.credential:
        credential = session.credential
        restricted = not credential.unrestricted
        view["application_credential"] = {"id": credential.id, "name": credential.name, "restricted": restricted}
    if not token.target.is_nothing:
        view |= _scope_view(session) | {"roles": [_named(role) for role in session.roles]}
        if catalog is not None:
            view["catalog"] = catalog
    return {"token": view}


def _scope_view(session: Session) -> dict[str, Any]:
    if session.project and session.project_domain:
        return {"project": {**_named(session.project), "domain": _named(session.project_domain)}, "is_domain": False}
    return {"domain": _named(session.domain)} if session.domain else {"system": {"all": True}}


def domain_view(domain: Domain, here: str) -> dict[str, Any]:
    """A domain."""
    return {
        **_extra(domain),
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
        **_extra(project),
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "parent_id": project.domain_id,
        "description": project.description,
        "enabled": project.enabled,
        "is_domain": False,
        "tags": tags_of(project),
        "options": {},
        "links": {"self": f"{here}/v3/projects/{project.id}"},
    }


def tags_of(project: Project) -> list[str]:
    """A project's tags, sorted."""
    return json.loads(project.tags_json or "[]")  # type: ignore[no-any-return]


def user_view(user: User, here: str) -> dict[str, Any]:
    """A user, without anything of the password."""
    view: dict[str, Any] = {
        **_extra(user),
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


def group_view(group: Group, here: str) -> dict[str, Any]:
    """A group, without its members."""
    return {
        "id": group.id,
        "name": group.name,
        "domain_id": group.domain_id,
        "description": group.description,
        "links": {"self": f"{here}/v3/groups/{group.id}"},
    }


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


def named_role(role: Role, here: str) -> dict[str, Any]:
    """A role as it is named inside an inference."""
    return {"id": role.id, "name": role.name, "links": {"self": f"{here}/v3/roles/{role.id}"}}


def inference_view(prior: Role, implied: Role, here: str) -> dict[str, Any]:
    """One role that another brings, alone in a body."""
    pair = RoleInference(prior_role_id=prior.id, implied_role_id=implied.id)
    return {
        "role_inference": {"prior_role": named_role(prior, here), "implies": named_role(implied, here)},
        "links": {"self": f"{here}{inference_path(pair)}"},
    }


def inference_path(inference: RoleInference) -> str:
    """Where the fact that a role brings another is."""
    return f"/v3/roles/{inference.prior_role_id}/implies/{inference.implied_role_id}"


def credential_view(credential: ApplicationCredential, roles: Sequence[Role], here: str) -> dict[str, Any]:
    """An application credential, without its secret."""
    return {
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "project_id": credential.project_id,
        "user_id": credential.user_id,
        "roles": [{"id": role.id, "name": role.name, "domain_id": None} for role in roles],
        "unrestricted": credential.unrestricted,
        "expires_at": None if credential.expires_at is None else naive(credential.expires_at),
        "system": None,
        "links": {"self": f"{here}/v3/users/{credential.user_id}/application_credentials/{credential.id}"},
    }


def grant_view(grant: Grant, here: str) -> dict[str, Any]:
    """A role assignment by ids."""
    actor = {"user": {"id": grant.user_id}} if grant.user_id else {"group": {"id": grant.group_id}}
    return {
        **actor,
        "role": {"id": grant.role_id},
        "scope": _target_view(grant.target),
        "links": {"assignment": here + grant_path(grant)},
    }


def grant_path(grant: Grant) -> str:
    """Where a grant is given and taken back."""
    actor = f"users/{grant.user_id}" if grant.user_id else f"groups/{grant.group_id}"
    place = "system"
    if grant.project_id is not None:
        place = f"projects/{grant.project_id}"
    elif grant.domain_id is not None:
        place = f"domains/{grant.domain_id}"
    return f"/v3/{place}/{actor}/roles/{grant.role_id}"


def _target_view(target: Target) -> dict[str, Any]:
    if target.project_id is not None:
        return {"project": {"id": target.project_id}}
    return {"domain": {"id": target.domain_id}} if target.domain_id is not None else {"system": {"all": True}}


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


def _extra(record: Domain | Project | User) -> dict[str, Any]:
    """What clients put beside the known fields."""
    return json.loads(record.extra_json or "{}")  # type: ignore[no-any-return]


def _named(record: Domain | Project | Role) -> dict[str, Any]:
    return {"id": record.id, "name": record.name}
