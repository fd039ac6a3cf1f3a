"""What clients ask an image to be like: the body of a POST and the operations of a PATCH, checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from kilonova.domain.errors import Conflict, Forbidden, Invalid, NotSupported
from kilonova.domain.images import Image, ImageStatus
from kilonova.images.formats import CONTAINER_FORMATS, DISK_FORMATS

READ_ONLY: Final = frozenset(
    {
        "status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at",
        "self", "file", "schema", "direct_url", "locations", "stores", "deleted_at", "deleted",
    }
)  # fmt: skip
SETTABLE: Final = frozenset(
    {
        "name", "visibility", "owner", "disk_format", "container_format", "min_disk", "min_ram", "protected",
        "os_hidden", "tags",
    }
)  # fmt: skip

VISIBILITIES: Final = ("private", "public", "shared", "community")
"""For its project, for all, for single projects, and for whoever knows of it."""

MEMBER_STATUSES: Final = ("pending", "accepted", "rejected")
"""What a project can say to an image that is shared with it."""

_VERBS: Final = ("add", "replace", "remove")
RESERVED: Final = "os_glance_"
"""How the names of properties begin that only the service sets."""
_MOST_ID: Final = 64
_MOST_NUMBER: Final = 2**31 - 1
_MOST_PROPERTIES: Final = 128
_MOST_PROPERTIES_BYTES: Final = 60_000  # a TEXT column of MariaDB has 65,535
_MOST_TAGS: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to set: fields of ``Image`` by name, properties (None removes one), and the id wanted, if any."""

    image_id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, str | None] = field(default_factory=dict)

    def merged(self, properties: Mapping[str, str]) -> str:
        """The properties of an image with this wish fulfilled, as JSON. Invalid where they grow too many."""
        merged = {**properties, **self.properties}
        kept = {key: value for key, value in sorted(merged.items()) if value is not None}
        if len(kept) > _MOST_PROPERTIES:
            raise Invalid(f"An image may have at most {_MOST_PROPERTIES} properties")
        text = json.dumps(kept)
        if len(text) > _MOST_PROPERTIES_BYTES:
            raise Invalid(f"The properties of an image may have at most {_MOST_PROPERTIES_BYTES} bytes in all")
        return text


def read_creation(body: Any) -> Wish:
    """The wish in the body of ``POST /v2/images``. Invalid, or Forbidden for attributes that only the service sets."""
    if not isinstance(body, dict):
        raise Invalid("The body must be an object that describes the image")
    wanted = dict(body)
    image_id = _uuid(wanted.pop("id")) if "id" in wanted else None
    return _wish(wanted, image_id)


def read_patch(body: Any, image: Image) -> Wish:
    """The wish in the body of ``PATCH /v2/images/{id}``, read against the image as it is.

    Conflict for a property to replace or remove that is not there, as in Glance.
    """
    if not isinstance(body, list):
        raise Invalid("The body must be a list of operations: add, replace, remove")
    known = {**image.properties}
    wanted: dict[str, Any] = {}
    for operation in body:
        verb, key, value = _operation(operation)
        if verb != "add" and key not in SETTABLE | READ_ONLY and known.get(key) is None:
            raise Conflict(f"Property {key} does not exist.")
        if verb == "remove":
            _refuse_removal(key)
            value = None
        wanted[key] = known[key] = value
    removed = {key for key, value in wanted.items() if value is None and key not in SETTABLE}
    wish = _wish({key: value for key, value in wanted.items() if key not in removed}, None)
    _refuse_formats(wish, image)
    return Wish(fields=wish.fields, properties={**wish.properties, **dict.fromkeys(removed)})


def from_first_form(body: Any) -> Any:
    """A PATCH of Glance's first form, ``{"replace": "/name", "value": …}``, in that of today; else as it is."""
    if not isinstance(body, list):
        return body
    return [_from_first_form(operation) for operation in body]


def _from_first_form(operation: Any) -> Any:
    verbs = [verb for verb in _VERBS if isinstance(operation, dict) and verb in operation]
    if len(verbs) != 1:
        raise Invalid(f"Each operation has exactly one of {', '.join(_VERBS)}")
    rest = {key: value for key, value in operation.items() if key != verbs[0]}
    return {**rest, "op": verbs[0], "path": operation[verbs[0]]}


def read_member(body: Any) -> str:
    """The project in the body of ``POST /v2/images/{id}/members``. Invalid where it names none."""
    member_id = body.get("member") if isinstance(body, dict) else None
    if not isinstance(member_id, str) or not 0 < len(member_id) <= _MOST_ID:
        raise Invalid(f'The body must be {{"member": "<project id>"}}, of 1 to {_MOST_ID} characters')
    return member_id


