"""What is injected is what the console names first: a table of failures, each played on simulated hosts."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.console.explain import Explanation
from kilonova.console.words import retold, translated
from tests.plane.explained import DISABLED_BECAUSE, FAILURES, HOSTS, Failure
from tests.plane.explaining import assert_told, in_time, judge
from tests.plane.house import House, lived_in

_ENGLISH = re.compile(r"\b[a-z]+ [a-z]+\b")
"""Two words of English beside one another: names and ids have no blanks in them."""
_ROOMY = {"cores": -1, "ram": -1, "instances": -1}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A cloud whose hosts stay well, for all failures that leave them so."""
    with lived_in(tmp_path_factory.mktemp("town"), simulate_hosts=HOSTS, quota=_ROOMY) as made:
        yield in_time(made)


@pytest.mark.parametrize("row", FAILURES, ids=lambda row: row.name)
def test_the_injected_cause_is_named_first(row: Failure, town: House, tmp_path: Path) -> None:
    if not row.own_house:
        _assert_chinese(judge(row, row.script(town), town))
        return
    with lived_in(tmp_path, simulate_hosts=HOSTS, quota=_ROOMY) as house:
        _assert_chinese(judge(row, row.script(in_time(house)), house))


def _assert_chinese(found: Explanation) -> None:
    """A Chinese page has the evidence in Chinese; the reason of an administrator stays in the words that it has."""
    told = [line.told(lambda text: translated(text, "zh"), lambda text: retold(text, "zh")) for line in found.evidence]
    assert [line for line in told if _ENGLISH.search(line.replace(DISABLED_BECAUSE, ""))] == []


def test_there_are_enough_of_them() -> None:
    assert len({row.name for row in FAILURES}) == len(FAILURES) >= 25


def test_the_guide_has_all_of_them() -> None:
    assert_told(FAILURES, "What was injected, and what is said")
