"""The service catalog: which services there are, and where. It is static: made from settings at start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

INTERFACES: Final = ("public", "internal", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogService:
    """One service. ``location`` is a path below the cloud's own address, or a whole URL of a service elsewhere."""

    type: str
    name: str
    location: str

    @property
    def id(self) -> str:
        """The same in every process and after every restart."""
        return _stable_id("service", self.type, self.name)

    def url(self, base: str) -> str:
        """Where it is, for a client that reached the cloud at ``base`` (scheme and host, without a path)."""
        return base + self.location if self.location.startswith("/") else self.location


EMBEDDED: Final = (
    CatalogService(type="identity", name="keystone", location="/identity"),
    CatalogService(type="compute", name="nova", location="/compute/v2.1"),
    CatalogService(type="image", name="glance", location="/image"),
    CatalogService(type="network", name="neutron", location="/network"),
)
"""What one process of the embedded shape serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The services in one region."""

    services: Sequence[CatalogService] = EMBEDDED
    region: str = "RegionOne"

    def as_token_part(self, base: str) -> list[dict[str, Any]]:
        """As in a token's ``catalog``, with the endpoints inside their services."""
        return [
            {
                "id": service.id,
                "type": service.type,
                "name": service.name,
                "endpoints": [self._endpoint(service, interface, base) for interface in INTERFACES],
            }
            for service in self.services
        ]

    def list_endpoints(self, base: str) -> list[dict[str, Any]]:
        """As ``GET /v3/endpoints`` lists them."""
        return [
            {**self._endpoint(service, interface, base), "service_id": service.id, "enabled": True}
            for service in self.services
            for interface in INTERFACES
        ]

    def list_services(self) -> list[dict[str, Any]]:
        """As ``GET /v3/services`` lists them."""
        return [
            {"id": service.id, "type": service.type, "name": service.name, "enabled": True, "description": ""}
            for service in self.services
        ]

    def list_regions(self) -> list[dict[str, Any]]:
        """As ``GET /v3/regions`` lists them."""
        return [{"id": self.region, "description": "", "parent_region_id": None}]

    def _endpoint(self, service: CatalogService, interface: str, base: str) -> dict[str, Any]:
        return {
            "id": _stable_id("endpoint", service.type, service.name, interface, self.region),
            "interface": interface,
            "region": self.region,
            "region_id": self.region,
            "url": service.url(base),
        }


def _stable_id(*parts: str) -> str:
    return uuid5(NAMESPACE_URL, "kilonova:" + ":".join(parts)).hex
