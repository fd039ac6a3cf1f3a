"""The images that a host keeps."""

import time
from pathlib import Path

from kilonova.drivers.disks.cache import ImageCache


def test_an_image_that_is_being_fetched_is_left_alone_and_may_go_at_any_moment(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    (tmp_path / "whole").touch()
    (tmp_path / "fetched.part").symlink_to(tmp_path / "renamed meanwhile")
    cache.forget_unused(frozenset, idle_seconds=1, now=time.time() + 60)
    assert [path.name for path in tmp_path.iterdir()] == ["fetched.part"]
