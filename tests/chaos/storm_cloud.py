"""The cloud that a storm blows over: ``kilonova up`` as a process of its own, which can be killed and started again."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import httpx

from kilonova.cli.clouds import find_password
from tests.ports import free_port

BIN = Path(sys.executable).parent
_SETTINGS = """
[kilonova]
simulate_pace = 0.2
[DEFAULT]
report_interval = 1
service_down_time = 8
instance_lease = 3
sync_power_state_interval = 20
reclaim_instance_interval = 20
shelved_offload_time = 15
shelved_poll_interval = 5
operation_deadlines = "{deadlines}"
[quota]
instances = -1
cores = -1
ram = -1
"""


class StormCloud:
    """Simulated hosts; on some of them the agent dies now and then, and some verbs fail."""

    def __init__(self, home: Path, *, hosts: int, seed: int, deadlines: str, also: Path | None = None) -> None:
        """``also`` are further settings, which win."""
        self.state_dir = home / "state"
        self._also = ["--config-file", str(also)] if also else []
        self._home = home
        self._hosts = hosts
        self._base = ""
        self._port = free_port()  # it comes back to the same one
        self._process: subprocess.Popen[str] | None = None
        self._token = ""
        self._client = httpx.Client(timeout=120)
        self._settings = home / "storm.toml"
        self._settings.write_text(_SETTINGS.format(deadlines=deadlines))
        self._log = home / "plane.log"
        self._scenario = home / "storm.yaml"
        self._scenario.write_text(_scenario(hosts, seed))

    def start(self, *, is_calm: bool = False) -> None:
        """Start it, with its troubles or calmly, and wait until it answers."""
        arguments = ["up", "--driver", "simulated", "--state-dir", str(self.state_dir), "--port", str(self._port)]
        arguments += ["--simulate-hosts", str(self._hosts), "--config-file", str(self._settings), *self._also]
        arguments += [] if is_calm else ["--scenario", str(self._scenario)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "KILONOVA_"))}
        with self._log.open("ab") as log:  # nobody reads along: a pipe would fill, and the plane stand still
            self._process = subprocess.Popen(
                [BIN / "python", "-m", "kilonova", *arguments],
                env={**environment, "HOME": str(self._home), "XDG_CONFIG_HOME": str(self._home / ".config")},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._base = self._address(self._process)
        self._token = self._token or self._sign_in()

    def guests(self) -> list[tuple[str, str, bool]]:
        """Host, server and whether it is set aside, of every guest that there is."""
        found = []
        for file in (self.state_dir / "simulated").glob("*/guests/*.json"):
            uuid, _, rest = file.name.partition(".")
            found.append((file.parent.parent.name, uuid, rest == "aside.json"))
        return found

    def kill(self) -> None:
        """Kill it as nobody can notice beforehand."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            if self._process.stdout:
                self._process.stdout.close()
            self._process = None

    def close(self) -> None:
        """Kill it for good, and let go of the connections to it."""
        self.kill()
        self._client.close()

    def call(self, method: str, path: str, body: Any = None, *, version: str | None = None) -> httpx.Response:
        """One request to the compute API, or elsewhere with ``//``."""
        url = f"{self._base}{path[1:]}" if path.startswith("//") else f"{self._base}/compute/v2.1{path}"
        headers = {"X-Auth-Token": self._token}
        if version:
            headers["OpenStack-API-Version"] = f"compute {version}"
        return self._client.request(method, url, json=body, headers=headers)

    def _address(self, process: "subprocess.Popen[str]") -> str:
        told = ""
        assert process.stdout
        for line in process.stdout:
            told += line
            found = re.search(r"compute +(http://\S+)/compute/v2.1", line)
            if found:
                return found.group(1)
        raise AssertionError(f"it did not start: {told}{self._log.read_text()[-5000:]}")

    def _sign_in(self) -> str:
        domain = {"id": "default"}
        user = {"name": "admin", "domain": domain, "password": find_password(self.state_dir)}
        scope = {"project": {"name": "demo", "domain": domain}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        reply = self._client.post(f"{self._base}/identity/v3/auth/tokens", json=body)
        assert reply.status_code == 201, reply.text
        return reply.headers["X-Subject-Token"]


def _scenario(hosts: int, seed: int) -> str:
    """Agents that die in turn for longer or shorter than it takes to notice, and verbs that fail by chance."""
    random = Random(seed)  # noqa: S311 - chances of a test, the same each time
    lines = [f"seed: {seed}", "rules:", "  - {chance: 0.03, fail: true}", "  - {chance: 0.02, delay: 10s}", "events:"]
    for number in range(1, hosts + 1):
        at, last, repeat = random.uniform(3, 40), random.uniform(2, 14), random.uniform(40, 80)
        lines.append(
            f"  - {{at: {at:.1f}s, host: '*-{number}', do: agent_dies, for: {last:.1f}s, repeat: {repeat:.1f}s}}"
        )
    return "\n".join(lines) + "\n"
