"""Sessions that ended while nobody used them: a server that restarts says so, and that can be seen without asking it.

A question to the server before every read would cost as much as the read. A look at the socket costs microseconds: an
idle session has nothing to say, so whatever is there to be read is most likely its end.
"""

import select
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DisconnectionError


def check_alive(engine: Engine) -> Callable[[Any, Any, Any], None]:
    """What the pool calls with a session before it is used again; a dead one is replaced."""
    dialect = engine.dialect

    def check(dbapi_connection: Any, _record: object, _proxy: object) -> None:
        if not _has_something_to_say(dbapi_connection):
            return
        try:
            is_alive = dialect.do_ping(dbapi_connection)
        except dialect.loaded_dbapi.Error:
            is_alive = False
        if not is_alive:
            raise DisconnectionError("the session ended while nobody used it")

    return check


def _has_something_to_say(dbapi_connection: Any) -> bool:
    """Whether there is something to be read, or no way to know; PyMySQL has its socket, other drivers its number."""
    watched = select.poll()
    try:
        socket = getattr(dbapi_connection, "_sock", dbapi_connection)
        watched.register(socket.fileno(), select.POLLIN)
    except Exception:  # noqa: BLE001  each driver has an error of its own for a session that is no more
        return True
    return bool(watched.poll(0))
