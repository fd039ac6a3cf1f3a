"""The proxy of remote consoles, on a thread and an event loop of its own: screens must not keep the API waiting."""

import errno
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from kilonova.bootstrap_consoles import console_application, has_consoles
from kilonova.cli.listening import listening
from kilonova.config import Settings
from kilonova.domain.errors import Unusable
from kilonova.services.consoles import Consoles

if TYPE_CHECKING:
    import uvicorn

_log = logging.getLogger(__name__)
_MOST_MESSAGE_BYTES: Final = 1 << 20
_STOP_SECONDS: Final = 5


@contextmanager
def bound_for_consoles(settings: Settings) -> Iterator[socket.socket | None]:
    """The port of the proxy of consoles; None where there are none.

    Any other that is free does as well where addresses of consoles name the port that it is. Unusable where they do
    not, or the address is none of this machine.
    """
    if not has_consoles(settings):
        yield None
        return
    address, port = settings.vnc.novncproxy_host or settings.kilonova.listen, settings.vnc.novncproxy_port
    is_fixed = bool(settings.vnc.novncproxy_base_url or settings.serial_console.base_url)
    try:
        listener = listening(address, port)
    except OSError as error:
        if is_fixed or error.errno != errno.EADDRINUSE:
            raise Unusable(
                f"Cannot listen on {address} port {port}, for remote consoles: {error.strerror}. "
                "Choose another with novncproxy_port in [vnc]."
            ) from error
        listener = listening(address, 0)
    with listener:
        yield listener


@contextmanager
def proxying(settings: Settings, consoles: Consoles, listener: socket.socket | None) -> Iterator[None]:
    """Serve consoles on the listener for as long as the context lasts; nothing where there is none."""
    if listener is None:
        yield
        return
    import uvicorn

    from kilonova.cli.connections import MOST_CONNECTIONS, WebSocketConnection, served_so

    consoles.port = listener.getsockname()[1]
    config = served_so(
        console_application(settings, consoles),
        loop="uvloop",
        ws=WebSocketConnection,
        ws_max_size=_MOST_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        limit_concurrency=MOST_CONNECTIONS,
        log_level="info",  # below that every address, with its token, and every byte is logged
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=_run, args=(server, listener), name="consoles", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_STOP_SECONDS)


def _run(server: "uvicorn.Server", listener: socket.socket) -> None:
    try:
        server.run(sockets=[listener])
    except Exception:  # noqa: BLE001 - whatever it was, the cloud goes on without consoles
        _log.exception("the proxy of remote consoles ended")
