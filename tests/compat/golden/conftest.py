"""One estate for all of a module's tests, as long as none spoils it."""

from collections.abc import Iterator

import pytest

from tests.compat.golden.estate import Estate
from tests.compat.golden.grounds import Grounds


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    """Where the estate stands."""
    made = Grounds(tmp_path_factory.mktemp("grounds"))
    yield made
    made.close()


@pytest.fixture
def estate(grounds: Grounds) -> Iterator[Estate]:
    """A house with things in it, swept after the test; a new one after a test that spoiled the last."""
    with grounds.lent() as lent:
        yield lent
