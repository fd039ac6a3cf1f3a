"""A RabbitMQ of the test's own: a node with a name, ports and a directory that nobody else has, which may be killed."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import amqp

from tests.ports import free_port
from tests.services_available import require_or_skip
from tests.waiting import wait_until

_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_START_SECONDS = 180.0


class OwnBroker:
    """The node: killed with SIGKILL in the middle of whatever it does, it comes up again with what it had on disk."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._name = f"kilonova-{uuid4().hex[:12]}@localhost"
        self.port, self._dist_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        for folder in ("mnesia", "log"):
            (home / folder).mkdir(parents=True)
        (home / "plugins").write_text("[].\n")
        (home / "rabbitmq.conf").write_text("")

    def start(self) -> None:
        """Begin to start; it answers some seconds later."""
        home = self._home
        places = {
            "NODENAME": self._name,
            "NODE_PORT": str(self.port),
            "NODE_IP_ADDRESS": "127.0.0.1",
            "DIST_PORT": str(self._dist_port),
            "MNESIA_BASE": str(home / "mnesia"),
            "LOG_BASE": str(home / "log"),
            "PID_FILE": str(home / "pid"),
            "ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "CONFIG_FILE": str(home / "rabbitmq"),
            "CONF_ENV_FILE": str(home / "nothing"),
            "SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
        }
        own = {f"RABBITMQ_{name}": value for name, value in places.items()}
        with (home / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [str(_program())],
                env={**os.environ, **own, "HOME": str(home)},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill everything of it, as nobody can notice beforehand."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def connect(self) -> amqp.Connection:
        """A connection as guest. OSError while it does not answer."""
        connection = amqp.Connection(f"127.0.0.1:{self.port}", userid="guest", password="guest", login_method="PLAIN")
        try:
            connection.connect()
        except (OSError, amqp.exceptions.AMQPError):
            connection.collect()  # what it had opened before it was cut off
            raise
        return connection

    def answers(self) -> bool:
        """Whether clients are let in."""
        try:
            self.connect().close()
        except (OSError, amqp.exceptions.AMQPError):
            return False
        return True


@contextmanager
def own_broker(home: Path) -> Iterator[OwnBroker]:
    """A node that answers, for as long as a test needs it."""
    made = OwnBroker(home)
    made.start()
    try:
        wait_until(made.answers, "RabbitMQ", within_seconds=_START_SECONDS)
        yield made
    finally:
        made.kill()


def _program() -> Path:
    """The server's own program: the one in the path wants to become another user first."""
    found = _PROGRAM if _PROGRAM.exists() else Path(shutil.which("rabbitmq-server") or "")
    if not found.is_file():
        require_or_skip("rabbitmq-server is not installed")
    return found
