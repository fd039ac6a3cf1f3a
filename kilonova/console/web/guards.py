"""What is let in and what every reply forbids: forms of our own pages only, no script but our own file, no frame."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import Response

_MOST_FORM_BYTES: Final = 16 * 1024
_MOST_FIELDS: Final = 20
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def guarded(reply: Response, more: Mapping[str, str] | None = None) -> Response:
    """The reply with what it forbids; ``more`` are headers of its own, which win."""
    for name, value in {**_HEADERS, **(more or {})}.items():
        reply.headers[name] = value
    return reply


def is_ours(request: Request) -> bool:
    """Whether a form was sent by a page of this console, as far as the browser says where it is from."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; of one that is too large, or is none, nothing."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_FORM_BYTES:
            return {}
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def local(path: str, default: str = "/") -> str:
    """A path of this console to lead on to; ``default`` for whatever leads elsewhere."""
    parts = urlsplit(path)
    is_path = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return path if is_path and path.isprintable() else default
