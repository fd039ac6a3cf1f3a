"""A house with the proxy of its remote consoles on a real port, and clients of it."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from kilonova.cli.proxying import proxying
from kilonova.config import Settings
from tests.plane.house import House


class Proxied:
    """Where a house's consoles are."""

    def __init__(self, house: House, port: int) -> None:
        self.house = house
        self.port = port

    def address(self, server: str, protocol: str = "serial", kind: str = "serial", **who: Any) -> str:
        """The address of a console, as the API tells it."""
        wanted = {"remote_console": {"protocol": protocol, "type": kind}}
        reply = self.house.call("POST", f"/servers/{server}/remote-consoles", wanted, **who)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["remote_console"]["url"])

    def token(self, server: str, **how: Any) -> str:
        """The token in such an address."""
        query = parse_qs(urlsplit(self.address(server, **how)).query)
        return parse_qs(query["path"][0].lstrip("?"))["token"][0] if "path" in query else query["token"][0]

    def connect(
        self, token: str, *, origin: str | None = None, subprotocols: Sequence[str] | None = ("binary",)
    ) -> ClientConnection:
        """A WebSocket with the token. InvalidStatus where it is refused."""
        return connect(
            f"ws://127.0.0.1:{self.port}/?token={token}",
            origin=None if origin is None else Origin(origin),
            subprotocols=None if subprotocols is None else [Subprotocol(name) for name in subprotocols],
            open_timeout=60,
            proxy=None,
        )

    def refusal(self, token: str, **how: Any) -> int:
        """The status with which a WebSocket is refused."""
        try:
            with self.connect(token, **how):
                raise AssertionError("it was let in")
        except InvalidStatus as refused:
            return refused.response.status_code

    def get(self, path: str, method: str = "GET") -> httpx2.Response:
        """A page or file."""
        return httpx2.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=60)


@contextmanager
def proxied(house: House, *, web: str = "/nowhere", **console: Any) -> Iterator[Proxied]:
    """The house's consoles on a port of their own, noVNC from ``web``; ``console`` are settings of ``[console]``."""
    settings: Settings = house.cloud.settings
    settings = replace(
        settings,
        DEFAULT=replace(settings.DEFAULT, web=web),
        console=replace(settings.console, **console),
    )
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, proxying(settings, house.cloud.plane.consoles, listener):
        yield Proxied(house, listener.getsockname()[1])


def read_until(line: ClientConnection, words: str) -> str:
    """What comes over the line until these words have."""
    said = ""
    while words not in said:
        part = line.recv(timeout=60)
        assert isinstance(part, bytes)
        said += part.decode()
    return said
