"""The block devices of a new server, in both of their syntaxes (contract §6.1)."""

from typing import Any, Final

from kilonova.api.schemas.types import BOOLEAN, NAME, TAG, Json, Param, number, param, the

_WORD: Final[Json] = {"type": "string", "maxLength": 255}
_LEGACY: Final[tuple[Param, ...]] = (
    param("virtual_name", _WORD),
    param("volume_id", {"type": "string", "format": "uuid"}),
    param("snapshot_id", {"type": "string", "format": "uuid"}),
    param("volume_size", number(1)),
    param("device_name", {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9._-r/]*$"}),
    param("delete_on_termination", BOOLEAN),
    param("no_device", {}),
    param("connection_info", {"type": "string", "maxLength": 16777215}),
)
LEGACY_DEVICES: Final[Json] = {"type": "array", "items": the({name: value for name, value, *_ in _LEGACY})}
"""``block_device_mapping``."""

_DEVICE: Final[tuple[Param, ...]] = (
    *_LEGACY,
    param("source_type", {"type": "string", "enum": ["volume", "image", "snapshot", "blank"]}),
    param("uuid", {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9._-]*$"}),
    param("image_id", {"type": "string", "format": "uuid"}),
    param("destination_type", {"type": "string", "enum": ["local", "volume"]}),
    param("guest_format", _WORD),
    param("device_type", _WORD),
    param("disk_bus", _WORD),
    param("boot_index", {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$"}),
)


def devices(*, tagged: bool, typed: bool) -> dict[str, Any]:
    """``block_device_mapping_v2``, whose devices may have a tag, or a volume type, at some versions."""
    parts = {name: value for name, value, *_ in _DEVICE}
    if tagged:
        parts["tag"] = TAG
    if typed:
        parts["volume_type"] = {**NAME, "type": ["string", "null"]}
    return {"type": "array", "items": the(parts)}
