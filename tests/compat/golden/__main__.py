"""The deviations from the golden data, one by one: what is left to do.

python -m tests.compat.golden              prints each of them, with what differs
python -m tests.compat.golden --rewrite    and brings not_yet.txt up to date: strikes off what conforms, adds what
                                           does not under what it answered (give that a better reason)
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from tests.compat.golden import not_yet
from tests.compat.golden.asking import failures
from tests.compat.golden.estate import Estate, NotBuilt
from tests.compat.golden.golden_data import captures, samples
from tests.compat.golden.grounds import Grounds
from tests.compat.golden.outside import unasked_because, uncompared_because
from tests.compat.golden.replaying import departures
from tests.compat.golden.rows import find_row

_MESSAGE = re.compile(r'"message":\s*"(.*?)"}}')


def deviations() -> dict[str, list[str]]:
    """Everything that does not conform, with its differences."""
    found = {}
    with _grounds() as grounds:
        for sample in samples():
            row = find_row(sample)
            if row is not None and not unasked_because(sample):
                found[sample.path] = _found(grounds, partial(failures, sample, row))
    with _grounds() as grounds:
        for capture in captures():
            if not uncompared_because(capture):
                found[capture.title] = _found(grounds, partial(departures, capture))
    return {name: lines for name, lines in found.items() if lines}


def _found(grounds: Grounds, look: Callable[[Estate], list[str]]) -> list[str]:
    try:
        with grounds.lent() as estate:
            return look(estate)
    except NotBuilt as problem:
        return [f"the estate is spoilt: {problem}"]


@contextmanager
def _grounds() -> Iterator[Grounds]:
    with tempfile.TemporaryDirectory() as home, closing(Grounds(Path(home))) as grounds:
        yield grounds


def main(arguments: list[str]) -> int:
    """Print the deviations; the exit status."""
    parser = argparse.ArgumentParser(description="What deviates from the golden data.")
    parser.add_argument("--rewrite", action="store_true", help="bring not_yet.txt up to date")
    wanted = parser.parse_args(arguments)
    found = deviations()
    for name, lines in found.items():
        sys.stdout.write(f"{name}\n" + "".join(f"    {line[:400]}\n" for line in lines))
    sys.stdout.write(f"{len(found)} deviate.\n")
    if wanted.rewrite:
        known = not_yet.reasons()
        kept = {name: known.get(name) or _reason(lines[0]) for name, lines in found.items()}
        not_yet.FILE.write_text(not_yet.text_of(kept), "utf-8")
    return 0


def _reason(line: str) -> str:
    message = _MESSAGE.search(line)
    return message[1] if message else line[:100]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
