"""A house behind a real HTTP server on a port of its own, for what a client in the same thread cannot see."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from kilonova.bootstrap import application
from tests.plane.house import House
from tests.waiting import wait_until


class Reply:
    """One reply, read line by line as it comes."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.request("GET", path, headers=headers)
        self._reply = self.connection.getresponse()
        self.status = self._reply.status
        self.content_type = self._reply.headers["Content-Type"]

    def line(self) -> str:
        """The next line, empty at the end."""
        return self._reply.readline().decode()

    def document(self) -> dict[str, Any]:
        """The next line as JSON."""
        found: dict[str, Any] = json.loads(self.line())
        return found

    def rest(self) -> str:
        """All that is left."""
        return self._reply.read().decode()

    def close(self) -> None:
        """Go away."""
        self._reply.close()
        self.connection.close()


class Served:
    """Where a house is served."""

    def __init__(self, house: House, port: int) -> None:
        self.house = house
        self.port = port
        self._replies: list[Reply] = []

    def get(
        self, path: str, accept: str = "application/json", *, who: tuple[str, str] = ("admin", "demo"), **more: str
    ) -> Reply:
        """A request below ``/state/v1``."""
        headers = {
            "X-Auth-Token": self.house.token(*who),
            "Accept": accept,
            **{k.replace("_", "-"): v for k, v in more.items()},
        }
        self._replies.append(Reply(self.port, f"/state/v1{path}", headers))
        return self._replies[-1]

    def hang_up(self) -> None:
        """Close every connection."""
        for reply in self._replies:
            reply.close()


@contextmanager
def served(house: House, *, has_console: bool = False) -> Iterator[Served]:
    """The house's application in a thread of its own, with the console if wanted."""
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}" if has_console else None
    config = uvicorn.Config(
        application(house.cloud, base=base), log_config=None, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the server's start")
    try:
        site = Served(house, listener.getsockname()[1])
        yield site
        site.hang_up()
        wait_until(lambda: not server.server_state.connections, "the end of every connection")
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
