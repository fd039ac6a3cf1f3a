"""``kilonova up``: the whole cloud in one process."""

import gc
import logging
import secrets
import socket
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

import click

from kilonova import __version__
from kilonova.bootstrap import Cloud, application, build
from kilonova.cli.clouds import Account, Written, find_password, remember
from kilonova.config import load
from kilonova.domain.errors import Unusable

_LOG_BYTES = 10 << 20


@click.command(name="up")
@click.option("--driver", help="auto (default), qemu or simulated.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where everything lives.")
@click.option("--listen", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default 8774).")
@click.option("--simulate-hosts", type=click.IntRange(min=1), help="Hosts of the simulated driver (default 1).")
@click.option("--config-file", "files", type=click.Path(path_type=Path), multiple=True, help="Settings (TOML).")
@click.option("--debug", is_flag=True, help="Log more, and to the terminal too.")
def command(*, files: tuple[Path, ...], debug: bool, **wanted: object) -> None:
    """Start a cloud on this machine; Ctrl-C stops it, and the next start finds everything as it was."""
    began = time.monotonic()
    settings = load(
        files,
        overrides={
            ("kilonova", name): str(value) if isinstance(value, Path) else value for name, value in wanted.items()
        },
    )
    listener = _bind(settings.kilonova.listen, settings.kilonova.port)
    cloud = build(settings)
    _log_to(cloud.state_dir / "kilonova.log", debug=debug)
    base = f"http://{_shown(settings.kilonova.listen)}:{listener.getsockname()[1]}"
    written = _first_start(cloud, base)
    cloud.plane.start()
    try:
        _tell(cloud, base, written, seconds=time.monotonic() - began)
        _serve(cloud, listener)
    finally:
        click.echo("Stopping …", err=True)
        cloud.plane.stop()
        cloud.database.close()
        click.echo("Stopped. Servers that were running still are; the next start finds them.", err=True)


def _bind(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise Unusable(
            f"Cannot listen on {address} port {port}: {error.strerror}. Choose another with --port."
        ) from error
    listener.listen(1024)
    return listener


def _shown(address: str) -> str:
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
    return anywhere.get(address, f"[{address}]" if ":" in address else address)


def _log_to(file: Path, *, debug: bool) -> None:
    to_file = RotatingFileHandler(file, maxBytes=_LOG_BYTES, backupCount=3, encoding="utf-8")
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.DEBUG if debug else logging.WARNING)
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        handlers=[to_file, to_terminal],
    )
    file.chmod(0o600)


def _first_start(cloud: Cloud, base: str) -> Written | None:
    """Make the accounts and the images that every cloud has; tells where the password went, if it is new.

    The password is kept before the account is made: a start that is cut off between the two loses nothing.
    """
    if cloud.has_accounts():
        cloud.ensure_basics(password="")
        return None
    account = Account(
        auth_url=f"{base}/identity/v3",
        username="admin",
        password=find_password(cloud.state_dir) or secrets.token_urlsafe(18),
        project="demo",
        region="RegionOne",
    )
    written = remember(account, beside=cloud.state_dir)
    cloud.ensure_basics(password=account.password)
    return written


def _tell(cloud: Cloud, base: str, written: Written | None, *, seconds: float) -> None:
    lines = [
        f"Kilonova {__version__} is up after {seconds:.1f} s",
        "",
        f"  compute    {base}/compute/v2.1",
        f"  identity   {base}/identity/v3",
        f"  images     {base}/image/v2",
        f"  driver     {cloud.driver_name}: {cloud.driver_reason}",
        f"  state      {cloud.state_dir}",
    ]
    if written:
        lines += [
            f"  sign in    admin, password {written.password} (shown this once)",
            f"             kept in {written.told}",
        ]
    lines += ["", "Try", f"  {_next_line(cloud, written)}", "", "Ctrl-C stops it."]
    click.echo("\n".join(lines))
    sys.stdout.flush()


def _next_line(cloud: Cloud, written: Written | None) -> str:
    where = f"OS_CLIENT_CONFIG_FILE={written.file} " if written and not written.is_default else ""
    name = written.cloud if written else "kilonova"
    del cloud
    return f"{where}openstack --os-cloud {name} server create --flavor m1.tiny --image tiny --wait web1"


def _serve(cloud: Cloud, listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        application(cloud),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    # What was made so far lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        click.echo("", err=True)
