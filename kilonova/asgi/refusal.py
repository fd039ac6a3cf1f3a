"""Which status an error has, and what all answers carry."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from uuid import uuid4

from starlette.responses import Response

from kilonova.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    KilonovaError,
    NotFound,
    NotSupported,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)

_STATUS: Final[Mapping[type[KilonovaError], HTTPStatus]] = {
    Invalid: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NotSupported: HTTPStatus.NOT_IMPLEMENTED,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(error: KilonovaError) -> HTTPStatus:
    """The status of its kind; 500 where the kind has none."""
    kinds = (_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    return next(kinds, HTTPStatus.INTERNAL_SERVER_ERROR)


def pointed(response: Response, *, identity: str) -> Response:
    """The response, which says where to sign in if it refuses somebody unknown."""
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = f'Keystone uri="{identity}"'
    return response


def framed(response: Response) -> Response:
    """The response with the header that all of them have."""
    response.headers["X-Openstack-Request-Id"] = f"req-{uuid4()}"
    return response
