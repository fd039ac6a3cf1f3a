"""The schemas of ``/flavors`` (contract §11.6)."""

from typing import Any, Final

from kilonova.api.schemas.types import (
    BOOLEAN,
    DESCRIPTION,
    MOST,
    NAME,
    PAGING,
    STRING,
    body,
    number,
    param,
    query,
    the,
)
from kilonova.api.schemas.validation import Schema
from kilonova.wire.version import Versioned


def _size(least: int) -> dict[str, Any]:
    return {**number(least), "maximum": MOST}


_SIZES: Final = {
    "name": NAME,
    "id": {
        "oneOf": [
            {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^(?! )[a-zA-Z0-9. _-]+(?<! )$"},
            {"type": ["integer", "null"]},
        ]
    },
    "ram": _size(1),
    "vcpus": _size(1),
    "disk": _size(0),
    "OS-FLV-EXT-DATA:ephemeral": _size(0),
    "swap": _size(0),
    "rxtx_factor": {
        "type": ["number", "string"],
        "pattern": r"^[0-9]{1,9}(\.[0-9]+)?$",
        "minimum": 0,
        "exclusiveMinimum": True,
        "maximum": MOST,
    },
    "os-flavor-access:is_public": BOOLEAN,
}


def _create(properties: dict[str, Any]) -> Schema:
    flavor = the(properties, required=("name", "ram", "vcpus", "disk"))
    return Schema(the({"flavor": flavor}, required=("flavor",)))


_DESCRIPTION: Final = {**DESCRIPTION, "maxLength": 65535}
_DESCRIBED: Final = {**_SIZES, "description": _DESCRIPTION}

CREATE: Final[Versioned[Schema | None]] = Versioned(
    ("2.1", _create(_SIZES)),
    ("2.55", _create(_DESCRIBED)),
    ("2.102", _create({key: value for key, value in _DESCRIBED.items() if key != "rxtx_factor"})),
)
UPDATE: Final = body(
    the({"flavor": the({"description": _DESCRIPTION}, required=("description",))}, required=("flavor",))
)

_SPECS: Final = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": ["string", "number"], "maxLength": 255}},
    "additionalProperties": False,
}
ADD_SPECS: Final = body(the({"extra_specs": _SPECS}, required=("extra_specs",)))
SET_SPEC: Final = body({**_SPECS, "minProperties": 1, "maxProperties": 1})


def access(action: str) -> Versioned[Schema | None]:
    """The schema of giving and taking access."""
    tenant = {"type": "string", "minLength": 1, "maxLength": 255}
    return body(the({action: the({"tenant": tenant}, required=("tenant",))}, required=(action,)))


LIST: Final = query(
    *PAGING,
    *(param(name) for name in ("sort_key", "is_public", "minRam", "minDisk")),
    param("sort_dir", {"type": "string", "enum": ["asc", "desc"]}),
    param("name", STRING, since="2.102"),
    strict="2.75",
)
