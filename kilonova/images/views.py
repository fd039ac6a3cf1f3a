"""Images as Glance v2 shows them, and the schemas by which its clients read them."""

from typing import Any, Final

from kilonova.domain.images import Image
from kilonova.wire.times import zulu

VERSIONS: Final = ("v2.9", "v2.8", "v2.7", "v2.6", "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0")


def image_view(image: Image) -> dict[str, Any]:
    """An image; its free properties stand beside the rest."""
    return {
        **image.properties,
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "visibility": image.visibility,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "checksum": image.checksum,
        "os_hash_algo": image.os_hash_algo,
        "os_hash_value": image.os_hash_value,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "protected": image.protected,
        "os_hidden": image.os_hidden,
        "tags": image.tags,
        "created_at": zulu(image.created_at),
        "updated_at": zulu(image.updated_at),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }


def versions_view(here: str) -> dict[str, Any]:
    """The versions that are spoken, all at one address."""
    return {
        "versions": [
            {
                "id": version,
                "status": "CURRENT" if version == VERSIONS[0] else "SUPPORTED",
                "links": [{"rel": "self", "href": f"{here}/v2/"}],
            }
            for version in VERSIONS
        ]
    }


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
        "status": {**_FIXED, "enum": ["queued", "saving", "active", "deleted"]},
        "visibility": {"type": "string", "enum": ["private", "public"]},
        "owner": _TEXT_OR_NULL,
        "disk_format": {"type": ["null", "string"], "enum": [None, "raw", "qcow2", "iso"]},
        "container_format": {"type": ["null", "string"], "enum": [None, "bare"]},
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
