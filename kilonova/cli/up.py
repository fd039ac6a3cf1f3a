"""``kilonova up``: the whole cloud in one process."""

import gc
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import click

from kilonova import __version__
from kilonova.bootstrap import Cloud, application, build
from kilonova.bootstrap_consoles import has_consoles
from kilonova.cli.clouds import Access, Account, find_password, recall, remember
from kilonova.cli.listening import KEEP_ALIVE_SECONDS, bound, shown
from kilonova.cli.logs import log_to
from kilonova.cli.proxying import bound_for_consoles, proxying
from kilonova.config import load
from kilonova.proxy.pages import find_novnc


@click.command(name="up")
@click.option("--driver", help="auto (default), qemu, libvirt or simulated.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where everything lives.")
@click.option("--listen", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default 8774).")
@click.option("--simulate-hosts", type=click.IntRange(min=1), help="Hosts that this machine stands for (default 1).")
@click.option("--simulate-nodes", type=click.IntRange(min=1), help="Nodes of each simulated host (default 1).")
@click.option("--scenario", type=click.Path(path_type=Path), help="What goes wrong on simulated hosts (YAML).")
@click.option("--config-file", "files", type=click.Path(path_type=Path), multiple=True, help="Settings (TOML).")
@click.option("--debug", is_flag=True, help="Log more, and to the terminal too.")
def command(*, files: tuple[Path, ...], debug: bool, **wanted: object) -> None:
    """Start a cloud on this machine; Ctrl-C stops it, and the next start finds everything as it was."""
    began = time.monotonic()
    # Whoever ends the process asks it to stop as Ctrl-C does; and what it keeps is its owner's alone.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.umask(0o077)
    settings = load(
        files,
        overrides={
            ("kilonova", name): str(value) if isinstance(value, Path) else value for name, value in wanted.items()
        },
    )
    # The address first: where it is taken, nothing is made.
    with (
        suppress(KeyboardInterrupt),
        bound(settings.kilonova.listen, settings.kilonova.port, elsewhere="--port (make up PORT=…)") as listener,
        bound_for_consoles(settings) as screens,
        closing(build(settings)) as cloud,
    ):
        log_to(cloud.state_dir / "kilonova.log", debug=debug)
        base = f"http://{shown(settings.kilonova.listen)}:{listener.getsockname()[1]}"
        access = _first_start(cloud, base)
        cloud.plane.start()
        with proxying(settings, cloud.plane.consoles, screens):
            _serve(cloud, base, listener, lambda: _tell(cloud, base, access, seconds=time.monotonic() - began))
        click.echo("Stopping …", err=True)
        _drain(cloud)
    click.echo("Stopped. Servers that were running still are; the next start finds them.", err=True)


def _drain(cloud: Cloud) -> None:
    """Let end what is in hand, for as long as the settings allow; who asks once more does not wait for it."""
    seconds = cloud.settings.DEFAULT.graceful_shutdown_timeout
    if not cloud.plane.drain(seconds=seconds, tell=lambda text: click.echo(f"{text} …", err=True)):
        click.echo("What did not end is handed back, and goes on at the next start.", err=True)


def _first_start(cloud: Cloud, base: str) -> Access:
    """Make the accounts and the images that every cloud has; tells how clients sign in.

    The password is kept before the account is made: a start that is cut off between the two loses nothing.
    """
    is_new = not cloud.has_accounts()
    password = find_password(cloud.state_dir) or (secrets.token_hex(16) if is_new else None)
    account = Account(
        auth_url=f"{base}/identity/v3", username="admin", password=password or "", project="demo", region="RegionOne"
    )
    access = remember(account, beside=cloud.state_dir) if is_new else recall(account, beside=cloud.state_dir)
    cloud.ensure_basics(password=account.password)
    return access


def _tell(cloud: Cloud, base: str, access: Access, *, seconds: float) -> None:
    lines = [
        f"Kilonova {__version__} is up after {seconds:.1f} s",
        "",
        f"  compute    {base}/compute/v2.1",
        f"  identity   {base}/identity/v3",
        f"  images     {base}/image/v2",
        f"  network    {base}/network/v2.0",
        f"  console    {base}/console/",
        *_told_of_consoles(cloud),
        f"  driver     {cloud.driver_name}: {cloud.driver_reason}",
        f"  state      {cloud.state_dir}",
    ]
    if access.is_new:
        lines += [f"  sign in    admin, password {access.password} (shown this once)"]
    lines += [f"             kept in {access.told}"] if access.is_new else [f"  sign in    {access.told}"]
    lines += ["", "Try", *(f"  {command}" for command in access.commands(sys.argv[0])), "", "Ctrl-C stops it."]
    click.echo("\n".join(lines))
    sys.stdout.flush()


def _told_of_consoles(cloud: Cloud) -> list[str]:
    """The line of the proxy of remote consoles, where there is one."""
    if not has_consoles(cloud.settings):
        return []
    place = shown(cloud.settings.vnc.novncproxy_host or cloud.settings.kilonova.listen)
    lacks = "" if find_novnc(cloud.settings.DEFAULT.web) else " (noVNC is not installed)"
    return [f"  screens    http://{place}:{cloud.plane.consoles.port}/{lacks}"]


def _serve(cloud: Cloud, base: str, listener: socket.socket, tell: Callable[[], None]) -> None:
    """Serve until a signal comes; ``tell`` is called once the first request would be answered."""
    import uvicorn

    from kilonova.cli.connections import served_so

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            tell()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            cloud.plane.audience.dismiss()
            await super().shutdown(sockets)

    config = served_so(
        application(cloud, base=base),
        loop="uvloop",
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,
    )
    # What was made so far lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    # Once it has stopped, uvicorn raises the signal again that stopped it.
    with suppress(KeyboardInterrupt):
        Server(config).run(sockets=[listener])
