"""An upload on its way: data in, judged early, and at the end either an active image or no trace."""

from dataclasses import replace
from typing import Any

from kilonova.domain.errors import Conflict, Invalid, TooLarge
from kilonova.domain.images import Image, ImageStatus
from kilonova.domain.model import Clock, Instant
from kilonova.images.files import HASH, ImageFiles
from kilonova.images.formats import HEAD_BYTES, check_head, check_whole, virtual_size
from kilonova.images.seam import ImageRecords


class Upload:
    """Blocking: for one thread at a time. Whoever begins one must end it with ``finish`` or ``abort``."""

    def __init__(
        self, image: Image, *, records: ImageRecords, files: ImageFiles, clock: Clock, most_bytes: int | None
    ) -> None:
        self._image = image
        self._records = records
        self._files = files
        self._clock = clock
        self._most_bytes = most_bytes
        self._head = bytearray()
        self._judged = False
        self._part = files.begin(image.id)

    def write(self, data: bytes | bytearray) -> None:
        """Take the next bytes, of any length.

        Invalid as soon as they show that the image is not what it claims to be; TooLarge past the limit, or where
        the disk is full.
        """
        if self._most_bytes is not None and self._part.size + len(data) > self._most_bytes:
            raise TooLarge(f"An image may have at most {self._most_bytes} bytes here.")
        if not self._judged:
            self._head += data[: HEAD_BYTES - len(self._head)]
            if len(self._head) == HEAD_BYTES:
                self._judge()
        self._part.write(data)

    def finish(self) -> Image:
        """The image, active, with its data safe on the disk. Conflict where it was deleted meanwhile."""
        if self._part.size == 0:
            raise Invalid(f"image {label(self._image)} got no data")
        if not self._judged:
            self._judge()
        head, size, form = bytes(self._head), self._part.size, self._image.disk_format or ""
        check_whole(label(self._image), form, head, size)
        self._part.finish()
        active = self._settle(
            status=ImageStatus.ACTIVE,
            size=size,
            virtual_size=virtual_size(form, head, size),
            checksum=self._part.checksum,
            os_hash_algo=HASH,
            os_hash_value=self._part.hash_value,
        )
        if active is None:
            self._files.remove(self._image.id)
            raise Conflict(f"Image {self._image.id} was deleted while its data arrived.")
        return active

    def abort(self) -> None:
        """Back to an image that waits for data; harmless after ``finish``.

        A ``finish`` that failed may have named the file already. It goes before the image waits for data again,
        since from then on a file of this name may be another upload's.
        """
        self._part.abort()
        image = self._records.find_image(self._image.id)
        if image is not None and image.status == ImageStatus.SAVING:
            self._files.remove(image.id)
            self._settle(status=ImageStatus.QUEUED)

    def _settle(self, **fields: Any) -> Image | None:
        """End the state of saving, whatever else of the image was changed since; None where it is not saving."""
        while True:
            image = self._records.find_image(self._image.id)
            if image is None or image.status != ImageStatus.SAVING:
                return None
            settled = replace(image, updated_at=later(image, self._clock), **fields)
            if self._records.update_image(image, settled):
                return settled

    def _judge(self) -> None:
        check_head(label(self._image), self._image.disk_format or "", bytes(self._head))
        self._judged = True


def label(image: Image) -> str:
    """What to call an image in a sentence: its name, or where it has none, its id."""
    return image.name or image.id


def later(image: Image, clock: Clock) -> Instant:
    """Now, and in any case after the image's last change: two changes never have the same instant."""
    return max(clock(), Instant(image.updated_at + 1))
