"""What Nova removed and still routes: 410 at every version (contract §0.5)."""

from collections.abc import Iterator
from typing import Final

from kilonova.api.call import Call
from kilonova.api.routes import Route, route

_SERVER: Final = "/servers/{server_id}"
_PATHS: Final = (
    ("/os-agents", "GET POST"),
    ("/os-agents/{id}", "PUT DELETE"),
    ("/os-cells", "GET POST"),
    ("/os-cells/capacities", "GET"),
    ("/os-cells/detail", "GET"),
    ("/os-cells/info", "GET"),
    ("/os-cells/sync_instances", "POST"),
    ("/os-cells/{id}", "GET PUT DELETE"),
    ("/os-cells/{id}/capacities", "GET"),
    ("/os-certificates", "POST"),
    ("/os-certificates/{id}", "GET"),
    ("/os-cloudpipe", "GET POST"),
    ("/os-cloudpipe/{id}", "PUT"),
    ("/os-fixed-ips/{id}", "GET"),
    ("/os-fixed-ips/{id}/action", "POST"),
    ("/os-floating-ip-dns", "GET"),
    ("/os-floating-ip-dns/{id}", "PUT DELETE"),
    ("/os-floating-ip-dns/{id}/entries/{name}", "GET PUT DELETE"),
    ("/os-floating-ips-bulk", "GET POST"),
    ("/os-floating-ips-bulk/{id}", "GET PUT"),
    ("/os-fping", "GET"),
    ("/os-fping/{id}", "GET"),
    ("/os-networks", "POST"),
    ("/os-networks/add", "POST"),
    ("/os-networks/{id}", "DELETE"),
    ("/os-networks/{id}/action", "POST"),
    ("/os-security-group-default-rules", "GET POST"),
    ("/os-security-group-default-rules/{id}", "GET DELETE"),
    ("/os-tenant-networks", "POST"),
    ("/os-tenant-networks/{id}", "DELETE"),
    (_SERVER + "/os-virtual-interfaces", "GET"),
    (_SERVER + "/consoles", "GET POST"),
    (_SERVER + "/consoles/{id}", "GET DELETE"),
)


def _gone(call: Call) -> None:
    raise LookupError(f"{call.path} is refused before it gets here")


def _routes() -> Iterator[Route]:
    for path, methods in _PATHS:
        for method in methods.split():
            yield route(method, path, _gone, policy=None, is_gone=True)


ROUTES: Final[tuple[Route, ...]] = (
    *_routes(),
    route("POST", _SERVER + "/action", _gone, policy=None, action="resetNetwork", is_gone=True),
)
