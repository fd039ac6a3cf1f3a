"""One estate for all of a module's tests."""

from collections.abc import Iterator

import pytest

from tests.compat.golden.estate import Estate, settled_in


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """A house with things in it."""
    with settled_in(tmp_path_factory.mktemp("estate")) as settled:
        yield settled
