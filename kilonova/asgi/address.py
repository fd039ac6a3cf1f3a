"""The address that a client asked."""

import re
from typing import Final

from starlette.requests import Request

_HOST: Final = re.compile(r"^[A-Za-z0-9._\-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$")


def own_address(request: Request) -> str:
    """Scheme and host that the request was sent to; the socket's own address where the Host header is not one.

    No forwarding header has a say in it.
    """
    host = request.headers.get("host", "")
    if not _HOST.match(host):
        server = request.scope.get("server") or ("localhost", None)
        host = server[0] if server[1] is None else f"{server[0]}:{server[1]}"
    return f"{request.url.scheme}://{host}"


def mount_of(request: Request) -> str:
    """The prefix under which the service is mounted, such as ``/identity``; empty for none."""
    return str(request.scope.get("root_path", ""))
