"""The query string of ``GET /v2/images``, read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from kilonova.domain.errors import Invalid
from kilonova.domain.images import Image, ImageQuery, Span
from kilonova.domain.model import SECOND
from kilonova.images.wishes import MEMBER_STATUSES, VISIBILITIES
from kilonova.wire.times import parse_iso

DEFAULT_LIMIT: Final = 25
"""Glance's ``limit_param_default``."""

MOST_LIMIT: Final = 1000
"""Glance's ``api_limit_max``."""

_EXACT: Final = ("id", "name", "status", "visibility", "owner", "disk_format", "container_format")
_TRUTHS: Final = ("protected", "os_hidden")
_NUMBERS: Final = ("min_disk", "min_ram", "size", "virtual_size")
_TEXTS: Final = ("checksum", "os_hash_algo", "os_hash_value")
_SORTS: Final = (*_EXACT, *_NUMBERS, "created_at", "updated_at")
_PAGING: Final = ("limit", "marker", "sort", "sort_key", "sort_dir", "tag")
_SIZES: Final = ("size_min", "size_max")
_TIMES: Final = ("created_at", "updated_at")
_OPERATORS: Final = ("gt", "gte", "lt", "lte", "eq", "neq")
_LISTS: Final = ("id", "name", "status", "disk_format", "container_format", *_TEXTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A listing asked for. What SQL can narrow is in ``query``; ``properties`` and ``tags`` are matched after it."""

    query: ImageQuery
    properties: Mapping[str, str]
    tags: Sequence[str]

    def matches(self, image: Image) -> bool:
        """Whether an image has all the properties and tags."""
        if not self.properties and not self.tags:
            return True
        properties, tags = image.properties, image.tags
        return all(properties.get(key) == value for key, value in self.properties.items()) and all(
            tag in tags for tag in self.tags
        )

    def page(self, read: Callable[[ImageQuery], Sequence[Image]]) -> tuple[list[Image], bool]:
        """The images of the page, and whether there are more behind it; ``read`` gives one page of the store's."""
        found: list[Image] = []
        query = replace(self.query, limit=self.query.limit + 1)
        while len(found) <= self.query.limit:
            images = read(query)
            found += [image for image in images if self.matches(image)]
            if len(images) < query.limit:
                break
            query = replace(query, after=images[-1])
        return found[: self.query.limit], len(found) > self.query.limit


def read_question(parameters: Sequence[tuple[str, str]], find_marker: Callable[[str], Image]) -> Question:
    """The question in decoded query parameters, for every project. Invalid where a parameter makes no sense."""
    given = dict(parameters)
    if "changes-since" in given:
        raise Invalid("The filter changes-since is not read here")
    equals = {key: values for key in given if (values := _values(key, given[key]))}
    equals.setdefault("os_hidden", (False,))
    known = {*_EXACT, *_TRUTHS, *_NUMBERS, *_TEXTS, *_PAGING, *_SIZES, *_TIMES, "member_status"}
    query = ImageQuery(
        project_id=None,
        member_status=_member_status(given.get("member_status", "accepted")),
        community=given.get("visibility") in ("community", "all"),
        equals=equals,
        spans=(*_sizes(given), *(_time(key, value) for key, value in parameters if key in _TIMES)),
        sort=_sort(parameters),
        after=find_marker(given["marker"]) if "marker" in given else None,
        limit=_limit(given.get("limit")),
    )
    properties = {key: value for key, value in given.items() if key not in known}
    return Question(query=query, properties=properties, tags=[tag for key, tag in parameters if key == "tag"])


def _values(key: str, text: str) -> tuple[Any, ...]:
    """What a field may equal; nothing where the parameter does not narrow the listing in SQL."""
    if "\x00" in text:
        raise Invalid(f"The value of {key} has a NUL in it")
    if key == "visibility" and text == "all":
        return ()
    if key == "visibility" and text not in VISIBILITIES:
        raise Invalid(f"Invalid visibility value: {text}; there are {', '.join(VISIBILITIES)}, all")
    if key in _EXACT or key in _TEXTS:
        return tuple(_members(text.removeprefix("in:"))) if _is_list(key, text) else (text,)
    if key in _TRUTHS:
        return (_truth(key, text),)
    return (_number(key, text),) if key in _NUMBERS else ()


def _is_list(key: str, text: str) -> bool:
    return key in _LISTS and text.startswith("in:")


def _member_status(text: str) -> str | None:
    if text not in (*MEMBER_STATUSES, "all"):
        raise Invalid(f"Invalid status: {text}; there are {', '.join(MEMBER_STATUSES)}, all")
    return None if text == "all" else text


def _sizes(given: Mapping[str, str]) -> Iterator[Span]:
    if "size_min" in given:
        yield Span(field="size", least=_number("size_min", given["size_min"]))
    if "size_max" in given:
        yield Span(field="size", below=_number("size_max", given["size_max"]) + 1)


def _time(key: str, text: str) -> Span:
    """The span of ``gt:2026-11-22T10:00:00Z``; times are compared by the second, as they are shown."""
    operator, separator, stamp = text.partition(":")
    if operator not in _OPERATORS or not separator:
        operator, stamp = "eq", text
    try:
        second = parse_iso(stamp) // SECOND * SECOND
    except ValueError as error:
        raise Invalid(f"{key} must be an ISO 8601 time, after one of {', '.join(_OPERATORS)} and a colon") from error
    least = {"gt": second + SECOND, "gte": second, "eq": second, "neq": second}.get(operator)
    below = {"lt": second, "lte": second + SECOND, "eq": second + SECOND, "neq": second + SECOND}.get(operator)
    return Span(field=key, least=least, below=below, outside=operator == "neq")


def _members(text: str) -> list[str]:
    """The members of ``in:a,"b,c"``."""
    members, current, quoted = [], "", False
    for character in text:
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            members.append(current)
            current = ""
        else:
            current += character
    return [*members, current]


def _truth(key: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise Invalid(f"{key} must be true or false")
    return text.lower() == "true"


def _number(key: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Invalid(f"{key} must be a whole number")
    return int(text)


def _limit(text: str | None) -> int:
    return DEFAULT_LIMIT if text is None else min(_number("limit", text), MOST_LIMIT)


def _sort(parameters: Sequence[tuple[str, str]]) -> tuple[tuple[str, bool], ...]:
    """Either ``sort=name:asc,size:desc`` or ``sort_key`` and ``sort_dir``, each given several times or once."""
    keys = [value for key, value in parameters if key == "sort_key"]
    directions = [value for key, value in parameters if key == "sort_dir"]
    if sort := dict(parameters).get("sort"):
        pairs = [part.strip().partition(":") for part in sort.split(",")]
        return tuple(_sorting(key, direction or "desc") for key, _, direction in pairs)
    if len(directions) not in (0, 1, len(keys)):
        raise Invalid("There must be one sort_dir, or as many as there are sort_keys")
    directions = directions * len(keys) if len(directions) == 1 else directions or ["desc"] * len(keys)
    chosen = tuple(_sorting(key, direction) for key, direction in zip(keys, directions, strict=False))
    return chosen or (("created_at", True),)


def _sorting(key: str, direction: str) -> tuple[str, bool]:
    if key not in _SORTS:
        raise Invalid(f"Images cannot be sorted by {key}; they can by {', '.join(_SORTS)}")
    if direction not in ("asc", "desc"):
        raise Invalid(f"The direction of a sort is asc or desc, not {direction}")
    return key, direction == "desc"
