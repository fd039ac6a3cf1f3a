"""The envelope of oslo.messaging 2.0, which Nova's messages travel in: made and opened (contract §10.2)."""

import json
from collections.abc import Mapping
from typing import Any, Final

_VERSION_KEY: Final = "oslo.version"
_MESSAGE_KEY: Final = "oslo.message"
_VERSION: Final = "2.0"


class EnvelopeMalformed(ValueError):
    """The bytes are no message of oslo.messaging, with or without an envelope."""


def enclose(body: Mapping[str, Any]) -> bytes:
    """The message in its envelope, as the driver ``messagingv2`` sends it."""
    return json.dumps({_VERSION_KEY: _VERSION, _MESSAGE_KEY: json.dumps(body)}).encode()


def bare(body: Mapping[str, Any]) -> bytes:
    """The message without an envelope, as the driver ``messaging`` sends it."""
    return json.dumps(body).encode()


def disclose(data: bytes | str) -> dict[str, Any]:
    """The message inside, whether or not it has an envelope. EnvelopeMalformed for what is none."""
    outer = _object(data)
    if _VERSION_KEY not in outer:
        return outer
    major = str(outer[_VERSION_KEY]).partition(".")[0]
    inner = outer.get(_MESSAGE_KEY)
    if major != _VERSION.partition(".")[0] or not isinstance(inner, str):
        raise EnvelopeMalformed(f"an envelope of version {outer[_VERSION_KEY]!r} is not known")
    return _object(inner)


def _object(data: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise EnvelopeMalformed(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise EnvelopeMalformed("not a JSON object")
    return found
