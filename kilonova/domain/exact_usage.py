"""Exact usage: what was used as it was used, from segments in which nothing that is billed changed.

Beside Nova's report (contract §5), which bills a server from its last launch on at what it has now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kilonova.domain.model import SECOND, Instant
from kilonova.domain.usage import Window

HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
"""Microseconds."""
GROUPS: Final = ("project", "flavor", "state", "day")
"""What exact usage may be told by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Hours, and hours times what servers have: CPUs, MiB of memory, GiB of disk."""

    hours: float
    vcpu_hours: float
    memory_mb_hours: float
    disk_gb_hours: float

    def minus(self, other: "Amount") -> "Amount":
        """The difference, each by each."""
        return Amount(
            hours=self.hours - other.hours,
            vcpu_hours=self.vcpu_hours - other.vcpu_hours,
            memory_mb_hours=self.memory_mb_hours - other.memory_mb_hours,
            disk_gb_hours=self.disk_gb_hours - other.disk_gb_hours,
        )


NOTHING: Final = Amount(hours=0.0, vcpu_hours=0.0, memory_mb_hours=0.0, disk_gb_hours=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What servers have of a host at one instant: how many there are, CPUs, MiB of memory, GiB of disk."""

    servers: int
    vcpus: int
    memory_mb: int
    disk_gb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactUsage:
    """One row of a report: ``by`` says of which group, ``servers`` how many had a part in it."""

    by: Mapping[str, str]
    servers: int
    amount: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Why Nova's report of a project differs from the exact one.

    ``before_launch`` was used before servers' last launch (by a rebuild, rescue, unshelving or move): Nova has
    forgotten it, so it is exact and not Nova's. ``resized`` is what Nova bills after it at today's size beyond what
    the server had then. ``nova = exact - before_launch + resized + unexplained``; of what is left unexplained there
    is nothing but rounding. ``idle`` is a part of the exact amount, not a difference: what Nova bills like any
    other, and was used by servers that were stopped, shelved or soft-deleted, by state.
    """

    project_id: str
    nova: Amount
    exact: Amount
    before_launch: Amount
    resized: Amount
    idle: Mapping[str, Amount]

    @property
    def unexplained(self) -> Amount:
        """What neither cause accounts for."""
        return self.nova.minus(self.exact).minus(self.resized.minus(self.before_launch))


def days_of(window: Window) -> Sequence[Instant]:
    """The beginnings, in UTC, of the days that the window touches."""
    first = window.start - window.start % DAY
    return [Instant(day) for day in range(first, window.stop, DAY)]
