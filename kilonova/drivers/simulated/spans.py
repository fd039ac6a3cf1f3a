"""Spans of time as people write them: ``30``, ``30s``, ``500ms``, ``2m``, ``1h``."""

import re
from typing import Final

_SPAN: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|)\s*")
_SECONDS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOST_SECONDS: Final = 7 * 24 * 3600


def seconds_of(text: str) -> float:
    """The seconds of a span, at most a week. ValueError for what is none."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no span of time such as 30s, 500ms or 2m")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > _MOST_SECONDS:
        raise ValueError(f"{text!r} is more than a week")
    return seconds
