"""The settings of the image cache, named as Nova's."""

from dataclasses import dataclass
from typing import Final

from kilonova.domain.options import option

_LEAST_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCacheSettings:
    """``[image_cache]``: images that a host keeps because guests' disks stand on them."""

    manager_interval: int = option(
        2400, "Seconds between two looks for images that no guest uses; -1 for never, 0 for every minute.", least=-1
    )
    remove_unused_base_images: bool = option(True, "Whether images that no guest uses are removed.")
    remove_unused_original_minimum_age_seconds: int = option(
        86400, "Seconds for which such an image is kept after it was last asked for.", least=0
    )

    @property
    def period_seconds(self) -> float | None:
        """Between two looks; None where nothing is to be removed."""
        if self.manager_interval < 0 or not self.remove_unused_base_images:
            return None
        return float(self.manager_interval or _LEAST_SECONDS)
