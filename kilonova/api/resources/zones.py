"""In which zone a service is, worked out once for a whole answer (contract §1.6)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from kilonova.api.call import Call
from kilonova.domain.model import Service
from kilonova.services.settings import PlaneSettings
from kilonova.store import aggregates
from kilonova.store.database import Connection

COMPUTE: Final = "nova-compute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """The zones of compute hosts (``default`` for those that have none of their own), and of all other services."""

    default: str
    internal: str
    by_host: Mapping[str, str] = field(default_factory=dict)

    def of_host(self, host: str) -> str:
        """The zone of a compute host."""
        return self.by_host.get(host, self.default)

    def of(self, service: Service) -> str:
        """The zone of a service."""
        return self.of_host(service.host) if service.binary == COMPUTE else self.internal


def zones_of(call: Call, hosts: Collection[str] | None = None) -> Zones:
    """The zones as they are now, of these hosts at least; one query."""
    with call.plane.database.read() as connection:
        return read_zones(connection, call.plane.settings, hosts)


def read_zones(connection: Connection, settings: PlaneSettings, hosts: Collection[str] | None = None) -> Zones:
    """The same for who reads other things too."""
    return Zones(
        default=settings.default_availability_zone,
        internal=settings.internal_service_availability_zone,
        by_host=aggregates.zones_by_host(connection, hosts),
    )
