"""The values that many schemas share, and how schemas grow over the microversions."""

from collections.abc import Mapping
from typing import Any, Final

from kilonova.api.schemas.validation import Schema
from kilonova.domain.errors import Invalid
from kilonova.wire.version import Microversion, Span, Versioned

Json = Mapping[str, Any]

BOOLEAN: Final[Json] = {
    "type": ["boolean", "string"],
    "enum": [
        *(True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"),
        *(False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"),
    ],
}
_TRUE: Final = frozenset({"true", "1", "on", "yes"})

NAME: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name"}
DESCRIPTION: Final[Json] = {"type": ["string", "null"], "minLength": 0, "maxLength": 255, "format": "printable"}
FQDN: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9-._]*$"}
HOSTNAME: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-zA-Z0-9-]+$"}
MOST: Final = 0x7FFFFFFF
"""The largest number that every database keeps in an INTEGER."""


def number(least: int = 0) -> Json:
    """A number, as such or as text. The last keyword is ours: an absurd number is refused before it is read."""
    return {"type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": least, "minLength": 1, "maxLength": 18}


NON_NEGATIVE: Final = number(0)
POSITIVE: Final = number(1)
STRING: Final[Json] = {"type": "string", "maxLength": 255}
DATE_TIME: Final[Json] = {"type": "string", "format": "date-time"}
METADATA: Final[Json] = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
DISK_CONFIG: Final[Json] = {"type": "string", "enum": ["AUTO", "MANUAL"]}
IMAGE_REF: Final[Json] = {"type": "string", "format": "uuid"}
FLAVOR_REF: Final[Json] = {"type": ["string", "integer"], "minLength": 1}
TAG: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/]*$"}


def truth(value: object) -> bool:
    """What a value of ``BOOLEAN`` means."""
    return value is True or (isinstance(value, str) and value.lower() in _TRUE)


def integer(name: str, value: int | str, *, least: int = 0) -> int:
    """The number that a value of ``number`` means. Invalid where it is too small, or more than a database keeps."""
    found = int(value)
    if not least <= found <= MOST:
        raise Invalid(f"Invalid input for field/attribute {name}. Value: {value}. It must be {least} to {MOST}.")
    return found


def flavor_id(reference: str | int) -> str:
    """The id that a value of ``FLAVOR_REF`` means: itself, or the last part of the flavor's URL."""
    return str(reference).split("?")[0].rsplit("/", 1)[-1]


def the(properties: Json, *, required: tuple[str, ...] = (), extra: bool = False) -> dict[str, Any]:
    """An object with these properties; the order of keywords is that in which Nova's texts name the first error."""
    document: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    if required:
        document["required"] = list(required)
    return {**document, "additionalProperties": extra}


def body(document: Json) -> Versioned[Schema | None]:
    """One schema for all versions."""
    return Versioned(("2.1", Schema(document)))


Param = tuple[str, Json, str, str | None]
"""A query parameter: name, schema of one value, since, until."""


def param(name: str, value: Json = STRING, *, since: str = "2.1", until: str | None = None) -> Param:
    """A parameter that may be repeated."""
    return name, value, since, until


def query(*params: Param, strict: str | None = "2.102", pattern: str | None = None) -> Versioned[Schema | None]:
    """The schemas of a query: parameters come and go, and from ``strict`` on an unknown one is an error.

    ``pattern`` is a form of names that is let through to the handler. Unknown ones below ``strict`` are dropped
    before the handler sees them (contract §0.7).
    """
    edges = {"2.1", *(since for _, _, since, _ in params)} | ({strict} if strict else set())
    edges |= {str(end) for _, _, since, until in params if (end := Span.of(since, until).after)}
    ordered = sorted(map(Microversion.parse, edges))
    return Versioned(*((str(each), _query_at(each, params, strict, pattern)) for each in ordered))


def _query_at(version: Microversion, params: tuple[Param, ...], strict: str | None, pattern: str | None) -> Schema:
    known = {
        name: {"type": "array", "items": value}
        for name, value, since, until in params
        if Span.of(since, until).has(version)
    }
    document: dict[str, Any] = {"type": "object", "properties": known}
    if pattern:
        document["patternProperties"] = {pattern: {"type": "array"}}
    document["additionalProperties"] = strict is None or version < Microversion.parse(strict)
    return Schema(document, is_query=True)


PAGING: Final[tuple[Param, ...]] = (param("limit", NON_NEGATIVE), param("marker"))
NOTHING: Final = query()
"""No parameters; an error from 2.102 on."""
