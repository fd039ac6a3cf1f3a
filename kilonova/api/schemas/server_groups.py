"""The schemas of ``/os-server-groups`` (contract §11.5)."""

from typing import Any, Final

from kilonova.api.schemas.types import NAME, NON_NEGATIVE, POSITIVE, param, query, the
from kilonova.api.schemas.validation import Schema
from kilonova.wire.version import Versioned

_HARD: Final = ["anti-affinity", "affinity"]
_ALL: Final = [*_HARD, "soft-anti-affinity", "soft-affinity"]


def _one_of(policies: list[str]) -> dict[str, Any]:
    return {
        "type": "array",
        "items": [{"enum": policies}],
        "minItems": 1,
        "uniqueItems": True,
        "additionalItems": False,
    }


def _create(properties: dict[str, Any], required: str) -> Schema:
    group = the({"name": NAME, **properties}, required=("name", required))
    return Schema(the({"server_group": group}, required=("server_group",)))


CREATE: Final[Versioned[Schema | None]] = Versioned(
    ("2.1", _create({"policies": _one_of(_HARD)}, "policies")),
    ("2.15", _create({"policies": _one_of(_ALL)}, "policies")),
    (
        "2.64",
        _create(
            {"policy": {"type": "string", "enum": _ALL}, "rules": the({"max_server_per_host": POSITIVE})}, "policy"
        ),
    ),
)

LIST: Final = query(param("all_projects"), param("limit", NON_NEGATIVE), param("offset", NON_NEGATIVE), strict="2.75")
