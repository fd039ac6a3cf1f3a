"""What is injected is what the console names first: a table of failures, each played on simulated hosts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plane.explained import FAILURES, HOSTS, Failure
from tests.plane.explaining import assert_told, in_time, judge
from tests.plane.house import House, lived_in

_ROOMY = {"cores": -1, "ram": -1, "instances": -1}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A cloud whose hosts stay well, for all failures that leave them so."""
    with lived_in(tmp_path_factory.mktemp("town"), simulate_hosts=HOSTS, quota=_ROOMY) as made:
        yield in_time(made)


@pytest.mark.parametrize("row", FAILURES, ids=lambda row: row.name)
def test_the_injected_cause_is_named_first(row: Failure, town: House, tmp_path: Path) -> None:
    if not row.own_house:
        judge(row, row.script(town), town)
        return
    with lived_in(tmp_path, simulate_hosts=HOSTS, quota=_ROOMY) as house:
        judge(row, row.script(in_time(house)), house)


def test_there_are_enough_of_them() -> None:
    assert len({row.name for row in FAILURES}) == len(FAILURES) >= 25


def test_the_guide_has_all_of_them() -> None:
    assert_told(FAILURES, "What was injected, and what is said")
