"""A real Nova's answers: the same requests have the same status, headers and errors, and bodies of one shape."""

import pytest

from tests.compat.golden import not_yet
from tests.compat.golden.estate import Estate
from tests.compat.golden.golden_data import Capture, captures
from tests.compat.golden.outside import uncompared_because
from tests.compat.golden.replaying import departures

_NOT_YET = not_yet.reasons()
_COMPARED = [capture for capture in captures() if not uncompared_because(capture)]


@pytest.mark.slow
@pytest.mark.parametrize("capture", _COMPARED, ids=lambda capture: capture.title)
def test_a_request_is_answered_as_a_real_nova_answered_it(estate: Estate, capture: Capture) -> None:
    found = departures(capture, estate)
    if capture.title in _NOT_YET:
        assert found, f"{capture.title} conforms now: strike it off not_yet.txt ({_NOT_YET[capture.title]})"
    else:
        assert not found, "\n".join([f"{capture.method} {capture.path} at {capture.version}:", *found])
