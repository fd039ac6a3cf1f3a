"""Images and their members as Glance v2 shows them."""

from typing import Any, Final

from kilonova.domain.images import Image, ImageMember
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


def member_view(member: ImageMember) -> dict[str, Any]:
    """A project with which an image is shared."""
    return {
        "member_id": member.member_id,
        "image_id": member.image_id,
        "status": member.status,
        "created_at": zulu(member.created_at),
        "updated_at": zulu(member.updated_at),
        "schema": "/v2/schemas/member",
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
