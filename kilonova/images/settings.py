"""The settings of the embedded image service."""

from dataclasses import dataclass

from kilonova.domain.options import option


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """``[image]``."""

    image_size_cap: int = option(
        1 << 40, "Bytes that one image may have at most, as Glance's option of this name.", least=1
    )
