"""Images that are made of servers: what is known of one before its data is there (contract §6.6.2, createImage)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from kilonova.domain.images import Image
from kilonova.domain.model import Instance

SNAPSHOT: Final = "snapshot"
BACKUP: Final = "backup"
"""The two values of the property ``image_type``."""

_OWN: Final = frozenset({"instance_uuid", "user_id", "image_type", "base_image_ref", "backup_type"})
_COPIED: Final = ("raw", "qcow2", "iso")
"""Formats that a copy of a disk may have. Those of Amazon's machines are of images as they were delivered."""
_NOT_INHERITED: Final = frozenset(
    {
        "cache_in_nova",
        "bittorrent",
        "img_signature_hash_method",
        "img_signature",
        "img_signature_key_type",
        "img_signature_certificate_uuid",
        "cinder_encryption_key_id",
        "cinder_encryption_key_deletion_policy",
    }
)
"""Properties that are about the bytes of the image that was booted, and not about those of a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOrder:
    """An image to be made. ``min_disk`` is GiB and ``min_ram`` MiB; ``owner`` is a project.

    Whoever carries it out may do so again: the id is chosen by whoever orders.
    """

    image_id: str
    name: str
    owner: str | None
    disk_format: str
    min_disk: int
    min_ram: int
    properties: Mapping[str, str] = field(default_factory=dict)

    def kept(self) -> dict[str, Any]:
        """As it is written into the ledger."""
        return {**asdict(self), "properties": dict(self.properties)}

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Self:
        """The order that the ledger has."""
        return cls(**kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of a new image: who asks, what for, and what they call it.

    ``kind`` is ``SNAPSHOT`` or ``BACKUP``; ``backup_type`` is the caller's word for a series of backups, None else.
    """

    image_id: str
    name: str
    project_id: str | None
    user_id: str | None
    kind: str = SNAPSHOT
    backup_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def order_of(instance: Instance, wanted: Wanted) -> ImageOrder:
    """The image that is to be made of a server.

    It inherits the properties of the image that the server was booted from, as in Nova; the caller's come over them,
    and what tells whose image it is over all, but for the kind of a snapshot, which its maker may call otherwise. It
    needs a disk as large as the server's.
    """
    base = instance.image
    inherited = {key: value for key, value in base.get("properties", {}).items() if key not in _OWN | _NOT_INHERITED}
    told = {
        "instance_uuid": instance.uuid,
        "user_id": wanted.user_id,
        "image_type": wanted.kind,
        "base_image_ref": instance.image_ref or None,
        "backup_type": wanted.backup_type,
    }
    own = {key: value for key, value in told.items() if value is not None}
    if wanted.kind == SNAPSHOT and "image_type" in wanted.metadata:
        del own["image_type"]
    return ImageOrder(
        image_id=wanted.image_id,
        name=wanted.name,
        owner=wanted.project_id,
        disk_format=known if (known := base.get("disk_format")) in _COPIED else "qcow2",
        min_disk=max(int(base.get("min_disk") or 0), instance.root_gb),
        min_ram=int(base.get("min_ram") or 0),
        properties={**inherited, **wanted.metadata, **own},
    )


def is_of_server(image: Image) -> bool:
    """Whether it is an image that was made of a server here, as far as its properties say."""
    return "instance_uuid" in image.properties


def surplus_backups(images: list[Image], *, instance_uuid: str, backup_type: str, rotation: int) -> list[Image]:
    """Those of a server's backups of one type that are more than ``rotation``: the oldest ones."""
    series = [
        image
        for image in images
        if (found := image.properties).get("image_type") == BACKUP
        and found.get("instance_uuid") == instance_uuid
        and found.get("backup_type") == backup_type
    ]
    series.sort(key=lambda image: (image.created_at, image.id), reverse=True)
    return series[rotation:]
