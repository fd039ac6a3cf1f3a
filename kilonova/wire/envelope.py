"""The envelope of oslo.messaging 2.0, which Nova's messages travel in: made and opened (contract §10.2)."""

import json
from collections.abc import Callable
from typing import Any, Final

_VERSION_KEY: Final = "oslo.version"
_MESSAGE_KEY: Final = "oslo.message"
_VERSION: Final = "2.0"

Encode = Callable[[Any], bytes]
"""Makes JSON in UTF-8 of a document."""


class EnvelopeMalformed(ValueError):
    """The bytes are no message of oslo.messaging, with or without an envelope."""


def _encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def enclose(message: bytes, encode: Encode = _encoded) -> bytes:
    """The message, which is JSON itself, in its envelope, as the driver ``messagingv2`` sends it.

    ``encode`` is for who has a faster one.
    """
    return encode({_VERSION_KEY: _VERSION, _MESSAGE_KEY: message.decode()})


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
