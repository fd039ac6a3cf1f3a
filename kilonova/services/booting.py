"""What a server is made of: its image, and the kernel and ramdisk that it names, as far as its project sees them.

It is looked up when it is asked for, on behalf of who asks, and kept with the server: hosts fetch what was seen then.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from kilonova.domain.errors import Invalid
from kilonova.domain.image_properties import read_properties
from kilonova.domain.images import Image, ImageStatus

_PARTS: Final = ("aki", "ari")
_KERNELS: Final = ("aki", "raw")
_RAMDISKS: Final = ("ari", "raw")


class ImageFinder(Protocol):
    """Where images are looked up on behalf of a project."""

    def find_image(self, image_id: str, *, project_id: str | None) -> Image | None:
        """The image if the project may see it, else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootable:
    """An image, and the kernel and ramdisk that go with it."""

    image: Image
    kernel: Image | None = None
    ramdisk: Image | None = None

    @property
    def columns(self) -> Mapping[str, Any]:
        """What an instance keeps of it, by the names of its fields."""
        return {
            "image_ref": self.image.id,
            "image_json": self.facts_json,
            "kernel_id": self.kernel.id if self.kernel is not None else "",
            "ramdisk_id": self.ramdisk.id if self.ramdisk is not None else "",
        }

    @property
    def facts_json(self) -> str:
        """What a host must know to boot it, and what the API shows of it, as of now."""
        image = self.image
        facts = {
            **facts_of(image),
            "name": image.name,
            "container_format": image.container_format,
            "min_disk": image.min_disk,
            "min_ram": image.min_ram,
            "properties": image.properties,
        }
        parts = {"kernel": self.kernel, "ramdisk": self.ramdisk}
        facts |= {key: facts_of(part) for key, part in parts.items() if part is not None}
        return json.dumps(facts, separators=(",", ":"))

    @property
    def memory_mb(self) -> int:
        """MiB that a server needs at least: what its owner says, and room for the kernel and the ramdisk."""
        parts = sum(part.size or 0 for part in (self.kernel, self.ramdisk) if part is not None)
        return max(self.image.min_ram, -(-parts // 2**20))


def find_bootable(images: ImageFinder, image: Image, projects: Sequence[str | None]) -> Bootable:
    """The image with its kernel and ramdisk, each of which one of the projects must see.

    Invalid where the image is a part of a system and not a disk, where it names a kernel that is not there, or not for
    them to see, or cannot be used, and where its properties make no sense.
    """
    if image.disk_format in _PARTS:
        raise Invalid(f"Image {image.id} is a kernel or a ramdisk, and not a disk to boot from.")
    says = read_properties(image.properties)
    if says.kernel_id is None:
        return Bootable(image=image)
    kernel = _part(images, says.kernel_id, projects, _KERNELS)
    ramdisk = None if says.ramdisk_id is None else _part(images, says.ramdisk_id, projects, _RAMDISKS)
    return Bootable(image=image, kernel=kernel, ramdisk=ramdisk)


def _part(images: ImageFinder, image_id: str, projects: Sequence[str | None], formats: Sequence[str]) -> Image:
    found = (images.find_image(image_id, project_id=project_id) for project_id in projects if _is_uuid(image_id))
    part = next((each for each in found if each is not None), None)
    if part is None:
        raise Invalid(f"Image {image_id} could not be found.")
    if part.status is not ImageStatus.ACTIVE:
        raise Invalid(f"Image {image_id} is not active.")
    if part.disk_format not in formats:
        raise Invalid(f"Image {image_id} has the disk format {part.disk_format}; it must be {' or '.join(formats)}.")
    return part


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def facts_of(image: Image) -> dict[str, Any]:
    """What a host must know of an image to fetch it."""
    return {
        "id": image.id,
        "disk_format": image.disk_format,
        "size": image.size or 0,
        "os_hash_value": image.os_hash_value,
    }
