"""Whether a compute host can be counted on, by the control plane's clock (contract §1.5)."""

from kilonova.domain.model import Instant
from kilonova.services.settings import ServiceSettings
from kilonova.store import fleet
from kilonova.store.database import Connection


def is_host_up(connection: Connection, host: str, *, now: Instant, settings: ServiceSettings) -> bool:
    """Whether the host's agent beat lately and is not forced down; False for a host that nobody knows."""
    service = fleet.find_service(connection, "nova-compute", host)
    return service is not None and service.is_up(now, service_down_seconds=settings.service_down_time)
