"""The embedded images as the control plane and its agents see them: what boots, and what is made of servers."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kilonova.domain.errors import Conflict, Invalid, NotFound
from kilonova.domain.images import Image, ImageQuery, ImageStatus
from kilonova.domain.snapshots import ImageOrder
from kilonova.images.embedded import EmbeddedImages
from kilonova.images.seam import Viewer
from kilonova.images.wishes import READ_ONLY, RESERVED, SETTABLE, Wish

_CHUNK: Final = 1 << 20
_UNFINISHED: Final = (ImageStatus.QUEUED, ImageStatus.SAVING)


@dataclass(frozen=True, slots=True)
class _Member:
    """Anybody of a project, as images see them."""

    project_id: str | None
    roles: frozenset[str] = frozenset({"reader"})
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class _Service:
    """The compute service itself, on behalf of whoever asked it."""

    project_id: str | None = None
    roles: frozenset[str] = frozenset({"admin", "member"})
    is_admin: bool = True


class ImageSource:
    """Is ``services.gallery.Gallery`` and ``services.snapshots.ImageKeeper`` over the embedded images."""

    def __init__(self, images: EmbeddedImages) -> None:
        self._images = images

    def find_image(self, image_id: str, *, project_id: str | None) -> Image | None:
        """The image if somebody of the project may see it."""
        try:
            return self._images.get_image(image_id, _Member(project_id))
        except NotFound:
            return None

    def fetch(self, image_id: str, destination: Path) -> None:
        """See ``EmbeddedImages.fetch``."""
        self._images.fetch(image_id, destination)

    def list_images(self, query: ImageQuery) -> Sequence[Image]:
        """One page of images."""
        return self._images.list_images(query)

    def delete_image(self, image_id: str, viewer: Viewer) -> None:
        """See ``EmbeddedImages.delete_image``."""
        self._images.delete_image(image_id, viewer)

    def set_properties(self, image_id: str, viewer: Viewer, properties: Mapping[str, str | None]) -> Image:
        """Give an image properties, None to take one away."""
        return self._images.update_image(image_id, Wish(properties=properties), viewer)

    def check_order(self, order: ImageOrder) -> None:
        """Invalid where the image service would not take an image with this name and these properties."""
        for key in order.properties:
            if key in READ_ONLY | SETTABLE or key.startswith(RESERVED):
                raise Invalid(f"Invalid image metadata: '{key}' is an attribute of images, not a property of one.")
        _wish(order).merged({})

    def queue_image(self, order: ImageOrder) -> Image:
        """The image of an order, made if it is not there, without data. NotFound where it was deleted since."""
        with suppress(Conflict):  # it is there: made before, by whoever had the order then
            return self._images.create_image(_wish(order), _Service())
        return self._images.get_image(order.image_id, _Service())

    def put(self, image_id: str, source: Path, *, disk_format: str) -> Image:
        """Give an image its data; one that has it keeps it. The image as it then is.

        NotFound where it was deleted, Conflict where it is receiving data, Invalid or TooLarge where the data is not
        taken; it then waits for data again.
        """
        image = self._images.get_image(image_id, _Service())
        if image.status is ImageStatus.ACTIVE:
            return image
        if image.disk_format != disk_format:
            self._images.update_image(image_id, Wish(fields={"disk_format": disk_format}), _Service())
        upload = self._images.begin_upload(image_id, _Service())
        try:
            with source.open("rb") as data:
                while chunk := data.read(_CHUNK):
                    upload.write(chunk)
            return upload.finish()
        except BaseException:
            upload.abort()
            raise

    def discard(self, image_id: str, *, unfinished_only: bool) -> None:
        """Delete an image, or only if it has no data yet; one that is gone is gone."""
        with suppress(NotFound):
            image = self._images.get_image(image_id, _Service())
            if not unfinished_only or image.status in _UNFINISHED:
                self._images.delete_image(image_id, _Service())


def _wish(order: ImageOrder) -> Wish:
    fields = {
        "name": order.name,
        "owner": order.owner,
        "visibility": "private",
        "disk_format": order.disk_format,
        "container_format": "bare",
        "min_disk": order.min_disk,
        "min_ram": order.min_ram,
    }
    return Wish(image_id=order.image_id, fields=fields, properties=order.properties)
