"""The seams of images: what the rest of Kilonova asks of them, and what the embedded service asks of others."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from kilonova.domain.images import Image, ImageMember, ImageQuery


class Viewer(Protocol):
    """Who asks: as much of the caller as images need to know."""

    @property
    def project_id(self) -> str | None:
        """On behalf of which project; None for an unscoped token."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """The roles on it, implied ones included."""
        ...

    @property
    def is_admin(self) -> bool:
        """Whether every project's images are theirs to see and change."""
        ...


class Authenticates(Protocol):
    """Turns a token into who asks."""

    def authenticate(self, token: str) -> Viewer:
        """The one who holds ``token``. Unauthenticated where it is unknown, expired or revoked."""
        ...


class Images(Protocol):
    """What boots, for those who boot it: records for the API, data for the drivers."""

    def get_image(self, image_id: str, viewer: Viewer) -> Image:
        """The image of this id. NotFound where there is none that the viewer may see."""
        ...

    def list_images(self, query: ImageQuery) -> Sequence[Image]:
        """One page of images."""
        ...

    def open(self, image_id: str) -> BinaryIO:
        """The data, to be read and closed. NotFound where the image is not active."""
        ...

    def fetch(self, image_id: str, destination: Path) -> None:
        """Put the data at a path that does not exist yet, whole or not at all. NotFound as with ``open``.

        What lies there afterwards must not be written to: it may be the very file that the service keeps.
        """
        ...


class ImageRecords(Protocol):
    """Image records, kept. Each call is one transaction of its own."""

    def find_image(self, image_id: str) -> Image | None:
        """The image of this id, deleted ones included."""
        ...

    def list_images(self, query: ImageQuery) -> Sequence[Image]:
        """One page of the images that are not deleted."""
        ...

    def list_unfinished_images(self) -> Sequence[Image]:
        """Those whose upload has begun and not ended."""
        ...

    def list_image_ids_with_data(self) -> Sequence[str]:
        """The ids of all images that have data, be they kept from use or not."""
        ...

    def add_image(self, image: Image) -> None:
        """Keep a new image. Conflict where the id is taken."""
        ...

    def update_image(self, before: Image, after: Image) -> bool:
        """Write ``after`` if the record is still ``before`` (by status and ``updated_at``); False where it is not."""
        ...

    def list_members(self, image_id: str) -> Sequence[ImageMember]:
        """The projects with which an image is shared."""
        ...

    def find_member(self, image_id: str, member_id: str) -> ImageMember | None:
        """One of them."""
        ...

    def add_member(self, member: ImageMember) -> None:
        """Share an image with a project. Conflict where it is shared with it, or gone."""
        ...

    def update_member(self, member: ImageMember) -> bool:
        """Write the record of this image and project; False where there is none."""
        ...

    def delete_member(self, image_id: str, member_id: str) -> bool:
        """Share it with the project no more; False where it was not."""
        ...
