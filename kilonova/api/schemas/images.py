"""The schemas of the old proxy of images (contract §11.8)."""

from typing import Final

from kilonova.api.schemas.types import METADATA, NON_NEGATIVE, PAGING, body, param, query, the

LIST: Final = query(
    *PAGING,
    *(param(name) for name in ("name", "status", "server", "type", "changes-since")),
    *(param(name, NON_NEGATIVE) for name in ("minRam", "minDisk")),
    strict=None,
    pattern="^property-",
)
METADATA_BODY: Final = body(the({"metadata": METADATA}, required=("metadata",)))
ITEM_BODY: Final = body(the({"meta": {**METADATA, "minProperties": 1, "maxProperties": 1}}, required=("meta",)))
