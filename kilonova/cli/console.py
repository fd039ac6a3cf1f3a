"""``kilonova console``: the console alone, before any Nova cloud."""

import re
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from kilonova.api.front import Front
from kilonova.cli.listening import KEEP_ALIVE_SECONDS, bound, shown
from kilonova.cli.logs import log_to_terminal
from kilonova.console.accounts import Place, find_place
from kilonova.console.intake import Bus, Listener, Notices
from kilonova.wire.transport_url import TransportUrlMalformed

_TOPICS = ("notifications", "versioned_notifications")


@click.command(name="console")
@click.option("--os-cloud", help="Which cloud of clouds.yaml; $OS_CLOUD, or this machine's own.")
@click.option("--auth-url", help="Its identity service instead, such as https://cloud.example:5000/v3.")
@click.option("--listen", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8775, show_default=True, help="Port to listen on.")
@click.option(
    "--transport-url",
    envvar="KILONOVA_CONSOLE_TRANSPORT_URL",
    help="Nova's message bus, as in its configuration; better in $KILONOVA_CONSOLE_TRANSPORT_URL, it has a password.",
)
@click.option("--exchange", default="nova", show_default=True, help="Nova's control_exchange.")
@click.option(
    "--topic", "topics", multiple=True, default=_TOPICS, show_default=True, help="Of notifications; may be repeated."
)
@click.option("--ca-file", type=click.Path(path_type=Path, exists=True), help="Who signed the brokers' certificates.")
@click.option("--debug", is_flag=True, help="Log more.")
def command(  # noqa: PLR0913 - an option each
    *,
    os_cloud: str | None,
    auth_url: str | None,
    listen: str,
    port: int,
    transport_url: str | None,
    exchange: str,
    topics: tuple[str, ...],
    ca_file: Path | None,
    debug: bool,
) -> None:
    """Serve the console of a cloud that runs elsewhere, a Kilonova or any other Nova, until Ctrl-C.

    Who comes signs in with the cloud's own account. With --transport-url it shows what Nova's message bus tells.
    """
    log_to_terminal(debug=debug)
    if auth_url and not re.match("https?://.", auth_url):
        raise click.BadParameter(f"{auth_url!r} is no address that begins with http.", param_hint="--auth-url")
    place = find_place(os_cloud, auth_url)
    bus = _bus(transport_url, exchange, topics, ca_file) if transport_url else None
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), bound(listen, port) as listener, _heard(bus) as notices:
        click.echo(f"The console of {place.auth_url} is at http://{shown(listen)}:{listener.getsockname()[1]}/console/")
        if bus is not None:
            click.echo(f"It hears {bus.place}")
        click.echo("Ctrl-C stops it.")
        _serve(place, notices, listener)


def _bus(url: str, exchange: str, topics: Sequence[str], ca_file: Path | None) -> Bus:
    try:
        return Bus(url=url, exchange=exchange, topics=tuple(topics), ca_file=str(ca_file or ""))
    except TransportUrlMalformed as error:
        raise click.BadParameter(str(error), param_hint="--transport-url") from error


@contextmanager
def _heard(bus: Bus | None) -> Iterator[Notices | None]:
    """What the bus tells, for as long as it is listened to; None where there is none to listen to."""
    if bus is None:
        yield None
        return
    notices = Notices(bus.place)
    listener = Listener(bus, notices)
    listener.start()
    try:
        yield notices
    finally:
        listener.stop()


def _serve(place: Place, notices: Notices | None, listener: socket.socket) -> None:
    import uvicorn

    from kilonova.cli.connections import served_so
    from kilonova.console.web.app import Console

    config = served_so(
        Front({"/console": Console(place, notices=notices, asks_domain=True).application()}),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listener])
