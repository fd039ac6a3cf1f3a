"""A started cloud: ``kilonova up`` as a process of its own, and the real clients pointed at it by its clouds.yaml."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

BIN = Path(sys.executable).parent


class StartedCloud:
    """One ``kilonova up``. Everything it writes, the user's configuration included, is below ``home``."""

    def __init__(self, home: Path, *, driver: str, port: int = 0, options: Sequence[str] = ()) -> None:
        """``options`` are more of what ``kilonova up`` takes."""
        self.home = home
        self.state_dir = home / "state"
        self.driver = driver
        self.output = ""
        self.base = ""
        self._complaints = home / "complaints"
        self._port = port
        self._options = options
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OS_", "KILONOVA_"))},
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_DATA_HOME": str(home / ".local/share"),
            "XDG_CACHE_HOME": str(home / ".cache"),
        }
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> float:
        """Start it and wait until it answers; returns the seconds that took."""
        began = time.monotonic()
        arguments = ["up", "--driver", self.driver, "--state-dir", str(self.state_dir), "--port", str(self._port)]
        arguments += self._options
        with self._complaints.open("w") as complaints:  # nobody reads them meanwhile: a pipe would be full at some time
            self._process = subprocess.Popen(
                [BIN / "kilonova", *arguments],
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            )
        self.output = self._read_banner()
        found = re.search(r"compute +(http://\S+)/compute/v2.1", self.output)
        assert found, f"no address in {self.output!r}: {self._complaints.read_text()}"
        self.base = found.group(1)
        self._port = int(self.base.rsplit(":", 1)[1])
        httpx.get(f"{self.base}/compute/", timeout=60).raise_for_status()
        return time.monotonic() - began

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process
        return self._process.pid

    def stop(self, how: int = signal.SIGINT) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        assert self._process
        process, self._process = self._process, None
        process.send_signal(how)
        process.communicate(timeout=100)
        self.output += self._complaints.read_text()
        return process.returncode

    def close(self) -> None:
        """Stop it if it still runs, whatever the test came to."""
        if self._process:
            self.stop()

    def openstack(self, *arguments: str, fails: bool = False) -> str:
        """Run the real ``openstack`` command against the cloud; its output (its complaint, if it is to fail)."""
        done = subprocess.run(
            [BIN / "openstack", "--os-cloud", "kilonova", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert (done.returncode != 0) is fails, f"openstack {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    def table(self, *arguments: str) -> Any:
        """The same, as data."""
        return json.loads(self.openstack(*arguments, "-f", "json"))

    def _read_banner(self) -> str:
        assert self._process
        assert self._process.stdout
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        return "".join(lines)


@contextmanager
def simulated_cloud(home: Path, *options: str) -> Iterator[StartedCloud]:
    """A cloud on simulated guests, for where what is tried is the client; ``options`` as of StartedCloud."""
    started = StartedCloud(home, driver="simulated", options=options)
    try:
        started.start()
        yield started
    finally:
        started.close()
