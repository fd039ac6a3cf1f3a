"""The seam of identity: what every request handler gets to know about who is asking."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from kilonova.domain.model import Instant

ADMIN: Final = "admin"

IMPLIES: Final = {"admin": "manager", "manager": "member", "member": "reader"}
"""In a new cloud, a role brings the next lower one (contract §0.6); what it brings later is for its admin to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is asking, on behalf of which project, with which roles (implied ones included).

    ``project_id`` is None for a token of no project, which then has no roles and is no admin. ``is_admin`` is the
    role ``admin`` on whichever project, as in Nova's default policies.

    A token of a domain (``domain_id``) or of the system (``is_system``) has its roles in ``roles_beyond``: they count
    in the identity service alone. ``is_restricted`` is a token from an application credential that must not make
    others.
    """

    user_id: str
    user_name: str
    user_domain_id: str
    project_id: str | None
    project_name: str | None
    project_domain_id: str | None
    roles: frozenset[str]
    is_admin: bool
    token_expires_at: Instant
    domain_id: str | None = None
    is_system: bool = False
    roles_beyond: frozenset[str] = frozenset()
    is_restricted: bool = False

    @property
    def administers_identity(self) -> bool:
        """Whether accounts are theirs to see and change: ``admin`` on a project, a domain or the system."""
        return self.is_admin or ADMIN in self.roles_beyond


class Identity(Protocol):
    """Turns a token into the caller; asked on every request, so it must answer in microseconds mostly."""

    def authenticate(self, token: str) -> Caller:
        """The caller who holds ``token``. Unauthenticated where it is unknown, expired or revoked."""
        ...


def implied(roles: Iterable[str]) -> frozenset[str]:
    """The roles together with all that they imply."""
    found: set[str] = set()
    for role in roles:
        lower: str | None = role
        while lower is not None and lower not in found:
            found.add(lower)
            lower = IMPLIES.get(lower)
    return frozenset(found)
