"""The hint ``query``: a condition on hosts that the caller writes, in the language of Nova's JsonFilter.

``["and", [">=", "$free_ram_mb", 1024], ["in", "$hypervisor_type", "QEMU", "KVM"]]``: a list that begins with an
operator; ``$name`` stands for what the host has. ``=``, ``<``, ``>``, ``<=``, ``>=`` compare the first argument with
each other one, ``in`` looks for it among them; ``and``, ``or`` and ``not`` join. What hosts do not have is null.
"""

import json
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_JOINS: Final[Mapping[str, Callable[[list[Any]], bool]]] = {
    "and": all,
    "or": any,
    "not": lambda arguments: not any(arguments),
    "in": lambda arguments: len(arguments) > 1 and arguments[0] in arguments[1:],
}
_MOST_DEEP: Final = 20


def parsed(text: object) -> list[Any]:
    """The query in a hint's value. ValueError says what is wrong with it."""
    if not isinstance(text, str):
        raise ValueError("it is no text")  # noqa: TRY004 - one error for whatever a query is not
    try:
        query = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(query, list):
        raise ValueError("it is no list")  # noqa: TRY004 - the same
    _check(query, 0)
    return query


def holds(query: list[Any], host: Mapping[str, Any]) -> bool:
    """Whether a query that was parsed is true of a host, given by its variables; an empty one is."""
    return not query or bool(_value(query, host))


def _check(query: list[Any], depth: int) -> None:
    if depth > _MOST_DEEP:
        raise ValueError("it is nested too deeply")
    if not query:
        return
    if query[0] not in (*_COMPARISONS, *_JOINS):
        raise ValueError(f"there is no operator {query[0]!r}")
    for argument in query[1:]:
        if isinstance(argument, list):
            _check(argument, depth + 1)


def _value(query: Any, host: Mapping[str, Any]) -> Any:
    if isinstance(query, str) and query.startswith("$"):
        return host.get(query[1:])
    if not isinstance(query, list) or not query:
        return query
    arguments = [_value(argument, host) for argument in query[1:]]
    if query[0] in _JOINS:
        return _JOINS[query[0]](arguments)
    return _compares(_COMPARISONS[query[0]], arguments)


def _compares(compare: Callable[[Any, Any], bool], arguments: list[Any]) -> bool:
    try:
        return len(arguments) > 1 and all(compare(arguments[0], other) for other in arguments[1:])
    except TypeError:  # a text and a number: neither is more than the other
        return False
