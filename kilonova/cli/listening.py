"""Where a process listens: an address of its own, taken before anything else is made."""

import errno
import socket
from typing import Final

from kilonova.domain.errors import Unusable

KEEP_ALIVE_SECONDS: Final = 75
"""How long a connection may be idle. Longer than clients pause: ``openstack … --wait`` asks every five seconds, and one
that asks in the very moment in which its connection is closed fails."""


def bound(address: str, port: int, *, elsewhere: str = "--port") -> socket.socket:
    """A socket that listens there; Unusable where it cannot, which names ``elsewhere`` as the way to another port."""
    try:
        return listening(address, port)
    except OSError as error:
        raise Unusable(
            f"Cannot listen on {address} port {port}: {error.strerror}. {_advice(error, elsewhere)}"
        ) from error


def _advice(error: OSError, elsewhere: str) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "Choose an address of this machine with --listen."
    running = "Is a Kilonova running there already? " if error.errno == errno.EADDRINUSE else ""
    return f"{running}Choose another with {elsewhere}."


def listening(address: str, port: int) -> socket.socket:
    """The same, for who makes something else of an OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        # In the queue from here on: whoever asks during the start is answered after it.
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def shown(address: str) -> str:
    """The address as it stands in a URL that is opened on this machine."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
    return anywhere.get(address, f"[{address}]" if ":" in address else address)
