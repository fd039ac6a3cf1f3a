"""``/flavors/{id}/os-flavor-access``: which projects may use a private flavor (contract §11.6)."""

from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.resources.flavors import show
from kilonova.api.routes import route
from kilonova.api.schemas import flavors as schemas
from kilonova.api.schemas.types import NOTHING
from kilonova.domain.errors import Conflict, NotFound
from kilonova.domain.model import Flavor
from kilonova.store import flavors
from kilonova.store.database import Connection
from kilonova.wire.version import Versioned

_RULE: Final = "os_compute_api:os-flavor-access"
_ACTION: Final = "/flavors/{flavor_id}/action"
_REFUSES_PUBLIC: Final = Versioned(("2.1", False), ("2.7", True))


def index(call: Call) -> dict[str, Any]:
    """``GET /flavors/{id}/os-flavor-access``."""
    flavor = show(call)
    if flavor.is_public:
        raise NotFound("Access list not available for public flavors.")
    with call.plane.database.read() as connection:
        return _list(connection, flavor)


def add(call: Call) -> dict[str, Any]:
    """``addTenantAccess``."""
    flavor = show(call)
    if flavor.is_public and _REFUSES_PUBLIC.at(call.version):
        raise Conflict("Can not add access to a public flavor.")
    with call.plane.database.transaction() as tx:
        flavors.add_flavor_access(tx, flavor, call.body["addTenantAccess"]["tenant"], request=call.request)
        return _list(tx.connection, flavor)


def remove(call: Call) -> dict[str, Any]:
    """``removeTenantAccess``."""
    flavor = show(call)
    with call.plane.database.transaction() as tx:
        flavors.remove_flavor_access(tx, flavor, call.body["removeTenantAccess"]["tenant"], request=call.request)
        return _list(tx.connection, flavor)


def _list(connection: Connection, flavor: Flavor) -> dict[str, Any]:
    projects = flavors.list_flavor_access(connection, flavor)
    return {"flavor_access": [{"flavor_id": flavor.flavorid, "tenant_id": project} for project in projects]}


ROUTES: Final = (
    route("GET", "/flavors/{flavor_id}/os-flavor-access", index, policy=_RULE, query=NOTHING),
    route(
        "POST",
        _ACTION,
        add,
        policy=_RULE + ":add_tenant_access",
        action="addTenantAccess",
        body=schemas.access("addTenantAccess"),
    ),
    route(
        "POST",
        _ACTION,
        remove,
        policy=_RULE + ":remove_tenant_access",
        action="removeTenantAccess",
        body=schemas.access("removeTenantAccess"),
    ),
)
