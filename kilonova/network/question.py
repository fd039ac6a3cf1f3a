"""The query string of a list, applied to views: filters, order, page and choice of fields as in Neutron."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kilonova.domain.errors import Invalid

View = dict[str, Any]

_PAGING: Final = frozenset({"limit", "marker", "sort_key", "sort_dir", "fields", "page_reverse"})


def answered(views: Sequence[View], query: Sequence[tuple[str, str]]) -> list[View]:
    """What a list with these (decoded) parameters shows.

    A filter that is given several times asks for any of its values, and one on what a view does not have is not
    looked at. Invalid for a limit, an order or a marker that makes no sense.
    """
    filters: dict[str, list[str]] = {}
    for key, value in query:
        filters.setdefault(key, []).append(value)
    chosen = [view for view in views if all(_passes(view, key, values) for key, values in filters.items())]
    page = _page(_sorted(chosen, filters), filters)
    return [only(view, filters.get("fields", [])) for view in page]


def only(view: View, fields: Sequence[str]) -> View:
    """The view with the fields that were asked for; with all, where none was."""
    return {key: value for key, value in view.items() if key in fields} if fields else view


def _passes(view: View, key: str, values: Sequence[str]) -> bool:
    if key in _PAGING or key not in view:
        return True
    have = view[key]
    if key == "fixed_ips":
        return any(_has_address(have, value) for value in values)
    if isinstance(have, list):
        return all(word in have for value in values for word in value.split(","))
    return any(_equals(have, value) for value in values)


def _equals(have: Any, text: str) -> bool:
    if isinstance(have, bool):
        return have is (text.lower() in ("true", "1"))
    return text == ("" if have is None else str(have))


def _has_address(fixed_ips: Sequence[Mapping[str, str]], text: str) -> bool:
    key, _, value = text.partition("=")
    part = "ip_address" if key == "ip_address_substr" else key
    if key == "ip_address_substr":
        return any(value in fixed[part] for fixed in fixed_ips)
    return any(fixed.get(part) == value for fixed in fixed_ips)


def _sorted(views: list[View], filters: Mapping[str, Sequence[str]]) -> list[View]:
    keys, directions = filters.get("sort_key", []), filters.get("sort_dir", [])
    if directions and len(directions) != len(keys):
        raise Invalid("The number of sort_keys and sort_dirs must be same")
    pairs = list(zip(keys, directions or ["asc"] * len(keys), strict=True))
    for key, direction in reversed(pairs):
        if direction not in ("asc", "desc"):
            raise Invalid(f"Invalid input for operation: '{direction}' is not a direction to sort in")
        views = sorted(views, key=lambda view: str(view.get(key)), reverse=direction == "desc")
    return views


def _page(views: list[View], filters: Mapping[str, Sequence[str]]) -> list[View]:
    limit, marker = filters.get("limit", [""])[-1], filters.get("marker", [""])[-1]
    if limit and not (limit.isascii() and limit.isdigit() and len(limit) < 10):
        raise Invalid(f"Bad limit value: '{limit}' is not a whole number")
    if marker:
        places = [place for place, view in enumerate(views) if view.get("id") == marker]
        if not places:
            raise Invalid(f"The resource could not be found: marker {marker}")
        views = views[places[0] + 1 :]
    return views[: int(limit)] if limit and int(limit) else views
