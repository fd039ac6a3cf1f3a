"""The nouns of the API, one file each; ``ROUTES`` has the rows of them all."""

from typing import Final

from kilonova.api.resources import (
    aggregates,
    elsewhere,
    extensions,
    flavor_access,
    flavor_specs,
    flavors,
    hosts,
    hypervisors,
    images,
    instance_actions,
    interfaces,
    keypairs,
    limits,
    networks,
    removed,
    server_actions,
    server_groups,
    server_parts,
    servers,
    service_writes,
    services,
)
from kilonova.api.routes import Route

ROUTES: Final[tuple[Route, ...]] = (
    *servers.ROUTES,
    *server_actions.ROUTES,
    *server_parts.ROUTES,
    *instance_actions.ROUTES,
    *flavors.ROUTES,
    *flavor_specs.ROUTES,
    *flavor_access.ROUTES,
    *keypairs.ROUTES,
    *server_groups.ROUTES,
    *limits.ROUTES,
    *services.ROUTES,
    *service_writes.ROUTES,
    *aggregates.ROUTES,
    *hosts.ROUTES,
    *hypervisors.ROUTES,
    *images.ROUTES,
    *networks.ROUTES,
    *interfaces.ROUTES,
    *extensions.ROUTES,
    *elsewhere.ROUTES,
    *removed.ROUTES,
)
