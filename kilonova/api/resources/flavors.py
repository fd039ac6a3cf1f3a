"""``/flavors``: the sizes of servers (contract §11.6)."""

from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

from kilonova.api.call import Call, Page
from kilonova.api.paging import cut
from kilonova.api.routes import Many, One, route
from kilonova.api.schemas import flavors as schemas
from kilonova.api.schemas.types import NOTHING, integer, truth
from kilonova.api.shape import JsonText, Shape, field
from kilonova.domain.errors import Invalid
from kilonova.domain.model import Flavor
from kilonova.store import flavors

_MANAGE: Final = "os_compute_api:os-flavor-manage:"
_SPECS: Final = "os_compute_api:os-flavor-extra-specs:index"
_SORTABLE: Final[dict[str, Callable[[Flavor], Any]]] = {
    "flavorid": lambda flavor: flavor.flavorid,
    "id": lambda flavor: flavor.id,
    "name": lambda flavor: flavor.name,
    "memory_mb": lambda flavor: flavor.memory_mb,
    "vcpus": lambda flavor: flavor.vcpus,
    "root_gb": lambda flavor: flavor.root_gb,
    "ephemeral_gb": lambda flavor: flavor.ephemeral_gb,
    "swap": lambda flavor: flavor.swap_mb,
    "rxtx_factor": lambda flavor: flavor.rxtx_factor,
    "is_public": lambda flavor: flavor.is_public,
    "disabled": lambda flavor: flavor.disabled,
    "created_at": lambda flavor: flavor.created_at,
    "updated_at": lambda flavor: flavor.created_at,
    "vcpu_weight": lambda _: 0,
}


def _links(flavor: Flavor, call: Call) -> Any:
    return call.links.both("flavors", flavor.flavorid)


BRIEF: Final = Shape(
    "flavor",
    field("id", "flavorid"),
    field("name", "name"),
    field("links", _links),
    field("description", "description", since="2.55"),
)

FULL: Final = Shape(
    "flavor",
    field("id", "flavorid"),
    field("name", "name"),
    field("ram", "memory_mb"),
    field("disk", "root_gb"),
    field("swap", lambda flavor: flavor.swap_mb or "", until="2.74"),
    field("swap", "swap_mb", since="2.75"),
    field("OS-FLV-EXT-DATA:ephemeral", "ephemeral_gb"),
    field("OS-FLV-DISABLED:disabled", "disabled", until="2.101"),
    field("vcpus", "vcpus"),
    field("os-flavor-access:is_public", "is_public"),
    field("rxtx_factor", lambda flavor: flavor.rxtx_factor or "", until="2.101"),
    field("links", _links),
    field("description", "description", since="2.55"),
    field("extra_specs", JsonText("extra_specs_json"), since="2.61", when=_SPECS),
)


def index(call: Call) -> Page:
    """``GET /flavors`` and ``GET /flavors/detail``."""
    return cut(call, _selected(call), id_of=lambda flavor: flavor.flavorid, missing="marker [{marker}] not found")


def show(call: Call) -> Flavor:
    """``GET /flavors/{id}``; a private one is there for administrators and for projects with access to it."""
    with call.plane.database.read() as connection:
        return flavors.get_flavor(
            connection,
            call.params["flavor_id"],
            include_private=call.sees_all,
            project_id=call.caller.project_id,
        )


def create(call: Call) -> Flavor:
    """``POST /flavors``."""
    wanted = call.body["flavor"]
    flavorid = wanted.get("id")
    with call.plane.database.transaction() as tx:
        return flavors.add_flavor(
            tx,
            name=wanted["name"],
            vcpus=integer("vcpus", wanted["vcpus"], least=1),
            memory_mb=integer("ram", wanted["ram"], least=1),
            root_gb=integer("disk", wanted["disk"]),
            ephemeral_gb=integer("ephemeral", wanted.get("OS-FLV-EXT-DATA:ephemeral", 0)),
            swap_mb=integer("swap", wanted.get("swap", 0)),
            rxtx_factor=float(wanted.get("rxtx_factor", 1.0)),
            is_public=truth(wanted.get("os-flavor-access:is_public", True)),
            description=wanted.get("description"),
            flavorid=str(uuid4()) if flavorid in (None, "auto") else str(flavorid),
            now=call.plane.now(),
            request=call.request,
        )


def update(call: Call) -> Flavor:
    """``PUT /flavors/{id}``: the description, which is all of a flavor that ever changes."""
    described = {"description": call.body["flavor"]["description"]}
    with call.plane.database.transaction() as tx:
        return flavors.update_flavor(
            tx, call.params["flavor_id"], described, now=call.plane.now(), request=call.request
        )


def delete(call: Call) -> None:
    """``DELETE /flavors/{id}``; servers keep what they had of it."""
    with call.plane.database.transaction() as tx:
        flavors.remove_flavor(tx, call.params["flavor_id"], now=call.plane.now(), request=call.request)


def _selected(call: Call) -> list[Flavor]:
    is_public = _is_public(call)
    with call.plane.database.read() as connection:
        found = flavors.list_flavors(
            connection, include_private=is_public is not True, project_id=call.caller.project_id
        )
    least_disk, least_ram = _least(call, "minDisk"), _least(call, "minRam")
    name = call.first("name")
    found = [
        each
        for each in found
        if each.root_gb >= least_disk
        and each.memory_mb >= least_ram
        and (is_public is not False or not each.is_public)
        and (name is None or each.name == name)
    ]
    return _sorted(call, found)


def _is_public(call: Call) -> bool | None:
    """Which flavors: True for those that the caller may use, False for private ones, None for all (contract §11.6).

    Only administrators choose.
    """
    asked = call.first("is_public")
    if not call.sees_all or asked is None:
        return True
    if asked.lower() == "none":
        return None
    try:
        return _WORDS[asked.lower()]
    except KeyError as error:
        raise Invalid(f"Invalid is_public filter [{asked}]") from error


_WORDS: Final = {
    **dict.fromkeys(("1", "t", "true", "on", "y", "yes"), True),
    **dict.fromkeys(("0", "f", "false", "off", "n", "no"), False),
}


def _least(call: Call, name: str) -> int:
    text = call.first(name)
    try:
        return 0 if text is None else int(text)
    except ValueError as error:
        raise Invalid(f"Invalid {name} filter [{text}]") from error


def _sorted(call: Call, found: list[Flavor]) -> list[Flavor]:
    key, direction = call.first("sort_key") or "flavorid", call.first("sort_dir") or "asc"
    if key not in _SORTABLE:
        raise Invalid("Invalid input received: Sort key supplied is not valid.")
    return sorted(found, key=_SORTABLE[key], reverse=direction == "desc")


ROUTES: Final = (
    route(
        "GET",
        "/flavors",
        index,
        policy=None,
        query=schemas.LIST,
        returns=Many(shape=BRIEF, key="flavors"),
    ),
    route(
        "GET",
        "/flavors/detail",
        index,
        policy=None,
        query=schemas.LIST,
        returns=Many(shape=FULL, key="flavors"),
    ),
    route("GET", "/flavors/{flavor_id}", show, policy=None, query=NOTHING, returns=One(shape=FULL), is_quick=True),
    route("POST", "/flavors", create, policy=_MANAGE + "create", body=schemas.CREATE, returns=One(shape=FULL)),
    route(
        "PUT",
        "/flavors/{flavor_id}",
        update,
        policy=_MANAGE + "update",
        since="2.55",
        body=schemas.UPDATE,
        returns=One(shape=FULL),
    ),
    route("DELETE", "/flavors/{flavor_id}", delete, policy=_MANAGE + "delete", status=202),
)
