"""The records of who may ask: domains, projects, users, groups, roles, and the tokens they got (Keystone v3's nouns).

They live in the core because two rooms that must not know each other pass them: ``identity`` decides with them,
``store`` keeps them. Instants are microseconds since the epoch, as everywhere. ``extra_json`` has what clients put
beside the fields that are known, as an object, or None.
"""

from dataclasses import dataclass

from kilonova.domain.model import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A namespace of users, groups and projects; there is always one with the id ``default``."""

    id: str
    name: str
    description: str = ""
    enabled: bool = True
    extra_json: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What owns servers and images. ``name`` is unique in its domain; ``tags_json`` is a list, None for no tags."""

    id: str
    domain_id: str
    name: str
    description: str = ""
    enabled: bool = True
    tags_json: str | None = None
    extra_json: str | None = None


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
    extra_json: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Users who get roles together. ``name`` is unique in its domain."""

    id: str
    domain_id: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A name that policies ask for, such as ``member``."""

    id: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleInference:
    """Who has the first role has the second one too."""

    prior_role_id: str
    implied_role_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What roles are had on, and tokens are scoped to: a project, a domain, the system, or (all empty) nothing."""

    project_id: str | None = None
    domain_id: str | None = None
    is_system: bool = False

    @property
    def is_nothing(self) -> bool:
        """Whether this is the scope of an unscoped token."""
        return self.project_id is None and self.domain_id is None and not self.is_system


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A user, or a group, has a role on one target. ValueError unless there is exactly one of each."""

    role_id: str
    user_id: str | None = None
    group_id: str | None = None
    project_id: str | None = None
    domain_id: str | None = None
    is_system: bool = False

    def __post_init__(self) -> None:
        """Refuse a grant to nobody or on nothing, which a slip could turn into one to everybody or on everything."""
        targets = (self.project_id is not None) + (self.domain_id is not None) + self.is_system
        if (self.user_id is None) == (self.group_id is None) or targets != 1:
            raise ValueError("a grant is to one user or group, on one project, domain or the system")

    @property
    def target(self) -> Target:
        """What it is on."""
        return Target(project_id=self.project_id, domain_id=self.domain_id, is_system=self.is_system)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationCredential:
    """A secret by which a program signs in for a user on one project, with some of the user's roles.

    ``secret_hash`` is an argon2 string. Unless ``unrestricted``, its tokens cannot make or delete such credentials.
    ``expires_at`` None means never.
    """

    id: str
    user_id: str
    project_id: str
    name: str
    secret_hash: str
    role_ids: tuple[str, ...]
    description: str = ""
    unrestricted: bool = False
    expires_at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A sign-in. The token itself is never kept: ``digest`` is its SHA-256 in hex.

    At most one of ``project_id``, ``domain_id`` and ``is_system`` says what it is scoped to. ``audit_ids`` has the
    token's own audit id, then, where it was made from another token, that of the first of the chain. Roles are not
    kept here: they are what the user has now, so that a grant taken away is gone from every token.
    """

    digest: str
    user_id: str
    project_id: str | None
    methods: tuple[str, ...]
    audit_ids: tuple[str, ...]
    issued_at: Instant
    expires_at: Instant
    revoked_at: Instant | None = None
    domain_id: str | None = None
    is_system: bool = False
    application_credential_id: str | None = None

    @property
    def target(self) -> Target:
        """What it is scoped to."""
        return Target(project_id=self.project_id, domain_id=self.domain_id, is_system=self.is_system)
