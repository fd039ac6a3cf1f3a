"""Decisions are numbered once, and say their own number."""

import re
from collections import Counter
from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "docs" / "decisions"


def test_no_two_decisions_have_one_number() -> None:
    numbers = Counter(page.name[:4] for page in _FOLDER.glob("*.md"))
    assert [number for number, count in numbers.items() if count > 1] == []


def test_a_decision_says_its_own_number() -> None:
    wrong = [
        page.name
        for page in _FOLDER.glob("*.md")
        if not re.match(rf"# {int(page.name[:4])}\. ", page.read_text("utf-8"))
    ]
    assert wrong == []
