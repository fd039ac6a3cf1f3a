"""Checks what came in against a schema: fast when it fits, and in Nova's words when it does not.

jsonschema-rs answers yes or no in microseconds. Only for a no the Python library is imported, to find the same first
error and the same sentence as Nova's clients know (contract §0.5). Order of a schema's keywords matters for that.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import jsonschema_rs

from kilonova.domain.errors import Invalid
from kilonova.wire.times import parse_iso

NAME_TEXT: Final = (
    "An invalid 'name' value was provided. The name must be: printable characters. "
    "Can not start or end with whitespace."
)


class InvalidName(ValueError):
    """A name that cannot be; its text replaces the usual sentence."""

    def __init__(self) -> None:
        super().__init__(NAME_TEXT)


def is_name(value: object) -> bool:
    """Printable, and no blank at either end."""
    return not isinstance(value, str) or (value.isprintable() and value == value.strip())


def is_printable(value: object) -> bool:
    """Printable, with blanks wherever one likes."""
    return not isinstance(value, str) or value.isprintable()


def is_uuid(value: object) -> bool:
    """A UUID in any of its spellings."""
    if not isinstance(value, str):
        return True
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def is_base64(value: object) -> bool:
    """Base 64 as Nova reads it: what is not of its alphabet is passed over, and the padding must be right."""
    if isinstance(value, str):
        try:
            b64decode(value)
        except ValueError:
            return False
    return True


def is_date_time(value: object) -> bool:
    """An ISO 8601 date or date-time."""
    if not isinstance(value, str):
        return True
    try:
        parse_iso(value)
    except (ValueError, OverflowError):
        return False
    return True


def is_address(family: int) -> Callable[[object], bool]:
    """Checks for IP addresses of one family."""

    def check(value: object) -> bool:
        from ipaddress import ip_address  # 4 ms that most processes never need

        if not isinstance(value, str):
            return True
        try:
            return ip_address(value).version == family
        except ValueError:
            return False

    return check


_FORMATS: Final[Mapping[str, Callable[[object], bool]]] = {
    "name": is_name,
    "printable": is_printable,
    "uuid": is_uuid,
    "base64": is_base64,
    "date-time": is_date_time,
    "ipv4": is_address(4),
    "ipv6": is_address(6),
}


class Schema:
    """A JSON Schema (draft 4, as Nova's are) for a body or for a query; compiled when it is first asked."""

    def __init__(self, document: Mapping[str, Any], *, is_query: bool = False) -> None:
        self.document = document
        self.is_query = is_query

    @cached_property
    def _fast(self) -> Any:
        return jsonschema_rs.Draft4Validator(dict(self.document), formats=dict(_FORMATS), validate_formats=True)

    def check(self, value: Any) -> None:
        """Invalid, in Nova's words, where the value does not fit."""
        if not self._fast.is_valid(value):
            raise Invalid(self._complaint(value))

    def known(self, query: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Those parameters of a query that the schema names, or whose form it allows."""
        names = self.document["properties"]
        patterns = [re.compile(each) for each in self.document.get("patternProperties", {})]
        return {
            name: values
            for name, values in query.items()
            if name in names or any(each.search(name) for each in patterns)
        }

    def relaxed(self, value: Any) -> Any:
        """The value without properties that the schema does not know, and names without blanks at their ends.

        That is how Nova reads bodies below ``/v2`` (contract §0.2).
        """
        return _relaxed(self.document, value)

    def _complaint(self, value: Any) -> str:
        from jsonschema import Draft4Validator, FormatChecker

        checker = FormatChecker(formats=())
        for name, check in _FORMATS.items():
            checker.checks(name, raises=InvalidName if name == "name" else ())(_raising(name, check))
        error = next(Draft4Validator(dict(self.document), format_checker=checker).iter_errors(value), None)
        if error is None:
            return "Malformed request body"
        if isinstance(error.cause, InvalidName):
            return str(error.cause)
        if not error.path:
            return str(error.message)
        where, place = ("query parameters", error.path[0]) if self.is_query else ("field/attribute", error.path[-1])
        return f"Invalid input for {where} {place}. Value: {error.instance}. {error.message}"


def _relaxed(document: Mapping[str, Any], value: Any) -> Any:
    if document.get("format") == "name" and isinstance(value, str):
        return value.strip()
    known = document.get("properties")
    if known is None or not isinstance(value, dict):
        return value
    has_more = document.get("additionalProperties", True) is not False
    return {key: _relaxed(known.get(key, {}), each) for key, each in value.items() if has_more or key in known}


def _raising(name: str, check: Callable[[object], bool]) -> Callable[[object], bool]:
    def checked(value: object) -> bool:
        if check(value):
            return True
        if name == "name":
            raise InvalidName
        return False

    return checked
