"""How lists of accounts are narrowed: the filters of Keystone v3, applied to what is shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

View = dict[str, Any]

_INEXACT: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": lambda have, part: part in have,
    "startswith": lambda have, part: have.startswith(part),
    "endswith": lambda have, part: have.endswith(part),
}
_TAGS: Final[Mapping[str, Callable[[set[str], set[str]], bool]]] = {
    "tags": lambda have, asked: asked <= have,
    "tags-any": lambda have, asked: bool(asked & have),
    "not-tags": lambda have, asked: not asked <= have,
    "not-tags-any": lambda have, asked: not asked & have,
}


def narrowed(views: Sequence[View], query: Mapping[str, str]) -> list[View]:
    """Those that pass every filter; one on what a view does not have lets all pass, as in Keystone."""
    return [view for view in views if all(_passes(view, key, value) for key, value in query.items())]


def _passes(view: View, key: str, text: str) -> bool:
    if key in _TAGS:
        return _TAGS[key](set(view.get("tags", [])), {tag for tag in text.split(",") if tag})
    name, _, operator = key.partition("__")
    if name not in view or isinstance(view[name], dict | list):
        return True
    have = view[name]
    if isinstance(have, bool):
        return have is (text.lower() not in ("false", "0", "no", "off"))
    if not operator:
        return text == ("" if have is None else str(have))
    return _resembles(operator, str(have or ""), text)


def _resembles(operator: str, have: str, text: str) -> bool:
    if operator in _INEXACT:
        return _INEXACT[operator](have, text)
    if operator.startswith("i") and operator[1:] in _INEXACT:
        return _INEXACT[operator[1:]](have.casefold(), text.casefold())
    return True
