"""Filters of the servers' list that somebody keeps by name: in a cookie, so that they outlive the session."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

COOKIE: Final = "kilonova_filters"
SECONDS: Final = 365 * 24 * 3600
_MOST: Final = 12
_LONGEST: Final = 40
_KEYS: Final = ("q", "status", "host", "projects")


def read(cookie: str | None) -> dict[str, str]:
    """Queries by name; nothing for a cookie that makes no sense."""
    try:
        found = json.loads(base64.urlsafe_b64decode((cookie or "").encode("ascii")))
    except (ValueError, binascii.Error, UnicodeError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name)[:_LONGEST]: query_of(str(query)) for name, query in list(found.items())[:_MOST]}


def written(kept: Mapping[str, str]) -> str:
    """The same as the text of a cookie."""
    return base64.urlsafe_b64encode(json.dumps(dict(kept)).encode()).decode("ascii")


def changed(kept: Mapping[str, str], *, name: str, query: str, is_removed: bool) -> dict[str, str]:
    """With one more or one less; the oldest gives way where there are too many."""
    name = name.strip()[:_LONGEST]
    found = {each: its for each, its in kept.items() if each != name}
    if name and not is_removed:
        found[name] = query_of(query)
    return dict(list(found.items())[-_MOST:])


def query_of(text: str) -> str:
    """The part of a query that is a filter, spelt one way."""
    try:
        pairs = dict(parse_qsl(text, max_num_fields=20))
    except ValueError:
        return ""
    return urlencode({key: pairs[key][:100] for key in _KEYS if pairs.get(key)})
