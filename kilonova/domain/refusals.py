"""Why a server has no host, in one word: by the filters that turned the candidates down. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from kilonova.domain.model import Instant

SEVERAL: Final = "SeveralReasons"
"""Candidates were turned down for reasons of different kinds."""
NONE_THERE: Final = "NoHostsYet"
"""There was no candidate at all."""
NO_CAPACITY: Final = "NoCapacity"

_NARROWING: Final = ("RetryFilter", "AvailabilityZoneFilter", "RequestedDestination")
"""What only says among which hosts to choose, where one of those lacked something else; the narrowest is the last."""
_BY_FILTER: Final = {
    "ComputeFilter": "HostsAway",
    "RetryFilter": "NoOtherHost",
    "AvailabilityZoneFilter": "NotInZone",
    "RequestedDestination": "NotTheNamedHost",
    "AggregateMultiTenancyIsolation": "KeptForOthers",
    "AggregateInstanceExtraSpecsFilter": "NotAsFlavorAsks",
    "AggregateImagePropertiesIsolation": "NotAsImageAsks",
    "ComputeCapabilitiesFilter": "NotAsFlavorAsks",
    "ImagePropertiesFilter": "NotAsImageAsks",
    "IsolatedHostsFilter": "NotAsImageAsks",
    "SameHostFilter": "NotAsHintsAsk",
    "DifferentHostFilter": "NotAsHintsAsk",
    "SimpleCIDRAffinityFilter": "NotAsHintsAsk",
    "JsonFilter": "NotAsHintsAsk",
    "NumInstancesFilter": "HostsBusy",
    "IoOpsFilter": "HostsBusy",
    "ServerGroupFilter": "GroupForbids",
    "Capacity": NO_CAPACITY,
}
REASONS: Final = frozenset({*_BY_FILTER.values(), SEVERAL, NONE_THERE})
"""Every word there is for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A decision that found no host: its line for the owner, when it was made, and what turned candidates down."""

    summary: str
    decided_at: Instant
    filters: tuple[str, ...]

    @property
    def reason(self) -> str:
        """One of ``REASONS``."""
        return refusal_reason(self.filters)


def refusal_reason(filters: Collection[str]) -> str:
    """The word for these filters, each of which turned some candidate down and which left none."""
    if not filters:
        return NONE_THERE
    narrowing = [name for name in _NARROWING if name in filters]
    others = {_BY_FILTER.get(name, SEVERAL) for name in filters if name not in _NARROWING}
    found = others or {_BY_FILTER[narrowing[-1]]}
    return found.pop() if len(found) == 1 else SEVERAL
