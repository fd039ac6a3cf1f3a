"""Fixtures of the plane's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plane.house import House, lived_in


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A cloud with one simulated host, on which nothing happens by itself."""
    with lived_in(tmp_path) as made:
        yield made
