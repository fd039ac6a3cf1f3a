"""Pages: how long one is, where it starts, and whether another one follows (contract §0.7)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kilonova.api.call import Call, Page
from kilonova.domain.errors import Invalid

R = TypeVar("R")


def page_limit(call: Call) -> int:
    """How many records the caller gets: what they asked for, never more than ``[api] max_limit``."""
    most = call.plane.settings.max_limit
    asked = call.first("limit")
    return most if asked is None else min(int(asked), most)


def page_of(records: Sequence[Any], limit: int, *, id_of: Callable[[Any], str], view: Any = None) -> Page:
    """A page with a link behind it if it is full, even where nothing follows: that is the contract."""
    is_full = 0 < limit == len(records)
    return Page(records=records, marker=id_of(records[-1]) if is_full else None, view=view)


def cut(
    call: Call,
    records: Sequence[R],
    *,
    id_of: Callable[[R], str],
    missing: str = "marker [{marker}] not found",
    view: Any = None,
) -> Page:
    """A page out of records that are all at hand. Invalid, with the text ``missing``, for an unknown marker."""
    start = 0
    marker = call.first("marker")
    if marker is not None:
        ids = [id_of(record) for record in records]
        if marker not in ids:
            raise Invalid(missing.format(marker=marker))
        start = ids.index(marker) + 1
    limit = page_limit(call)
    return page_of(records[start : start + limit], limit, id_of=id_of, view=view)
