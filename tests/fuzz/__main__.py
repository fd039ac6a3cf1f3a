"""``python -m tests.fuzz --requests 100000 --seed 1``: ask a cloud anything, and say what it made of it."""

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.running import fuzz


def main() -> int:
    """Run, print the figures and the findings; 1 where there are any."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--requests", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("tests.fuzz").setLevel(logging.INFO)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = fuzz(Path(folder), count=asked.requests, seeds_from=asked.seed * 1_000_000)
    told = [
        f"{report.requests} requests in {time.monotonic() - began:.0f} s, seed {asked.seed}",
        ", ".join(f"{status}: {count}" for status, count in sorted(report.statuses.items())),
        *(f"\n{count} × {finding}" for finding, count in Counter(report.findings).most_common()),
        f"{len(report.findings)} findings",
    ]
    sys.stdout.write("\n".join(told) + "\n")
    return bool(report.findings)


sys.exit(main())
