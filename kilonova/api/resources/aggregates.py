"""``/os-aggregates``: hosts that belong together, and zones (contract §2.3)."""

from typing import Any, Final

from kilonova.api.call import Call, Page
from kilonova.api.routes import Many, One, Route, route
from kilonova.api.schemas import aggregates as schemas
from kilonova.api.schemas.types import MOST, NOTHING
from kilonova.api.shape import Shape, field
from kilonova.domain.aggregates import ZONE_KEY, Aggregate
from kilonova.domain.errors import Invalid, NotFound
from kilonova.store import aggregates
from kilonova.wire.times import naive

_RULE: Final = "os_compute_api:os-aggregates:"
_ONE: Final = "/os-aggregates/{id}"
_ACTION: Final = "/os-aggregates/{id}/action"


def _updated(aggregate: Aggregate) -> str | None:
    return None if aggregate.updated_at is None else naive(aggregate.updated_at)


AGGREGATE: Final = Shape(
    "aggregate",
    field("id", "id"),
    field("uuid", "uuid", since="2.41"),
    field("name", "name"),
    field("hosts", "hosts"),
    field("metadata", "metadata"),
    field("created_at", lambda aggregate: naive(aggregate.created_at)),
    field("updated_at", _updated),
    field("deleted_at", lambda _: None),
    field("deleted", lambda _: False),
    field("availability_zone", "availability_zone"),
)
CREATED: Final = AGGREGATE.without("aggregate", "hosts", "metadata")


def index(call: Call) -> Page:
    """``GET /os-aggregates``."""
    with call.plane.database.read() as connection:
        return Page(records=aggregates.list_aggregates(connection))


def show(call: Call) -> Aggregate:
    """``GET /os-aggregates/{id}``."""
    with call.plane.database.read() as connection:
        return aggregates.get_aggregate(connection, _number(call))


def create(call: Call) -> Aggregate:
    """``POST /os-aggregates``."""
    wanted: dict[str, Any] = call.body["aggregate"]
    with call.plane.database.transaction() as tx:
        return aggregates.add_aggregate(tx, wanted["name"], wanted.get(ZONE_KEY), request=call.request)


def update(call: Call) -> Aggregate:
    """``PUT /os-aggregates/{id}``: as in Nova the name is kept even where the zone then cannot be."""
    id, wanted = _number(call), call.body["aggregate"]
    if "name" in wanted:
        with call.plane.database.transaction() as tx:
            renamed = aggregates.rename_aggregate(tx, id, wanted["name"], request=call.request)
        if ZONE_KEY not in wanted:
            return renamed
    zone, what = {ZONE_KEY: wanted[ZONE_KEY]}, f"Cannot update aggregate {id}."
    with call.plane.database.transaction() as tx:
        return aggregates.change_aggregate_metadata(tx, id, zone, what=what, request=call.request)


def delete(call: Call) -> None:
    """``DELETE /os-aggregates/{id}``."""
    id = _number(call)
    with call.plane.database.transaction() as tx:
        aggregates.remove_aggregate(tx, id, request=call.request)


def add_host(call: Call) -> Aggregate:
    """``add_host`` of ``POST /os-aggregates/{id}/action``."""
    id, zone = _number(call), call.plane.settings.default_availability_zone
    host = call.body["add_host"]["host"]
    with call.plane.database.transaction() as tx:
        return aggregates.add_aggregate_host(tx, id, host, default_zone=zone, request=call.request)


def remove_host(call: Call) -> Aggregate:
    """``remove_host`` of ``POST /os-aggregates/{id}/action``."""
    id, zone = _number(call), call.plane.settings.default_availability_zone
    host = call.body["remove_host"]["host"]
    with call.plane.database.transaction() as tx:
        return aggregates.remove_aggregate_host(tx, id, host, default_zone=zone, request=call.request)


def set_metadata(call: Call) -> Aggregate:
    """``set_metadata`` of ``POST /os-aggregates/{id}/action``: what is null goes, but for the zone."""
    id, items = _number(call), call.body["set_metadata"]["metadata"]
    what = f"Cannot update metadata of aggregate {id}."
    with call.plane.database.transaction() as tx:
        return aggregates.change_aggregate_metadata(tx, id, items, what=what, request=call.request)


def cache_images(call: Call) -> None:
    """``POST /os-aggregates/{id}/images``, from 2.81: its hosts fetch images in the background."""
    image_ids = [each["id"] for each in call.body["cache"]]
    call.plane.cache_images(call.request, _number(call), image_ids)


def _number(call: Call) -> int:
    """The number of the path."""
    text = call.params["id"]
    try:
        number = int(text)
    except ValueError:
        raise Invalid("Invalid input received: id must be an integer") from None
    if abs(number) > MOST:
        raise NotFound(f"Aggregate {number} could not be found.")
    return number


ROUTES: Final[tuple[Route, ...]] = (
    route(
        "GET",
        "/os-aggregates",
        index,
        policy=_RULE + "index",
        query=NOTHING,
        returns=Many(shape=AGGREGATE, key="aggregates"),
    ),
    route("GET", _ONE, show, policy=_RULE + "show", query=NOTHING, returns=One(shape=AGGREGATE)),
    route(
        "POST",
        "/os-aggregates",
        create,
        policy=_RULE + "create",
        body=schemas.CREATE,
        returns=One(shape=CREATED),
    ),
    route("PUT", _ONE, update, policy=_RULE + "update", body=schemas.UPDATE, returns=One(shape=AGGREGATE)),
    route("DELETE", _ONE, delete, policy=_RULE + "delete"),
    route(
        "POST",
        _ONE + "/images",
        cache_images,
        policy="compute:aggregates:images",
        since="2.81",
        body=schemas.CACHE,
        status=202,
    ),
    *(
        route(
            "POST",
            _ACTION,
            handle,
            policy=_RULE + handle.__name__,
            action=handle.__name__,
            body=schema,
            returns=One(shape=AGGREGATE),
        )
        for handle, schema in (
            (add_host, schemas.ADD_HOST),
            (remove_host, schemas.REMOVE_HOST),
            (set_metadata, schemas.SET_METADATA),
        )
    ),
)
