"""The schemas by which Glance's clients read images and their members."""

from typing import Any, Final

from kilonova.domain.images import ImageStatus
from kilonova.images.formats import CONTAINER_FORMATS, DISK_FORMATS
from kilonova.images.wishes import MEMBER_STATUSES, VISIBILITIES

_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["null", "string"]}
_SIZE: Final = {"type": ["null", "integer"], "readOnly": True}
_FIXED: Final = {"type": "string", "readOnly": True}
_FIXED_OR_NULL: Final = {"type": ["null", "string"], "readOnly": True}

IMAGE_SCHEMA: Final[dict[str, Any]] = {
    "name": "image",
    "properties": {
        "id": _TEXT,
        "name": {"type": ["null", "string"], "maxLength": 255},
        "status": {**_FIXED, "enum": [str(status) for status in ImageStatus]},
        "visibility": {"type": "string", "enum": list(VISIBILITIES)},
        "owner": _TEXT_OR_NULL,
        "disk_format": {"type": ["null", "string"], "enum": [None, *DISK_FORMATS]},
        "container_format": {"type": ["null", "string"], "enum": [None, *CONTAINER_FORMATS]},
        "size": _SIZE,
        "virtual_size": _SIZE,
        "checksum": _FIXED_OR_NULL,
        "os_hash_algo": _FIXED_OR_NULL,
        "os_hash_value": _FIXED_OR_NULL,
        "min_disk": {"type": "integer"},
        "min_ram": {"type": "integer"},
        "protected": {"type": "boolean"},
        "os_hidden": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
        "created_at": _FIXED,
        "updated_at": _FIXED,
        "self": _FIXED,
        "file": _FIXED,
        "schema": _FIXED,
    },
    "additionalProperties": _TEXT,
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}

IMAGES_SCHEMA: Final[dict[str, Any]] = {
    "name": "images",
    "properties": {
        "images": {"type": "array", "items": IMAGE_SCHEMA},
        "first": _TEXT,
        "next": _TEXT,
        "schema": _TEXT,
    },
    "links": [
        {"rel": "first", "href": "{first}"},
        {"rel": "next", "href": "{next}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}

MEMBER_SCHEMA: Final[dict[str, Any]] = {
    "name": "member",
    "properties": {
        "member_id": _TEXT,
        "image_id": _TEXT,
        "status": {"type": "string", "enum": list(MEMBER_STATUSES)},
        "created_at": _FIXED,
        "updated_at": _FIXED,
        "schema": _FIXED,
    },
}

MEMBERS_SCHEMA: Final[dict[str, Any]] = {
    "name": "members",
    "properties": {"members": {"type": "array", "items": MEMBER_SCHEMA}, "schema": _TEXT},
    "links": [{"rel": "describedby", "href": "{schema}"}],
}
