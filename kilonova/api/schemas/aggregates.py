"""The schemas of ``/os-aggregates`` (contract §2.3)."""

from typing import Final

from kilonova.api.schemas.types import FQDN, NAME, Json, body, the

_ZONE: Final[Json] = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": 255,
    "format": "name",
    "pattern": "^[^:]*$",
}
_ITEMS: Final[Json] = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": ["string", "null"], "maxLength": 255}},
    "additionalProperties": False,
}
_WANTED: Final[Json] = {"name": NAME, "availability_zone": _ZONE}

CREATE: Final = body(the({"aggregate": the(_WANTED, required=("name",))}, required=("aggregate",)))
UPDATE: Final = body(
    the(
        {
            "aggregate": {
                **the(_WANTED),
                "anyOf": [{"required": ["name"]}, {"required": ["availability_zone"]}],
            }
        },
        required=("aggregate",),
    )
)
ADD_HOST: Final = body(the({"add_host": the({"host": FQDN}, required=("host",))}, required=("add_host",)))
REMOVE_HOST: Final = body(the({"remove_host": the({"host": FQDN}, required=("host",))}, required=("remove_host",)))
_IMAGE: Final[Json] = the({"id": {"type": "string", "format": "uuid"}}, required=("id",))
CACHE: Final = body(
    the({"cache": {"type": "array", "minItems": 1, "uniqueItems": True, "items": _IMAGE}}, required=("cache",))
)
SET_METADATA: Final = body(
    the({"set_metadata": the({"metadata": _ITEMS}, required=("metadata",))}, required=("set_metadata",))
)
