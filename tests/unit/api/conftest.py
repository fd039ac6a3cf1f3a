from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.api.cloud import ApiCloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[ApiCloud]:
    """An API over an empty store."""
    made = ApiCloud(tmp_path)
    yield made
    made.close()
