"""Sharing an image with single projects: its owner offers, and they accept or reject."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from kilonova.domain.errors import Forbidden, NotFound, TooLarge
from kilonova.domain.images import Image, ImageMember
from kilonova.domain.model import Clock
from kilonova.images.seam import ImageRecords, Viewer

_MOST_MEMBERS: Final = 128
"""Glance's ``image_member_quota``."""


class Sharing:
    """``get_image`` and ``get_changeable`` find an image that the viewer may see, or change by Glance's rule."""

    def __init__(
        self,
        records: ImageRecords,
        *,
        clock: Clock,
        get_image: Callable[[str, Viewer], Image],
        get_changeable: Callable[[str, Viewer, str], Image],
    ) -> None:
        self._records = records
        self._clock = clock
        self._get_image = get_image
        self._get_changeable = get_changeable

    def list_members(self, image_id: str, viewer: Viewer) -> Sequence[ImageMember]:
        """To the owner, all with whom it is shared; to one of those, itself. Forbidden unless the image is shared."""
        image = self._shared(self._get_image(image_id, viewer))
        members = self._records.list_members(image.id)
        if viewer.is_admin or image.owner == viewer.project_id:
            return members
        return [member for member in members if member.member_id == viewer.project_id]

    def get_member(self, image_id: str, member_id: str, viewer: Viewer) -> ImageMember:
        """One of them. NotFound where it is none that the viewer may see."""
        for member in self.list_members(image_id, viewer):
            if member.member_id == member_id:
                return member
        raise _unknown(image_id, member_id)

    def add_member(self, image_id: str, member_id: str, viewer: Viewer) -> ImageMember:
        """Offer an image to a project. Forbidden for who does not own it, Conflict where it was offered before."""
        image = self._shared(self._get_changeable(image_id, viewer, "add_member"))
        if len(self._records.list_members(image.id)) >= _MOST_MEMBERS:
            raise TooLarge(f"The limit has been exceeded on the number of allowed image members: {_MOST_MEMBERS}.")
        now = self._clock()
        member = ImageMember(image_id=image.id, member_id=member_id, status="pending", created_at=now, updated_at=now)
        self._records.add_member(member)
        return member

    def update_member(self, image_id: str, member_id: str, status: str, viewer: Viewer) -> ImageMember:
        """Say what the viewer's project thinks of the offer. Forbidden for anybody else, the owner too."""
        member = self.get_member(image_id, member_id, viewer)
        if not viewer.is_admin and ("member" not in viewer.roles or viewer.project_id != member_id):
            raise Forbidden("You are not authorized to complete modify_member action.")
        changed = replace(member, status=status, updated_at=self._clock())
        if not self._records.update_member(changed):
            raise _unknown(image_id, member_id)
        return changed

    def remove_member(self, image_id: str, member_id: str, viewer: Viewer) -> None:
        """Take an offer back. Forbidden for who does not own the image, NotFound where there was none."""
        image = self._shared(self._get_changeable(image_id, viewer, "delete_member"))
        if not self._records.delete_member(image.id, member_id):
            raise _unknown(image_id, member_id)

    def _shared(self, image: Image) -> Image:
        if image.visibility != "shared":
            raise Forbidden("Only shared images have members.")
        return image


def _unknown(image_id: str, member_id: str) -> NotFound:
    return NotFound(f"{member_id} not found in the member list of the image {image_id}.")
