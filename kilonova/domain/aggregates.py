"""Aggregates: hosts that belong together for administrators, and the zones that some of them are (contract §2.3)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kilonova.domain.model import Instant

ZONE_KEY: Final = "availability_zone"
"""The item of metadata that makes an aggregate a zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """Some hosts with metadata. ``availability_zone`` is kept apart from the other items, and None where it is none.

    ``hosts`` are in the order in which they came.
    """

    id: int
    uuid: str
    name: str
    availability_zone: str | None
    metadata_json: str
    created_at: Instant
    updated_at: Instant | None
    hosts: tuple[str, ...] = ()

    @property
    def metadata(self) -> dict[str, str]:
        """Every item, the zone among them."""
        items: dict[str, str] = json.loads(self.metadata_json)
        return items if self.availability_zone is None else {**items, ZONE_KEY: self.availability_zone}


def joined_zones(memberships: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The zone of each host, from pairs of host and zone; several different ones with commas between (contract §1.6).

    Only somebody who wrote past the API can have made it several.
    """
    found: dict[str, dict[str, None]] = {}
    for host, zone in memberships:
        found.setdefault(host, {})[zone] = None
    return {host: ",".join(zones) for host, zones in found.items()}
