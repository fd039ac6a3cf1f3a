"""Images that wait for data that will never come: those of operations that ended without making them.

Whoever carries such an operation out takes its image away when it fails. Where the operation was ended by somebody else
(its deadline, the deletion of the server, a reset of its state), this finds what is left.
"""

import logging
from collections.abc import Sequence
from typing import Final

from kilonova.domain.errors import KilonovaError
from kilonova.domain.images import Image, ImageQuery, ImageStatus
from kilonova.domain.snapshots import is_of_server
from kilonova.services.gallery import Gallery
from kilonova.services.snapshots import every_image
from kilonova.store import ledger
from kilonova.store.database import Connection, Database

_log = logging.getLogger(__name__)

_WAITING: Final = ImageQuery(
    project_id=None, every_project=True, equals={"status": (ImageStatus.QUEUED.value, ImageStatus.SAVING.value)},
    sort=(("created_at", False),), limit=200,
)  # fmt: skip


class Leftovers:
    """Deletes such images. One that no operation of ours ordered is left alone, whatever its properties say."""

    def __init__(self, database: Database, images: Gallery) -> None:
        self._database = database
        self._images = images

    def step(self) -> bool:
        """Delete what is left over; True if there was anything."""
        waiting = [image for image in every_image(self._images, _WAITING) if is_of_server(image)]
        if not waiting:
            return False
        with self._database.read() as connection:
            abandoned = [image for image in waiting if _is_abandoned(connection, image)]
        return any([self._discarded(image) for image in abandoned])  # noqa: C419 - every one is tried

    def _discarded(self, image: Image) -> bool:
        try:
            self._images.discard(image.id, unfinished_only=True)
        except KilonovaError:
            _log.exception("Image %s waits for data that will not come, and cannot be deleted", image.id)
            return False
        _log.info("Image %s was deleted: what was to make it has ended", image.id)
        return True


def _is_abandoned(connection: Connection, image: Image) -> bool:
    makers: Sequence[bool] = [
        action.is_open
        for action in ledger.list_actions(connection, image.properties["instance_uuid"])
        if (action.parameters.get("new_image") or {}).get("image_id") == image.id
    ]
    return bool(makers) and not any(makers)
