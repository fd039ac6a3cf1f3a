"""Images made of servers, on their host: a copy of the disk, then its upload, and for a backup the rotation.

Any of it may be done again after it was cut off: the image has the id that its order has, and what is there already is
left as it is.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from kilonova.domain.errors import GuestFailure, KilonovaError, NotSupported
from kilonova.domain.faults import FaultCause
from kilonova.domain.images import Image, ImageQuery, ImageStatus
from kilonova.domain.snapshots import ImageOrder, surplus_backups
from kilonova.domain.states import TaskState
from kilonova.drivers.protocol import CanSnapshot, Driver
from kilonova.services.door import Work

_log = logging.getLogger(__name__)

_PAGE: Final = 500
Step = Callable[[TaskState], None]


class ImageKeeper(Protocol):
    """Where an agent gets images from and brings them to."""

    def fetch(self, image_id: str, destination: Path) -> None:
        """Write the image's data to ``destination``; NotFound where there is none."""

    def queue_image(self, order: ImageOrder) -> Image:
        """The image of an order, made if it is not there; NotFound where it was deleted since."""
        ...

    def put(self, image_id: str, source: Path, *, disk_format: str) -> Image:
        """Give it its data; one that has it keeps it. The image as it then is."""
        ...

    def discard(self, image_id: str, *, unfinished_only: bool) -> None:
        """Delete it, or only if it has no data yet; one that is gone is gone."""
        ...

    def list_images(self, query: ImageQuery) -> Sequence[Image]:
        """One page of images."""
        ...


class Snapshots:
    """Makes images of the guests of one driver; ``scratch`` is a directory for disks on their way."""

    def __init__(self, driver: Driver, images: ImageKeeper, scratch: Path) -> None:
        self._driver = driver
        self._images = images
        self._scratch = scratch

    def take(self, work: Work, step: Step) -> None:
        """Make the image of a ``create_image`` or ``create_backup``; a backup of rotation 0 has none."""
        if work.parameters.get("new_image") is not None:
            order = ImageOrder.read(work.parameters["new_image"])
            self.make(order, work.instance.uuid, step, TaskState.IMAGE_PENDING_UPLOAD, TaskState.IMAGE_UPLOADING)
        if "rotation" in work.parameters:
            self._rotate(work)

    def make(self, order: ImageOrder, uuid: str, step: Step, pending: TaskState, uploading: TaskState) -> Image:
        """Copy the guest's disk and upload it; the two task states are told on the way. GuestFailure."""
        if not isinstance(self._driver, CanSnapshot):
            raise NotSupported("The driver of the server's host makes no images.")
        with _image_trouble(order.image_id):
            image = self._images.queue_image(order)
        if image.status is ImageStatus.ACTIVE:
            return image
        self._scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy = self._scratch / order.image_id
        try:
            step(pending)
            disk_format = self._driver.snapshot(uuid, copy)
            step(uploading)
            with _image_trouble(order.image_id):
                return self._images.put(order.image_id, copy, disk_format=disk_format)
        finally:
            copy.unlink(missing_ok=True)

    def abandon(self, work: Work) -> None:
        """Remove the image of an operation that failed, unless it is whole."""
        order = work.parameters.get("new_image")
        if order is not None:
            self._images.discard(order["image_id"], unfinished_only=True)

    def forget(self, image_id: str) -> None:
        """Delete an image that is of no more use; one that cannot be deleted is nobody's trouble here."""
        try:
            self._images.discard(image_id, unfinished_only=False)
        except KilonovaError:
            _log.exception("Image %s is of no more use, and cannot be deleted", image_id)

    def _rotate(self, work: Work) -> None:
        """Delete the oldest backups of this server and type, all but as many as are to stay."""
        owner = work.parameters["owner"]
        own = ImageQuery(project_id=owner, equals={"owner": (owner,)}, limit=_PAGE)
        surplus = surplus_backups(
            list(every_image(self._images, own)),
            instance_uuid=work.instance.uuid,
            backup_type=work.parameters["backup_type"],
            rotation=work.parameters["rotation"],
        )
        for image in surplus:
            with _image_trouble(image.id):
                self._images.discard(image.id, unfinished_only=False)


class _Lists(Protocol):
    def list_images(self, query: ImageQuery) -> Sequence[Image]: ...


def every_image(images: _Lists, query: ImageQuery) -> Iterator[Image]:
    """All images that a query selects, page by page."""
    page = images.list_images(query)
    while page:
        yield from page
        page = images.list_images(replace(query, after=page[-1])) if len(page) == query.limit else ()


@contextmanager
def _image_trouble(image_id: str) -> Iterator[None]:
    """Turns what the image service refuses into a GuestFailure."""
    try:
        yield
    except KilonovaError as error:
        text = f"image {image_id} could not be kept: {error.message}"
        raise GuestFailure(FaultCause.IMAGE_NOT_KEPT, text, detail=error.detail) from error
