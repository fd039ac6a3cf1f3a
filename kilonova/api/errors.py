"""Which HTTP status an error becomes, and the envelope it travels in (contract §0.5). Nowhere else decides that."""

from typing import Any, Final

import msgspec

from kilonova.api.http import JSON_UTF8, Reply
from kilonova.domain import errors
from kilonova.wire.version import VersionMalformed, VersionUnsupported

_NAMES: Final = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
_OTHER_NAME: Final = "computeFault"

STATUS: Final[dict[type[BaseException], int]] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.NotSupported: 501,
    errors.Unavailable: 503,
    VersionMalformed: 400,
    VersionUnsupported: 406,
}
"""The status of a class; a class without a row has that of the nearest one it descends from."""

GONE: Final = "This resource is no longer available. No forwarding address is given."
NOT_THERE: Final = "The resource could not be found."
MALFORMED: Final = "Malformed request body"


class Gone(errors.KilonovaError):
    """Nova had this once and removed it."""

    def __init__(self) -> None:
        super().__init__(GONE)


STATUS[Gone] = 410


def status_of(error: BaseException) -> int:
    """The HTTP status of an error, found along its classes; 500 for one that nobody foresaw."""
    return next((STATUS[each] for each in type(error).__mro__ if each in STATUS), 500)


def text_of(error: BaseException) -> str:
    """What the caller reads: the error's own message, or for one that nobody foresaw Nova's words and its class."""
    if status_of(error) == 500:
        return f"Unexpected API Error. Please contact the administrator\n{type(error)}"
    return error.message if isinstance(error, errors.KilonovaError) else str(error)


def envelope(status: int, message: str) -> Reply:
    """Nova's error body around a message."""
    fault: dict[str, Any] = {"code": status, "message": message}
    body = msgspec.json.encode({_NAMES.get(status, _OTHER_NAME): fault})
    return Reply(status=status, body=body, content_type=JSON_UTF8)


def refused(error: BaseException) -> Reply:
    """The reply to a request that ended in an error."""
    return envelope(status_of(error), text_of(error))
