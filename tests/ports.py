"""Ports for servers that the tests start, and may kill and start again."""

import os
import secrets
import socket
from typing import Final

_PORTS: Final = range(20_000, 32_000)
"""Below those that Linux gives to whoever asks for any port (``ip_local_port_range``): so it gives none of ours away,
neither before its server listens nor while that is dead."""
_WORKERS: Final = 8
"""Test workers that run beside one another and never look at the same ports."""

_given: set[int] = set()


def free_port() -> int:
    """A TCP port of this machine that nobody has now, and that nobody else is given for as long as the tests run."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    mine = _PORTS[worker % _WORKERS :: _WORKERS]
    while True:
        port = secrets.choice(mine)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
