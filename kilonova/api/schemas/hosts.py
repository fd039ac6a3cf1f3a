"""The schemas of ``/os-hosts`` (contract §2.1)."""

from typing import Final

from kilonova.api.schemas.types import STRING, Json, body, param, query, the

_SWITCH: Final[Json] = {"type": "string", "enum": ["enable", "Enable", "ENABLE", "disable", "Disable", "DISABLE"]}

LIST: Final = query(param("zone", STRING))
UPDATE: Final = body(
    {
        **the({"status": _SWITCH, "maintenance_mode": _SWITCH}),
        "anyOf": [{"required": ["status"]}, {"required": ["maintenance_mode"]}],
    }
)
