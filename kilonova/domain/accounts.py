"""The records of who may ask: domains, projects, users, roles, and the tokens they got (Keystone v3's nouns).

They live in the core because two rooms that must not know each other pass them: ``identity`` decides with them,
``store`` keeps them. Instants are microseconds since the epoch, as everywhere.
"""

from dataclasses import dataclass

from kilonova.domain.model import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A namespace of users and projects; there is always one with the id ``default``."""

    id: str
    name: str
    description: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What owns servers and images. ``name`` is unique in its domain."""

    id: str
    domain_id: str
    name: str
    description: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who can sign in. ``password_hash`` is an argon2 string, None where no password was ever set."""

    id: str
    domain_id: str
    name: str
    password_hash: str | None = None
    default_project_id: str | None = None
    email: str | None = None
    description: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A name that policies ask for, such as ``member``."""

    id: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A user has a role on a project."""

    user_id: str
    project_id: str
    role_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A sign-in. The token itself is never kept: ``digest`` is its SHA-256 in hex.

    ``project_id`` is None for an unscoped token. ``audit_ids`` has the token's own audit id, then, where it was
    made from another token, that of the first of the chain. Roles are not kept here: they are what the user has on
    the project now, so that a grant taken away is gone from every token.
    """

    digest: str
    user_id: str
    project_id: str | None
    methods: tuple[str, ...]
    audit_ids: tuple[str, ...]
    issued_at: Instant
    expires_at: Instant
    revoked_at: Instant | None = None
