"""The log's file stays within its bound, and its owner's alone."""

import logging
from pathlib import Path

from kilonova.cli import logs


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord("kilonova.api", logging.INFO, __file__, 1, text, None, None)


def test_a_log_that_became_too_long_gives_way_to_a_new_one_and_loses_no_line(tmp_path: Path) -> None:
    handler = logs.SizedLog(tmp_path / "kilonova.log")
    handler.maxBytes = 10_000
    lines = [f"line {number:05d}" for number in range(6000)]
    for line in lines:
        handler.handle(_record(line))
    handler.close()
    files = sorted(tmp_path.iterdir(), reverse=True)  # .3, .2, .1, and the newest without a number
    kept = [line for file in files for line in file.read_text().splitlines()]
    assert len(files) == 4
    assert kept == lines[-len(kept) :]
    longest_between_looks = 256 * len("line 00000\n")
    assert all(file.stat().st_size <= 10_000 + longest_between_looks for file in files)
