"""Nova's API samples: what is documented as an answer has the same shape here, and what is sent is accepted.

Where Kilonova does not have something, the answer is the clear no that ``outside.py`` names.
"""

from fnmatch import fnmatchcase

import pytest

from tests.compat.golden import not_yet
from tests.compat.golden.asking import failures
from tests.compat.golden.estate import Estate
from tests.compat.golden.golden_data import Sample, captures, samples
from tests.compat.golden.outside import FAILING, MORE, REFUSED, UNASKED, UNCOMPARED, unasked_because
from tests.compat.golden.rows import KINDS, find_row

_NOT_YET = not_yet.reasons()
_ASKED = [sample for sample in samples() if not unasked_because(sample)]


def _path(sample: Sample) -> str:
    return sample.path


@pytest.mark.slow
@pytest.mark.parametrize("sample", _ASKED, ids=_path)
def test_a_sample_is_answered_as_nova_answers_it(estate: Estate, sample: Sample) -> None:
    row = find_row(sample)
    assert row is not None, f"no row says how {sample.kind} is asked for"
    found = failures(sample, row, estate)
    if sample.path in _NOT_YET:
        assert found, f"{sample.path} conforms now: strike it off not_yet.txt ({_NOT_YET[sample.path]})"
    else:
        assert not found, "\n".join([f"{row.method} {row.path} at {row.version or sample.version}:", *found])


def test_no_sample_is_forgotten_and_no_row_is_idle() -> None:
    kinds = {sample.kind for sample in samples()}
    forgotten = [sample.path for sample in samples() if not find_row(sample) and not unasked_because(sample)]
    assert not forgotten, "say in rows.py how these are asked for, or in outside.py why they are not"
    assert not KINDS - kinds, "these rows have no sample"


def test_the_lists_of_exceptions_name_what_is_there() -> None:
    paths = {sample.path for sample in samples()}
    titles = {capture.title for capture in captures()}
    assert not [
        pattern for pattern in (*UNASKED, *REFUSED, *FAILING) if not any(fnmatchcase(path, pattern) for path in paths)
    ]
    assert not UNCOMPARED.keys() - titles
    assert not [pattern for pattern in MORE if not any(fnmatchcase(title, pattern) for title in titles)]
    assert not _NOT_YET.keys() - paths - titles
    assert not [sample.path for sample in samples() if sample.path in _NOT_YET and sample not in _ASKED]
