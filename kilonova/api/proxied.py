"""What a proxy in front tells of the address that a client really asked, taken over before anything is answered.

Opt-in as in Nova (``[oslo_middleware] enable_proxy_headers_parsing``): who can reach Kilonova without the proxy could
otherwise choose the links that others get to see. Headers and their meaning are those of oslo.middleware's
``http_proxy_to_wsgi``: ``Forwarded`` (RFC 7239, its first element), else ``X-Forwarded-Proto`` and
``X-Forwarded-Host``; ``X-Forwarded-Prefix`` in any case.
"""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from kilonova.api.front import Application

_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]{1,255}){1,8}")
_SCHEMES: Final = frozenset({"http", "https"})
_LONGEST: Final = 4096


class BehindProxy:
    """An application as clients of the proxy see it: scheme, host and prefix are the proxy's.

    What makes no sense in a header (a host that is none, another scheme) is passed over.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        await self._application(_as_asked(scope) if scope["type"] == "http" else scope, receive, send)


def _as_asked(scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    headers = {name.decode("latin-1"): value.decode("latin-1")[:_LONGEST] for name, value in scope["headers"]}
    asked = dict(scope)
    scheme, host = _forwarded(headers)
    if scheme in _SCHEMES:
        asked["scheme"] = scheme
    if _HOST.fullmatch(host):
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        asked["headers"] = [*others, (b"host", host.encode())]
    prefix = headers.get("x-forwarded-prefix", "").strip().rstrip("/")
    if _PREFIX.fullmatch(prefix):
        asked["root_path"] = prefix + scope.get("root_path", "")
        asked["path"] = prefix + scope["path"]
    return asked


def _forwarded(headers: Mapping[str, str]) -> tuple[str, str]:
    """Scheme and host that the client asked for, empty where no header tells."""
    if "forwarded" in headers:
        pairs = [part.partition("=") for part in headers["forwarded"].split(",")[0].split(";")]
        told = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
        return told.get("proto", "").lower(), told.get("host", "")
    return headers.get("x-forwarded-proto", "").strip().lower(), headers.get("x-forwarded-host", "").strip()
