"""The fields of what clients send about accounts, checked one by one, in Keystone's words where it has some."""

import json
from collections.abc import Mapping
from typing import Any, Final

from kilonova.domain.errors import Invalid, NotSupported

Body = Mapping[str, Any]

_MOST_TEXT: Final = 255
_MOST_EXTRA_BYTES: Final = 60_000  # a TEXT column of MariaDB has 65,535
_MOST_TAGS: Final = 80


SHORT: Final = 64
"""The most characters of a domain's, a project's and a group's name."""


def name_in(wanted: Body, most: int = _MOST_TEXT) -> str:
    """The name, which has to be there. Invalid where it is not a string of 1 to ``most`` characters."""
    name = text_in(wanted, "name", most)
    if name is None:
        raise Invalid("Invalid input for field 'name': None is not of type 'string'")
    if not name.strip():
        raise Invalid(f"Invalid input for field 'name': {name!r} is too short")
    return name


def text_in(wanted: Body, key: str, most: int = _MOST_TEXT) -> str | None:
    """A text, None where it is absent or null."""
    value = wanted.get(key)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"Invalid input for field '{key}': {value!r} is not of type 'string'")
    if value is not None and len(value) > most:
        raise Invalid(f"Invalid input for field '{key}': it is longer than {most} characters")
    return value


def flag_in(wanted: Body, key: str, *, otherwise: bool = True) -> bool:
    """A truth, ``otherwise`` where it is absent."""
    value = wanted.get(key, otherwise)
    if not isinstance(value, bool):
        raise Invalid(f"Invalid input for field '{key}': {value!r} is not of type 'boolean'")
    return value


def tags_in(wanted: Body, key: str = "tags") -> str | None:
    """Tags as they are kept: each once, sorted; None where there are none."""
    value = wanted.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(tag, str) and _is_tag(tag) for tag in value):
        raise Invalid(f"Invalid input for field '{key}': it must be a list of texts without '/' and ','")
    if len(set(value)) > _MOST_TAGS:
        raise Invalid(f"Invalid input for field '{key}': there may be at most {_MOST_TAGS} tags")
    return json.dumps(sorted(set(value))) if value else None


def extra_in(wanted: Body, known: frozenset[str], before: str | None = None) -> str | None:
    """What clients put beside the known fields, merged with what was there before; null takes one away."""
    extra = {**json.loads(before or "{}"), **{key: value for key, value in wanted.items() if key not in known}}
    kept = {key: value for key, value in sorted(extra.items()) if value is not None}
    text = json.dumps(kept)
    if len(text) > _MOST_EXTRA_BYTES:
        raise Invalid(f"What stands beside the known fields may have at most {_MOST_EXTRA_BYTES} bytes")
    return text if kept else None


def refuse_options(wanted: Body) -> None:
    """NotSupported for resource options, all of which would change what a sign-in needs."""
    if wanted.get("options"):
        raise NotSupported("Resource options are not offered here.")


def changes_in(wanted: Body, texts: tuple[str, ...], *, longest_name: int = _MOST_TEXT) -> dict[str, Any]:
    """The fields that a PATCH names, of ``name``, ``enabled`` and the ``texts``; null empties a text."""
    changes: dict[str, Any] = {key: text_in(wanted, key) for key in texts if key in wanted}
    if "description" in changes:
        changes["description"] = changes["description"] or ""
    if "name" in wanted:
        changes["name"] = name_in(wanted, longest_name)
    if "enabled" in wanted:
        changes["enabled"] = flag_in(wanted, "enabled")
    return changes


def refuse_moving(wanted: Body, domain_id: str) -> None:
    """Invalid for a PATCH that names another domain than the record's own."""
    if wanted.get("domain_id", domain_id) != domain_id:
        raise Invalid("Cannot change Domain ID")


def _is_tag(tag: str) -> bool:
    return 0 < len(tag) <= _MOST_TEXT and not set(tag) & {"/", ","}
