"""The schemas of ``/os-keypairs`` (contract §11.7)."""

from typing import Any, Final

from kilonova.api.schemas.types import NAME, NON_NEGATIVE, STRING, param, query, the
from kilonova.api.schemas.validation import Schema
from kilonova.wire.version import Versioned

_KEY: Final = {"type": "string"}
_TYPE: Final = {"type": "string", "enum": ["ssh", "x509"]}
_USER: Final = {"type": "string"}


def _create(properties: dict[str, Any], *required: str) -> Schema:
    return Schema(the({"keypair": the(properties, required=("name", *required))}, required=("keypair",)))


_FIRST: Final = {"name": NAME, "public_key": _KEY}
_TYPED: Final = {"name": NAME, "type": _TYPE, "public_key": _KEY}
_OWNED: Final = {**_TYPED, "user_id": _USER}

CREATE: Final[Versioned[Schema | None]] = Versioned(
    ("2.1", _create(_FIRST)),
    ("2.2", _create(_TYPED)),
    ("2.10", _create(_OWNED)),
    ("2.92", _create(_OWNED, "public_key")),
)

LIST: Final = query(
    param("user_id", STRING, since="2.10"),
    param("limit", NON_NEGATIVE, since="2.35"),
    param("marker", STRING, since="2.35"),
    strict="2.75",
)
ONE: Final = query(param("user_id", STRING, since="2.10"), strict="2.75")
