"""The schemas of what may be set of limits (contract §4.3, §4.4)."""

from collections.abc import Iterable
from typing import Any, Final

from kilonova.api.schemas.types import BOOLEAN, MOST, Json, the
from kilonova.api.schemas.validation import Schema
from kilonova.domain.quota import RESOURCES
from kilonova.wire.version import Versioned

LIMIT: Final[Json] = {
    "type": ["integer", "string"],
    "pattern": "^-?[0-9]+$",
    "minimum": -1,
    "maximum": MOST,
    "maxLength": 18,
}
_NETWORKS: Final = frozenset({"fixed_ips", "floating_ips", "security_groups", "security_group_rules"})
_FILES: Final = frozenset({"injected_file_content_bytes", "injected_file_path_bytes", "injected_files"})


def _sets(key: str, without: Iterable[str] = (), **more: Json) -> Schema:
    properties: dict[str, Any] = {name: LIMIT for name in RESOURCES if name not in without}
    return Schema(the({key: the({**properties, **more})}, required=(key,)))


PROJECT: Final[Versioned[Schema | None]] = Versioned(
    ("2.1", _sets("quota_set", force=BOOLEAN)),
    ("2.36", _sets("quota_set", _NETWORKS, force=BOOLEAN)),
    ("2.57", _sets("quota_set", _NETWORKS | _FILES, force=BOOLEAN)),
)
CLASS: Final[Versioned[Schema | None]] = Versioned(
    ("2.1", _sets("quota_class_set")),
    ("2.50", _sets("quota_class_set", _NETWORKS)),
    ("2.57", _sets("quota_class_set", _NETWORKS | _FILES)),
)
