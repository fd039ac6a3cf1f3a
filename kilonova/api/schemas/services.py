"""The schemas of ``/os-services`` (contract §1.3, §1.4)."""

from typing import Any, Final

from kilonova.api.schemas.types import BOOLEAN, FQDN, Json, the
from kilonova.api.schemas.validation import Schema
from kilonova.wire.version import Versioned

_TEXT: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 255}
_OLD: Final[dict[str, Any]] = {"host": FQDN, "binary": _TEXT, "disabled_reason": _TEXT}
_NAMED: Final = ("host", "binary")

UPDATE: Final[Versioned[Schema | None]] = Versioned(
    ("2.1", Schema(the(_OLD, required=_NAMED))),
    ("2.11", Schema(the({**_OLD, "forced_down": BOOLEAN}, required=_NAMED))),
    (
        "2.53",
        Schema(
            the(
                {
                    "status": {"type": "string", "enum": ["enabled", "disabled"]},
                    "disabled_reason": _TEXT,
                    "forced_down": BOOLEAN,
                }
            )
        ),
    ),
)
