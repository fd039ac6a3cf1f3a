"""A short storm: the long one is a command, and its figures are in the guide on reliability."""

from pathlib import Path

import pytest

from tests.chaos.storm import Weather, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("seed", [1])
def test_a_storm_leaves_nothing_stuck_lost_leaked_or_unexplained(seed: int, tmp_path: Path) -> None:
    log, findings = run(Weather(seed=seed, operations=120, servers=15, hosts=3, kill_every=40), tmp_path)
    assert findings == []
    assert log.accepted.total() >= 120
    assert log.kills >= 2
