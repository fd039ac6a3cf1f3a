"""Images that nobody has any use for: of operations that ended without making them, and of servers that were shelved.

Whoever carries an operation out takes its image away when it fails, and a shelved server's when it is of no more use.
Where the operation was ended by somebody else (its deadline, the deletion of the server, a reset of its state), or a
process died in between, this finds what is left.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from kilonova.domain.errors import KilonovaError
from kilonova.domain.images import Image, ImageQuery, ImageStatus
from kilonova.domain.model import InstanceAction
from kilonova.domain.snapshots import is_of_server
from kilonova.domain.workflow import Course
from kilonova.services.gallery import Gallery
from kilonova.services.snapshots import every_image
from kilonova.store import due, ledger
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


_PAGE: Final = 200


class Shelf:
    """Deletes what servers were shelved as that are deleted, or came back from the shelf."""

    def __init__(self, database: Database, images: Gallery) -> None:
        self._database = database
        self._images = images

    def step(self) -> bool:
        """Delete one page of such images; True if there may be more."""
        with self._database.read() as connection:
            forgotten = due.list_forgotten_images(connection, limit=_PAGE)
        done = [self._discarded(shelving) for shelving in forgotten]
        return len(forgotten) == _PAGE and all(done)

    def _discarded(self, shelving: InstanceAction) -> bool:
        course = Course.read(shelving.course_json)
        image_id = course.handed["shelved"]["id"]
        try:
            self._images.discard(image_id, unfinished_only=False)
        except KilonovaError:
            _log.exception("Image %s of a server that was shelved is of no more use, and cannot be deleted", image_id)
            return False
        handed = {name: value for name, value in course.handed.items() if name != "shelved"}
        with self._database.transaction() as tx:
            ledger.amend_course(tx.connection, shelving.id, replace(course, handed=handed))
        return True
