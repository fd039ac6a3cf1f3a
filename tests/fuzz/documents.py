"""Documents for a JSON Schema: such as fit, such as nearly fit, and such as fit nothing."""

import copy
import functools
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from hypothesis import strategies as st

_Strategy = st.SearchStrategy[Any]

NASTY: Final = (
    *(
        "",
        " ",
        "0",
        "-1",
        "none",
        "None",
        "null",
        "true",
        "1; DROP TABLE instances",
        "../../etc/passwd",
        "%00",
        "a\x00b",
    ),
    *(
        "é",
        "\u200b",
        "\U0001f600" * 5,
        "a" * 256,
        "a" * 5000,
        "9" * 19,
        "9" * 400,
        "1e400",
        "NaN",
        "2026-13-45T99:99:99Z",
    ),
    *("(", "(a+)+$", "[b-a]", "{}", "<script>", "2024-01-01T00:00:00", "2024-01-01", "::1", "10.0.0.1", "_x", "0x10"),
)
_FORMATS: Final[Mapping[str, _Strategy]] = {
    "uuid": st.uuids().map(str),
    "date-time": st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    "ipv4": st.ip_addresses(v=4).map(str),
    "ipv6": st.ip_addresses(v=6).map(str),
    "base64": st.binary(max_size=30).map(lambda data: b64encode(data).decode()),
}
SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.sampled_from([2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63) - 1, 1.5, -0.0, 1e300]),
    st.text(max_size=12),
    st.sampled_from(NASTY),
)
ANYTHING: Final = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def fitting(schema: Mapping[str, Any]) -> _Strategy:
    """Documents that fit a schema, or nearly: what keywords mean together is left to chance."""
    return _fitting(json.dumps(schema))


@functools.cache
def _fitting(text: str) -> _Strategy:
    schema = json.loads(text)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            rest = {key: value for key, value in schema.items() if key != several}
            return st.one_of([fitting({**rest, **each, **_together(rest, each)}) for each in schema[several]])
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return st.one_of([_OF_TYPE[kind](schema) for kind in kinds]) if kinds else SCALARS


def _together(schema: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What both demand of an object's keys."""
    required = [*schema.get("required", []), *other.get("required", [])]
    return {"required": required} if required else {}


def _text(schema: Mapping[str, Any]) -> _Strategy:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    least, most = schema.get("minLength", 0), min(schema.get("maxLength", 30), 40)
    letters = st.characters(exclude_categories=["Cs", "Cc"]) if "format" in schema else st.characters()
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=False).map(lambda text: text[: max(most, 1)])
    return st.text(letters, min_size=min(least, most), max_size=most)


def _whole(schema: Mapping[str, Any]) -> _Strategy:
    least, most = schema.get("minimum", -(2**31)), schema.get("maximum", 2**31)
    return st.integers(least, most) | st.integers(max(least, 0), min(most, 100)) if least <= 100 else st.just(least)


def _object(schema: Mapping[str, Any]) -> _Strategy:
    known = {name: fitting(each) for name, each in schema.get("properties", {}).items()}
    needed = {name: known.get(name, SCALARS) for name in schema.get("required", [])}
    others = {name: each for name, each in known.items() if name not in needed}
    named = st.fixed_dictionaries(needed, optional=others)
    free = [
        st.dictionaries(st.from_regex(form), fitting(each), max_size=3, min_size=min(schema.get("minProperties", 0), 1))
        for form, each in schema.get("patternProperties", {}).items()
    ]
    return st.tuples(named, *free).map(lambda parts: {key: value for part in parts for key, value in part.items()})


def _array(schema: Mapping[str, Any]) -> _Strategy:
    items = schema.get("items", {})
    if isinstance(items, list):
        return st.tuples(*map(fitting, items)).map(list)
    return st.lists(fitting(items) if items else SCALARS, min_size=schema.get("minItems", 0), max_size=4)


_OF_TYPE: Final[Mapping[str, Callable[[Mapping[str, Any]], _Strategy]]] = {
    "object": _object,
    "array": _array,
    "string": _text,
    "integer": _whole,
    "number": lambda schema: _whole(schema) | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": lambda _: st.booleans(),
    "null": lambda _: st.none(),
}


@st.composite
def spoilt(draw: st.DrawFn, documents: _Strategy) -> Any:
    """A document with one thing in it put out, put in or replaced."""
    document = copy.deepcopy(draw(documents))
    places = [*_places(document, ())]
    if not places:
        return draw(ANYTHING)
    *above, last = draw(st.sampled_from(places))
    within = functools.reduce(lambda found, step: found[step], above, document)
    what = draw(st.sampled_from(["replace", "replace", "drop", "add"]))
    if what == "drop":
        del within[last]
    elif what == "add" and isinstance(within, dict):
        within[draw(st.text(max_size=6) | st.sampled_from(NASTY))] = draw(ANYTHING)
    else:
        within[last] = draw(ANYTHING)
    return document


def _places(document: Any, above: Sequence[Any]) -> Any:
    steps = document.keys() if isinstance(document, dict) else range(len(document) if isinstance(document, list) else 0)
    for step in steps:
        yield (*above, step)
        yield from _places(document[step], (*above, step))
