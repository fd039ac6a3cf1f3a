"""The embedded image service: whose images are whose, and how they come and go."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final
from uuid import NAMESPACE_URL, uuid4, uuid5

from kilonova.domain.errors import Conflict, Forbidden, Invalid, NotFound
from kilonova.domain.images import Image, ImageQuery, ImageStatus
from kilonova.domain.model import Clock
from kilonova.images.files import ImageFiles
from kilonova.images.formats import matched_formats
from kilonova.images.seam import ImageRecords, Viewer
from kilonova.images.sharing import Sharing
from kilonova.images.upload import Upload, label, later
from kilonova.images.wishes import Wish, tags_json

_LOG: Final = logging.getLogger(__name__)
_ALL: Final = 1000


class EmbeddedImages:
    """Is the seam's ``Images``. Blocking and safe to share between threads.

    ``directory`` keeps the data; ``most_bytes`` bounds one image, None does not. ``sharing`` is with single projects.
    """

    def __init__(self, records: ImageRecords, directory: Path, *, clock: Clock, most_bytes: int | None = None) -> None:
        self._records = records
        self._files = ImageFiles(directory)
        self._clock = clock
        self.most_bytes = most_bytes
        self.sharing = Sharing(records, clock=clock, get_image=self.get_image, get_changeable=self.changeable)

    def get_image(self, image_id: str, viewer: Viewer) -> Image:
        """The image of this id. NotFound where there is none that the viewer may see."""
        image = self._records.find_image(image_id)
        if image is None or image.deleted_at is not None or not self._may_see(viewer, image):
            raise NotFound(f"No image found with ID {image_id}")
        return image

    def list_images(self, query: ImageQuery) -> Sequence[Image]:
        """One page of images."""
        return self._records.list_images(query)

    def create_image(self, wish: Wish, viewer: Viewer) -> Image:
        """A new image that waits for its data. Forbidden without the role member, or to publicize as no admin."""
        _must_be_member(viewer, "add_image")
        fields = dict(wish.fields)
        owner = fields.pop("owner", None) or viewer.project_id
        _must_own(viewer, owner, "create images for other projects")
        _refuse_publicity(viewer, fields)
        disk_format, container_format = matched_formats(
            fields.pop("disk_format", None), fields.pop("container_format", None)
        )
        now = self._clock()
        visibility = fields.pop("visibility", "shared")
        image = Image(
            id=wish.image_id or str(uuid4()),
            name=fields.pop("name", None),
            status=ImageStatus.QUEUED,
            visibility=visibility,
            owner=owner,
            disk_format=disk_format,
            container_format=container_format,
            properties_json=wish.merged({}),
            created_at=now,
            updated_at=now,
        )
        image = replace(image, **fields)
        self._records.add_image(image)
        return image

    def update_image(self, image_id: str, wish: Wish, viewer: Viewer) -> Image:
        """Change an image. Forbidden for who does not own it; Conflict where somebody else was faster."""
        image = self.changeable(image_id, viewer, "modify_image")
        _refuse_publicity(viewer, wish.fields)
        if wish.fields.get("owner", image.owner) != image.owner and not viewer.is_admin:
            raise Forbidden("Only an administrator may give an image to another project.")
        changed = replace(image, **wish.fields, properties_json=wish.merged(image.properties))
        disk_format, container_format = matched_formats(changed.disk_format, changed.container_format)
        return self._save(image, replace(changed, disk_format=disk_format, container_format=container_format))

    def add_tag(self, image_id: str, tag: str, viewer: Viewer) -> None:
        """Put a tag on an image; one that is there stays there."""
        image = self.changeable(image_id, viewer, "modify_image")
        if tag not in image.tags:
            self._save(image, replace(image, tags_json=tags_json([*image.tags, tag])))

    def remove_tag(self, image_id: str, tag: str, viewer: Viewer) -> None:
        """Take a tag off. NotFound where it is not there."""
        image = self.changeable(image_id, viewer, "modify_image")
        if tag not in image.tags:
            raise NotFound(f"Image {image_id} has no tag {tag}.")
        self._save(image, replace(image, tags_json=json.dumps([kept for kept in image.tags if kept != tag])))

    def delete_image(self, image_id: str, viewer: Viewer) -> None:
        """Delete it with its data. Forbidden where it is protected; servers that booted from it go on."""
        image = self.changeable(image_id, viewer, "delete_image")
        if image.protected:
            raise Forbidden(f"Image {image_id} is protected and cannot be deleted.")
        self._save(image, replace(image, status=ImageStatus.DELETED, deleted_at=later(image, self._clock)))
        self._files.remove(image_id)

    def set_usable(self, image_id: str, viewer: Viewer, *, usable: bool) -> None:
        """Keep an image with data from use, or let it be used again; what it is already, it stays.

        Forbidden for one without data. Servers that run from it go on.
        """
        rule, wanted = ("reactivate", ImageStatus.ACTIVE) if usable else ("deactivate", ImageStatus.DEACTIVATED)
        image = self.changeable(image_id, viewer, rule)
        if image.status not in (ImageStatus.ACTIVE, ImageStatus.DEACTIVATED):
            raise Forbidden(f"Not allowed to {rule} image in status '{image.status}'")
        if image.status != wanted:
            self._save(image, replace(image, status=wanted))

    def begin_upload(self, image_id: str, viewer: Viewer) -> Upload:
        """Open an image for its data. Conflict where it has data or is receiving it; Invalid without formats."""
        image = self.changeable(image_id, viewer, "upload_image")
        if image.status != ImageStatus.QUEUED:
            raise Conflict(f"Image status transition from {image.status} to saving is not allowed")
        return self._begin(image)

    def open(self, image_id: str) -> BinaryIO:
        """The data, to be read and closed. NotFound where the image is not active."""
        self._active(image_id)
        return self._files.open(image_id)

    def fetch(self, image_id: str, destination: Path) -> None:
        """Put the data at a path that does not exist yet, whole or not at all; not to be written to."""
        self._active(image_id)
        self._files.fetch(image_id, destination)

    def path(self, image: Image, viewer: Viewer) -> Path | None:
        """Where the data of an image is, None where it has none yet. Forbidden where it is kept from use."""
        if image.status == ImageStatus.DEACTIVATED and not viewer.is_admin:
            raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
        has_data = image.status in (ImageStatus.ACTIVE, ImageStatus.DEACTIVATED)
        return self._files.path(image.id) if has_data else None

    def recover(self) -> None:
        """Repair what a crash left: uploads that never ended wait for data again, files of no image go.

        To be called before any request is served, by the one process that has the directory.
        """
        for image in self._records.list_unfinished_images():
            self._save(image, replace(image, status=ImageStatus.QUEUED))
            _LOG.warning("an upload was interrupted; the image waits for its data again", extra={"image": image.id})
        filled = set(self._records.list_image_ids_with_data())
        for name in self._files.sweep(filled):
            _LOG.warning("removed a file that belongs to no image", extra={"file": name})
        for image_id in sorted(filled):
            if not self._files.path(image_id).exists():
                _LOG.error("the data of an active image is gone; delete and upload it anew", extra={"image": image_id})

    def ensure_image(self, offer: "OfferedImage") -> Image | None:
        """Register an image that the cloud brings along, public; None where an administrator has deleted it.

        Idempotent by the offer's name: once it is there it is left alone, whatever became of it.
        """
        image_id = str(uuid5(NAMESPACE_URL, f"kilonova:image:{offer.name}"))
        image = self._records.find_image(image_id)
        if image is None:
            image = self._offered(image_id, offer)
            self._records.add_image(image)
        if image.deleted_at is not None:
            return None
        return self._fill(image, offer.data) if image.status == ImageStatus.QUEUED else image

    def _offered(self, image_id: str, offer: "OfferedImage") -> Image:
        now = self._clock()
        return Image(
            id=image_id,
            name=offer.name,
            status=ImageStatus.QUEUED,
            visibility="public",
            owner=offer.owner,
            disk_format=offer.disk_format,
            container_format="bare",
            min_disk=offer.min_disk,
            min_ram=offer.min_ram,
            properties_json=json.dumps(dict(sorted(offer.properties.items()))),
            created_at=now,
            updated_at=now,
        )

    def _fill(self, image: Image, data: bytes) -> Image:
        upload = self._begin(image)
        try:
            upload.write(data)
            return upload.finish()
        except BaseException:
            upload.abort()
            raise

    def _begin(self, image: Image) -> Upload:
        if image.disk_format is None or image.container_format is None:
            raise Invalid("disk_format and container_format must be set before data is uploaded")
        saving = self._save(image, replace(image, status=ImageStatus.SAVING))
        try:
            return Upload(
                saving, records=self._records, files=self._files, clock=self._clock, most_bytes=self.most_bytes
            )
        except BaseException:
            self._save(saving, replace(saving, status=ImageStatus.QUEUED))
            raise

    def _may_see(self, viewer: Viewer, image: Image) -> bool:
        if viewer.is_admin or image.visibility in ("public", "community"):
            return True
        if viewer.project_id is None:
            return False
        if image.owner == viewer.project_id:
            return True
        return image.visibility == "shared" and self._records.find_member(image.id, viewer.project_id) is not None

    def _active(self, image_id: str) -> Image:
        image = self._records.find_image(image_id)
        if image is None or image.status != ImageStatus.ACTIVE:
            raise NotFound(f"Image {image_id} could not be found, or has no data.")
        return image

    def changeable(self, image_id: str, viewer: Viewer, rule: str) -> Image:
        """The image if it is the viewer's to change: NotFound, or Forbidden by Glance's ``rule``, where it is not."""
        image = self.get_image(image_id, viewer)
        _must_be_member(viewer, rule)
        _must_own(viewer, image.owner, f"change image {label(image)}, which belongs to another project")
        return image

    def _save(self, before: Image, after: Image) -> Image:
        after = replace(after, updated_at=later(before, self._clock))
        if not self._records.update_image(before, after):
            raise Conflict(f"Image {before.id} was changed by somebody else at the same time; try again.")
        return after


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedImage:
    """An image that the cloud brings along. ``owner`` is the project that may change it, besides administrators."""

    name: str
    data: bytes
    disk_format: str = "raw"
    owner: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    properties: Mapping[str, str]


def _must_be_member(viewer: Viewer, rule: str) -> None:
    if not viewer.is_admin and "member" not in viewer.roles:
        raise Forbidden(f"You are not authorized to complete {rule} action.")


def _must_own(viewer: Viewer, owner: str | None, what: str) -> None:
    if not viewer.is_admin and (owner is None or owner != viewer.project_id):
        raise Forbidden(f"You may not {what}.")


def _refuse_publicity(viewer: Viewer, fields: Mapping[str, object]) -> None:
    if fields.get("visibility") == "public" and not viewer.is_admin:
        raise Forbidden("You are not authorized to complete publicize_image action.")
