"""What a flavor's extra spec demands of a value that a host or an aggregate has: Nova's small language of operators.

Without an operator the two texts must be equal. ``s==``, ``s<`` and their like compare texts; ``=`` (at least), ``==``,
``!=``, ``<=`` and ``>=`` compare numbers; ``<in>`` looks for one text within the value, ``<all-in>`` for all of them,
``<or>`` for one value among several.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

_TEXTS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
}
_NUMBERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
}
_WORDS: Final[Mapping[str, Callable[[str, list[str]], bool]]] = {
    "<or>": lambda value, rest: value in [word for word in rest if word != "<or>"],
    "<in>": lambda value, rest: rest[0] in value,
    "<all-in>": lambda value, rest: all(word in value for word in rest),
}


def satisfies(value: str, demand: str) -> bool:
    """Whether a value is what the demand wants. A demand that makes no sense is satisfied by nothing."""
    first, *rest = demand.split() or [""]
    if first in _WORDS:
        return bool(rest) and _WORDS[first](value, rest)
    if first in _TEXTS:
        return bool(rest) and _TEXTS[first](value, rest[0])
    if first in _NUMBERS:
        return _compares(_NUMBERS[first], value, rest)
    return value == demand


def _compares(compare: Callable[[Any, Any], bool], value: str, rest: list[str]) -> bool:
    try:
        return compare(float(value), float(rest[0]))
    except (ValueError, IndexError):
        return False
