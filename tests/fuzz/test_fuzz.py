"""A short run of the fuzz; ``python -m tests.fuzz`` makes long ones."""

from pathlib import Path

from tests.fuzz.running import fuzz


def test_whatever_is_asked_nothing_breaks_and_no_server_is_stuck(tmp_path: Path) -> None:
    report = fuzz(tmp_path, count=2500, seeds_from=1)
    assert report.findings == []
    assert report.requests == 2500
