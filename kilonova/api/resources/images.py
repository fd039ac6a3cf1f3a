"""``/images``: what Nova told of images until 2.35, and of their metadata until 2.38 (contract §11.8)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kilonova.api.call import Call, Page
from kilonova.api.paging import cut
from kilonova.api.resources.servers import check_metadata
from kilonova.api.routes import Many, One, Route, route
from kilonova.api.schemas import images as schemas
from kilonova.api.schemas.types import truth
from kilonova.api.shape import ABSENT, Shape, field
from kilonova.domain.errors import Forbidden, Invalid, NotFound
from kilonova.domain.images import Image, ImageQuery, ImageStatus
from kilonova.wire.times import parse_iso, zulu

_UNTIL: Final = "2.35"
_METADATA_UNTIL: Final = "2.38"
_MOST: Final = 1000
_STATES: Final = {
    ImageStatus.ACTIVE: ("ACTIVE", 100),
    ImageStatus.SAVING: ("SAVING", 50),
    ImageStatus.QUEUED: ("SAVING", 25),
    ImageStatus.DELETED: ("DELETED", 0),
}
"""Nova's word for a state of Glance's, and how far that is in per cent."""
_AUTO_DISK_CONFIG: Final = "auto_disk_config"
_SERVER: Final = "instance_uuid"


def _links(image: Image, call: Call) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": call.links.to(f"images/{image.id}")},
        {"rel": "bookmark", "href": f"{call.links.bookmark_root}/images/{image.id}"},
        {
            "rel": "alternate",
            "type": "application/vnd.openstack.image",
            "href": f"{_glance(call)}/images/{image.id}",
        },
    ]


def _glance(call: Call) -> str:
    """Where the image service is for clients: beside this one, unless the settings say otherwise."""
    prefix = call.plane.settings.glance_link_prefix
    return call.links.beside("image") if prefix is None else prefix.rstrip("/")


def _disk_config(image: Image) -> Any:
    wanted = image.properties.get(_AUTO_DISK_CONFIG)
    return ABSENT if wanted is None else "AUTO" if truth(wanted) else "MANUAL"


def _server(image: Image, call: Call) -> Any:
    uuid = image.properties.get(_SERVER)
    return ABSENT if uuid is None else {"id": uuid, "links": call.links.both("servers", uuid)}


BRIEF: Final = Shape("image", field("id", "id"), field("name", "name"), field("links", _links))

FULL: Final = Shape(
    "image",
    field("id", "id"),
    field("name", "name"),
    field("minRam", "min_ram"),
    field("minDisk", "min_disk"),
    field("metadata", "properties"),
    field("created", lambda image: zulu(image.created_at)),
    field("updated", lambda image: zulu(image.updated_at)),
    field("status", lambda image: _STATES[image.status][0]),
    field("progress", lambda image: _STATES[image.status][1]),
    field("OS-EXT-IMG-SIZE:size", lambda image: image.size or 0),
    field("OS-DCF:diskConfig", _disk_config),
    field("links", _links),
    field("server", _server),
)


def index(call: Call) -> Page:
    """``GET /images`` and ``GET /images/detail``, the newest first."""
    visible = ImageQuery(project_id=call.caller.project_id, every_project=call.is_admin, limit=_MOST)
    tests = _tests(call)
    found = [image for image in call.plane.gallery.list_images(visible) if all(test(image) for test in tests)]
    return cut(call, found, id_of=lambda image: image.id)


def show(call: Call) -> Image:
    """``GET /images/{id}``."""
    image = call.plane.find_image(call.params["image_id"], call.caller)
    if image is None:
        raise NotFound("Image not found.")
    return image


def delete(call: Call) -> None:
    """``DELETE /images/{id}``."""
    image = show(call)
    try:
        call.plane.gallery.delete_image(image.id, call.caller)
    except Forbidden as error:
        raise Forbidden("You are not allowed to delete the image.", detail=error.message) from error


def metadata(call: Call) -> dict[str, Any]:
    """``GET /images/{id}/metadata``."""
    return {"metadata": show(call).properties}


def metadata_item(call: Call) -> dict[str, Any]:
    """``GET /images/{id}/metadata/{key}``."""
    key = call.params["key"]
    return {"meta": {key: _item(show(call), key)}}


def metadata_merge(call: Call) -> dict[str, Any]:
    """``POST /images/{id}/metadata``: these items beside those that are there."""
    return {"metadata": _keep(call, show(call), call.body["metadata"])}


def metadata_replace(call: Call) -> dict[str, Any]:
    """``PUT /images/{id}/metadata``: these items and no others."""
    image, wanted = show(call), call.body["metadata"]
    return {"metadata": _keep(call, image, {**dict.fromkeys(image.properties), **wanted})}


def metadata_put(call: Call) -> dict[str, Any]:
    """``PUT /images/{id}/metadata/{key}``."""
    key, wanted = call.params["key"], call.body["meta"]
    if key not in wanted:
        raise Invalid("Request body and URI mismatch")
    _keep(call, show(call), wanted)
    return {"meta": wanted}


def metadata_delete(call: Call) -> None:
    """``DELETE /images/{id}/metadata/{key}``."""
    image, key = show(call), call.params["key"]
    _item(image, key)
    _keep(call, image, {key: None})


def _item(image: Image, key: str) -> str:
    if key not in image.properties:
        raise NotFound("Metadata item was not found")
    return image.properties[key]


def _keep(call: Call, image: Image, wanted: Mapping[str, str | None]) -> dict[str, str]:
    merged = {key: value for key, value in {**image.properties, **wanted}.items() if value is not None}
    check_metadata(call, merged)
    try:
        return call.plane.gallery.set_properties(image.id, call.caller, wanted).properties
    except Forbidden as error:
        raise Forbidden(f"Access to image {image.id} is not allowed.", detail=error.message) from error


def _tests(call: Call) -> list[Callable[[Image], bool]]:
    """One for each filter of the query."""
    tests: list[Callable[[Image], bool]] = []
    least_ram, least_disk = int(call.first("minRam") or 0), int(call.first("minDisk") or 0)
    tests.append(lambda image: image.min_ram >= least_ram and image.min_disk >= least_disk)
    if (name := call.first("name")) is not None:
        tests.append(lambda image: image.name == name)
    if (status := call.first("status")) is not None:
        tests.append(lambda image: _STATES[image.status][0] == status.upper())
    if (since := call.first("changes-since")) is not None:
        tests.append(_changed_since(since))
    if (server := call.first("server")) is not None:
        tests.append(_has(_SERVER, server.rpartition("/")[2]))
    if (kind := call.first("type")) is not None:
        tests.append(_has("image_type", kind))
    return tests + [
        _has(each.removeprefix("property-"), values[-1])
        for each, values in call.query.items()
        if each.startswith("property-")
    ]


def _has(key: str, value: str) -> Callable[[Image], bool]:
    return lambda image: image.properties.get(key) == value


def _changed_since(text: str) -> Callable[[Image], bool]:
    try:
        instant = parse_iso(text)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"Invalid changes-since: {text}") from error
    return lambda image: image.updated_at >= instant


_IMAGE: Final = "/images/{image_id}"
_METADATA: Final = _IMAGE + "/metadata"
_ITEM: Final = _METADATA + "/{key}"


def _listing(path: str, shape: Shape) -> Route:
    returns = Many(shape=shape, key="images")
    return route("GET", path, index, policy=None, until=_UNTIL, query=schemas.LIST, returns=returns)


ROUTES: Final = (
    _listing("/images", BRIEF),
    _listing("/images/detail", FULL),
    route("GET", _IMAGE, show, policy=None, until=_UNTIL, returns=One(shape=FULL)),
    route("DELETE", _IMAGE, delete, policy=None, until=_UNTIL, status=204),
    route("GET", _METADATA, metadata, policy=None, until=_METADATA_UNTIL),
    route("POST", _METADATA, metadata_merge, policy=None, until=_METADATA_UNTIL, body=schemas.METADATA_BODY),
    route("PUT", _METADATA, metadata_replace, policy=None, until=_METADATA_UNTIL, body=schemas.METADATA_BODY),
    route("GET", _ITEM, metadata_item, policy=None, until=_METADATA_UNTIL),
    route("PUT", _ITEM, metadata_put, policy=None, until=_METADATA_UNTIL, body=schemas.ITEM_BODY),
    route("DELETE", _ITEM, metadata_delete, policy=None, until=_METADATA_UNTIL, status=204),
)
