"""The bodies of requests: bounded, JSON, and fit to be kept."""

import json
from typing import Any, Final

from starlette.requests import Request

from kilonova.domain.errors import Invalid, TooLarge

MOST_BODY_BYTES: Final = 114688
"""oslo.middleware's ``max_request_body_size``, as everywhere in OpenStack."""


async def read_body(request: Request, *, refusal: str) -> bytes:
    """All of it. Raises TooLarge with that refusal where it has more than MOST_BODY_BYTES."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BODY_BYTES:
            raise TooLarge(refusal)
    return bytes(data)


def decode_json(data: bytes, *, refusal: str) -> Any:
    """What it says. Raises Invalid with that refusal for what is no JSON, or could not be kept as it is."""
    try:
        body = json.loads(data)
        _refuse_unstorable(body)
    except (ValueError, RecursionError) as error:
        raise Invalid(refusal) from error
    return body


def _refuse_unstorable(value: Any) -> None:
    """ValueError for text that is no Unicode or has a NUL in it: JSON can spell both, databases keep neither."""
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError("NUL in a string")
        value.encode()
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_unstorable(key)
            _refuse_unstorable(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable(item)
