"""Whatever is killed, whoever listens has every message, none that is made up, and each server's in order."""

from pathlib import Path

import pytest

from tests.chaos.feed_storm import storm


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_storm_loses_makes_up_and_disorders_nothing(tmp_path: Path) -> None:
    outcome = storm(tmp_path, changes=400, seed=7)
    outcome.check()
    assert outcome.rows >= 400
    assert len(outcome.expected) >= outcome.rows
    assert outcome.kills, "nothing was killed: was there a storm?"
