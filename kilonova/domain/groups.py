"""Server groups: servers that belong together on one host, or apart on several (contract §11.5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from kilonova.domain.model import Instant


class GroupPolicy(StrEnum):
    """How the members of a group lie; the soft ones are wishes, which capacity may overrule."""

    AFFINITY = "affinity"
    ANTI_AFFINITY = "anti-affinity"
    SOFT_AFFINITY = "soft-affinity"
    SOFT_ANTI_AFFINITY = "soft-anti-affinity"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGroup:
    """A named policy of a project. ``max_server_per_host`` is None but for anti-affinity with that rule.

    ``members`` are the uuids of its living servers, in the order in which they came.
    """

    id: int
    uuid: str
    name: str
    project_id: str
    user_id: str
    policy: GroupPolicy
    max_server_per_host: int | None
    created_at: Instant
    members: tuple[str, ...] = ()

    def company(self, members_by_host: Mapping[str, int]) -> "Company":
        """What placing one more member has to mind."""
        return Company(
            policy=self.policy,
            most=self.max_server_per_host or 1,
            members_by_host=dict(sorted(members_by_host.items())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """The group of a server that looks for a host: its policy, and how many other members each host has.

    ``most`` is how many members one host may have under anti-affinity.
    """

    policy: GroupPolicy
    most: int
    members_by_host: Mapping[str, int]

    def on(self, host: str) -> int:
        """How many other members the host has."""
        return self.members_by_host.get(host, 0)

    def refusal(self, host: str) -> str | None:
        """Why the server must not go to the host, in words for its owner; None where it may."""
        if self.policy is GroupPolicy.ANTI_AFFINITY and self.on(host) >= self.most:
            return "taken by members of an anti-affinity group"
        elsewhere = any(count for other, count in self.members_by_host.items() if other != host)
        if self.policy is GroupPolicy.AFFINITY and elsewhere:
            return "apart from the members of an affinity group"
        return None

    def attraction(self, host: str) -> int:
        """How much a soft policy prefers the host: a point a member, against it where they want to be apart."""
        if self.policy is GroupPolicy.SOFT_AFFINITY:
            return self.on(host)
        return -self.on(host) if self.policy is GroupPolicy.SOFT_ANTI_AFFINITY else 0
