"""The record of how a server is plugged in: passed between ``network``, which shows it, and ``store``."""

import json
from dataclasses import dataclass
from typing import Any

from kilonova.domain.model import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class PluggedServer:
    """A living server that has NICs, with as much of it as its ports show.

    ``nics_json`` has a NIC each: ``label``, ``mac``, mostly ``port_id``, and addresses (``domain.ports``).
    ``host`` is None while no host was chosen.
    """

    uuid: str
    project_id: str
    host: str | None
    availability_zone: str | None
    nics_json: str
    created_at: Instant
    updated_at: Instant | None

    @property
    def nics(self) -> list[dict[str, Any]]:
        """The NICs that have got what they are to have, in their order."""
        return [nic for nic in json.loads(self.nics_json) if "mac" in nic]
