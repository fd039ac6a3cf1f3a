"""The seam of identity: what every request handler gets to know about who is asking."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from kilonova.domain.model import Instant

ADMIN: Final = "admin"

IMPLIES: Final = {"admin": "manager", "manager": "member", "member": "reader"}
"""A role brings the next lower one (contract §0.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is asking, on behalf of which project, with which roles (implied ones included).

    ``project_id`` is None for an unscoped token, which then has no roles. ``is_admin`` is the role ``admin`` on
    whichever project, as in Nova's default policies.
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
