"""Regular expressions for the database that has none of its own: SQLite.

Whoever may list servers may send a pattern, so the engine is one whose time grows with the text alone, whatever the
pattern (Rust's, by way of jsonschema-rs): Python's own could be kept busy for ever. It knows no look-around and no
back-references.
"""

from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

_MOST_BYTES: Final = 1 << 20
"""How large a compiled pattern may become."""


def is_pattern(text: str) -> bool:
    """Whether the text is a regular expression that ``matches`` takes."""
    try:
        _compiled(text)
    except ValueError:
        return False
    return True


def matches(pattern: str, text: str | None) -> bool:
    """Whether the pattern is found anywhere in the text; never in none. ValueError for what ``is_pattern`` denies."""
    return text is not None and bool(_compiled(pattern).is_valid(text))


@lru_cache(maxsize=32)
def _compiled(pattern: str) -> Any:
    options = jsonschema_rs.RegexOptions(size_limit=_MOST_BYTES, dfa_size_limit=_MOST_BYTES)
    try:
        return jsonschema_rs.Draft4Validator({"pattern": pattern}, pattern_options=options)
    except jsonschema_rs.ValidationError as error:
        raise ValueError(pattern) from error
