"""What the control plane needs of an image service, embedded or real: the seam."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from kilonova.domain.images import Image, ImageQuery
from kilonova.identity.caller import Caller
from kilonova.services.preparing import ImageTaker


class Gallery(ImageTaker, Protocol):
    """Images, for those who boot them and for Nova's old proxy of them (contract §11.8)."""

    def list_images(self, query: ImageQuery) -> Sequence[Image]:
        """One page of images."""
        ...

    def delete_image(self, image_id: str, viewer: Caller) -> None:
        """Delete an image. NotFound where the viewer sees none, Forbidden where it is not theirs."""
        ...

    def set_properties(self, image_id: str, viewer: Caller, properties: Mapping[str, str | None]) -> Image:
        """Give an image properties, None to take one away. Raises as ``delete_image`` does."""
        ...