def read_member_status(body: Any) -> str:
    """The status in the body of ``PUT /v2/images/{id}/members/{member}``. Invalid where it is none."""
    status = body.get("status") if isinstance(body, dict) else None
    if status not in MEMBER_STATUSES:
        raise Invalid(f'The body must be {{"status": …}} with one of {", ".join(MEMBER_STATUSES)}')
    return str(status)


def read_tag(tag: str) -> str:
    """A tag as a path names it. Invalid where it is longer than 255 characters or empty."""
    if not tag or len(tag) > 255 or "\x00" in tag:
        raise Invalid("A tag has 1 to 255 characters")
    return tag


def tags_json(tags: list[str]) -> str:
    """Tags as they are kept: each once, sorted. Invalid where there are too many."""
    unique = sorted(set(tags))
    if len(unique) > _MOST_TAGS:
        raise Invalid(f"An image may have at most {_MOST_TAGS} tags")
    return json.dumps(unique)


def _wish(wanted: Mapping[str, Any], image_id: str | None) -> Wish:
    fields: dict[str, Any] = {}
    properties: dict[str, str | None] = {}
    for key, value in wanted.items():
        if key in READ_ONLY:
            raise Forbidden(f"Attribute '{key}' is read-only.")
        if key == "tags":
            fields["tags_json"] = _tags(value)
        elif key in SETTABLE:
            fields[key] = _field(key, value)
        else:
            properties[key] = _property(key, value)
    return Wish(image_id=image_id, fields=fields, properties=properties)


def _field(key: str, value: Any) -> Any:
    if key in ("min_disk", "min_ram"):
        return _number(key, value)
    if key in ("protected", "os_hidden"):
        return _flag(key, value)
    if key == "visibility":
        return _visibility(value)
    if key == "disk_format":
        return _one_of(key, value, DISK_FORMATS)
    if key == "container_format":
        return _one_of(key, value, CONTAINER_FORMATS)
    return None if value is None else _text(key, value)


def _number(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_NUMBER:
        raise Invalid(f"{key} must be a whole number from 0 to {_MOST_NUMBER}")
    return value


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"{key} must be true or false")
    return value


def _visibility(value: Any) -> str:
    return str(_one_of("visibility", value, VISIBILITIES))


def _one_of(key: str, value: Any, choices: tuple[str, ...]) -> str | None:
    if value is None and key != "visibility":
        return None
    if value not in choices:
        raise Invalid(f"{key} {value!r} is not supported; supported: {', '.join(choices)}")
    return str(value)


def _tags(value: Any) -> str:
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise Invalid("tags must be a list of strings")
    return tags_json([read_tag(tag) for tag in value])


def _property(key: str, value: Any) -> str:
    if key.startswith(RESERVED):
        raise Forbidden(f"Attribute '{key}' is reserved.")
    if not key or len(key) > 255:
        raise Invalid("The name of a property has 1 to 255 characters")
    if not isinstance(value, str):
        raise Invalid(f"Property {key} must be a string")
    return value


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > 255:
        raise Invalid(f"{key} must be a string of at most 255 characters")
    return value


def _uuid(value: Any) -> str:
    try:
        return str(UUID(value))
    except (ValueError, TypeError, AttributeError) as error:
        raise Invalid(f"id {value!r} is not a UUID") from error


def _operation(operation: Any) -> tuple[str, str, Any]:
    verb = operation.get("op") if isinstance(operation, dict) else None
    path = operation.get("path") if isinstance(operation, dict) else None
    if verb not in _VERBS or not isinstance(path, str) or not path.startswith("/"):
        raise Invalid("Each operation needs op (add, replace or remove) and a path that starts with /")
    if verb != "remove" and "value" not in operation:
        raise Invalid(f"The operation {verb} {path} needs a value")
    if "/" in path[1:]:
        raise NotSupported(f"{path}: paths into an attribute are not read here; replace it as a whole")
    key = path[1:].replace("~1", "/").replace("~0", "~")
    return verb, key, operation.get("value")


def _refuse_removal(key: str) -> None:
    if key in READ_ONLY:
        raise Forbidden(f"Attribute '{key}' is read-only.")
    if key in SETTABLE:
        raise Forbidden(f"Property {key} may not be removed.")


def _refuse_formats(wish: Wish, image: Image) -> None:
    for key in ("disk_format", "container_format"):
        wanted = wish.fields.get(key)
        if key in wish.fields and image.status != ImageStatus.QUEUED and wanted != getattr(image, key):
            raise Forbidden(f"Attribute {key} is not allowed to be changed once an image has data.")
