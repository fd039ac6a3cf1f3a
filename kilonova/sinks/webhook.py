"""The webhook: messages by POST, signed, to an address that an administrator gave.

The body is ``{"first", "last", "messages": [{"seq", "routing_key", "message"}]}``. ``X-Kilonova-Signature`` is
``t=<seconds>,v1=<hex>``, the HMAC-SHA256 under the sink's secret of ``<seconds>.<body>``, so that a receiver can tell
who sent it and when; ``X-Kilonova-Delivery`` is the same for the same messages, however often they are sent. Anything
but 2xx is a failure. Redirects are not followed, and nothing is sent to addresses that only this machine's own
network segment knows, such as those under which clouds tell their guests secrets.
"""

import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit
from uuid import UUID, uuid5

from kilonova import __version__
from kilonova.domain.errors import Invalid
from kilonova.domain.options import option
from kilonova.sinks import Parcel, Undelivered, document

_NAMESPACE: Final = UUID("b1a3e9d2-54c4-5b3e-8f2b-0d3c3d1f6c11")
_MOST_ANSWER_BYTES: Final = 500
_LEAST_SECRET: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """What a webhook can be told."""

    url: str = option("", "Address that is posted to: http or https.")
    secret: str = option("", "Secret under which bodies are signed, of 16 characters or more.")
    timeout_seconds: float = option(10.0, "Seconds that an answer may take.", least=0.1, most=14)
    format: str = option("", "Which notifications: unversioned, versioned or both; empty for the general setting.")


def check_webhook(settings: WebhookSettings) -> None:
    """Invalid where the address is none, or the secret too short."""
    address = _address(settings.url)
    if address is None:
        raise Invalid("A webhook's url is an http or https address without a user in it.")
    if len(settings.secret) < _LEAST_SECRET:
        raise Invalid(f"A webhook's secret has {_LEAST_SECRET} characters or more.")


class WebhookSink:
    """Posts over one connection that is kept open between deliveries."""

    keeps_log = True
    takes_gaps = True
    most_parcels = 100

    def __init__(self, settings: WebhookSettings) -> None:
        check_webhook(settings)
        address = _address(settings.url)
        if address is None:
            raise Invalid("A webhook's url is an http or https address without a user in it.")
        self._address = address
        self._settings = settings
        self._connection: http.client.HTTPConnection | None = None

    def deliver(self, parcels: Iterable[Parcel], *, timeout_seconds: float) -> str:
        """One POST. Undelivered for anything but a 2xx: then nothing counts."""
        parcels = list(parcels)
        body = _body(parcels)
        try:
            status, text = self._post(body, _headers(body, parcels, self._settings.secret))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Undelivered(f"{self._address.netloc} cannot be reached: {_told(error)}") from error
        if not 200 <= status < 300:
            raise Undelivered(f"answered {status}: {text}")
        return f"answered {status}"

    def idle(self) -> None:
        """Nothing is ever due."""

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        path = (self._address.path or "/") + (f"?{self._address.query}" if self._address.query else "")
        is_kept = self._connection is not None
        try:
            return self._asked(path, body, headers)
        except (http.client.BadStatusLine, BrokenPipeError, ConnectionResetError):
            if not is_kept:
                raise
            self.close()  # a kept connection may have been closed meanwhile
            return self._asked(path, body, headers)

    def _asked(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        if self._connection is None:
            self._connection = _connection(self._address, self._settings.timeout_seconds)
        self._connection.request("POST", path, body, headers)
        reply = self._connection.getresponse()
        text = reply.read(_MOST_ANSWER_BYTES).decode("utf-8", "replace")
        if reply.will_close or not reply.isclosed():
            self.close()
        return reply.status, text


def _address(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        is_fine = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        return None
    return parts if is_fine and url.isascii() and url.isprintable() and " " not in url else None


def _body(parcels: Sequence[Parcel]) -> bytes:
    messages = b",".join(map(document, parcels))
    return b'{"first":%d,"last":%d,"messages":[%b]}' % (parcels[0].seq, parcels[-1].seq, messages)


def _headers(body: bytes, parcels: Sequence[Parcel], secret: str) -> dict[str, str]:
    now = int(time.time())
    signature = hmac.new(secret.encode(), b"%d.%b" % (now, body), hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "User-Agent": f"kilonova/{__version__}",
        "X-Kilonova-Delivery": str(uuid5(_NAMESPACE, ",".join(each.message_id for each in parcels))),
        "X-Kilonova-Signature": f"t={now},v1={signature}",
    }


def _connection(address: SplitResult, timeout_seconds: float) -> http.client.HTTPConnection:
    host = address.hostname or ""
    if address.scheme == "https":
        return _Tls(host, address.port, timeout=timeout_seconds, context=ssl.create_default_context())
    return _Plain(host, address.port, timeout=timeout_seconds)


class _Plain(http.client.HTTPConnection):
    """Looks at the address it reached before it says anything there: a name may lead anywhere."""

    def connect(self) -> None:
        super().connect()
        _check_peer(self.sock)


class _Tls(http.client.HTTPSConnection):
    """The same over TLS."""

    def connect(self) -> None:
        super().connect()
        _check_peer(self.sock)


def _check_peer(sock: socket.socket) -> None:
    """Refuse to go on where the peer is nobody's public or private server."""
    peer = ipaddress.ip_address(sock.getpeername()[0].partition("%")[0])
    if peer.is_link_local or peer.is_multicast or peer.is_unspecified:
        sock.close()
        raise OSError(f"{peer} is no address for a webhook")


def _told(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
