"""The figures of the embedded plane: start, memory, time to boot, and reads beside bare SQL and JSON.

    .venv/bin/python -m bench.plane [--servers 1000] [--rounds 300] [--markdown bench/RESULTS.md]

Reads are measured against a bare server in the same run, request by request in turn: the same HTTP server (uvicorn,
uvloop, httptools), one SELECT of the same rows by the standard library's sqlite3, and msgspec to encode them. Times
are of the client, over a kept-alive connection on the loopback, with the token checked on Kilonova's side only.
"""

import argparse
import http.client
import json
import os
import platform
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

BIN = Path(sys.executable).parent


class Client:
    """One kept-alive connection."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = headers or {}

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, bytes, http.client.HTTPMessage]:
        sent = {"Content-Type": "application/json", **self._headers}
        self._connection.request(method, path, None if body is None else json.dumps(body), sent)
        reply = self._connection.getresponse()
        return reply.status, reply.read(), reply.headers

    def timed(self, path: str) -> float:
        began = time.perf_counter()
        status, _, _ = self.request("GET", path)
        taken = time.perf_counter() - began
        if status != 200:
            raise SystemExit(f"GET {path} answered {status}")
        return taken


@contextmanager
def started(home: Path, driver: str, *more: str) -> Iterator[tuple[int, int, float]]:
    """A ``kilonova up``: its port, its process id, and the seconds until it first answered."""
    environment = {**os.environ, "HOME": str(home), "OS_CLIENT_CONFIG_FILE": str(home / "clouds.yaml")}
    began = time.perf_counter()
    process = subprocess.Popen(
        [BIN / "kilonova", "up", "--driver", driver, "--state-dir", str(home / "state"), "--port", "0", *more],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    port = 0
    for line in process.stdout:
        found = re.search(r"compute +http://127.0.0.1:(\d+)/", line)
        port = int(found.group(1)) if found else port
        if line.startswith("Ctrl-C"):
            break
    status, _, _ = Client(port).request("GET", "/compute/")
    assert status == 200
    try:
        yield port, process.pid, time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def signed_in(home: Path, port: int) -> Client:
    """A client with a token, at the newest microversion."""
    auth = yaml.safe_load((home / "state/clouds.yaml").read_text())["clouds"]["kilonova"]["auth"]
    domain = {"name": "Default"}
    user = {"name": auth["username"], "password": auth["password"], "domain": domain}
    scope = {"project": {"name": auth["project_name"], "domain": domain}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    status, _, headers = Client(port).request("POST", "/identity/v3/auth/tokens", body)
    assert status == 201
    token = headers["X-Subject-Token"]
    return Client(port, {"X-Auth-Token": token, "OpenStack-API-Version": "compute latest"})


def rss_mb(pid: int) -> float:
    """Resident memory of a process, in MB of 10^6 bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return int(found.group(1)) * 1024 / 1e6


def boot_once(client: Client, image: str, name: str) -> float:
    """Seconds from POST to the first GET that says ACTIVE."""
    order = {"server": {"name": name, "flavorRef": "42", "imageRef": image, "networks": "none"}}
    began = time.perf_counter()
    status, body, _ = client.request("POST", "/compute/v2.1/servers", order)
    assert status == 202, body
    path = f"/compute/v2.1/servers/{json.loads(body)['server']['id']}"
    while True:
        shown = json.loads(client.request("GET", path)[1])["server"]["status"]
        if shown != "BUILD":
            assert shown == "ACTIVE", shown
            break
    taken = time.perf_counter() - began
    client.request("DELETE", path)
    while client.request("GET", path)[0] != 404:
        time.sleep(0.01)
    return taken


def fill(home: Path, client: Client, count: int) -> str:
    """Boot one server and copy its row until there are ``count``; the id of one of them."""
    image = json.loads(client.request("GET", "/image/v2/images")[1])["images"][0]["id"]
    order = {
        "name": "web",
        "flavorRef": "1",
        "imageRef": image,
        "networks": "auto",
        "metadata": {"role": "web", "tier": "front"},
        "tags": ["one", "two"],
    }
    status, body, _ = client.request("POST", "/compute/v2.1/servers", {"server": order})
    assert status == 202, body
    uuid: str = json.loads(body)["server"]["id"]
    while json.loads(client.request("GET", f"/compute/v2.1/servers/{uuid}")[1])["server"]["status"] != "ACTIVE":
        time.sleep(0.05)
    database = sqlite3.connect(home / "state/kilonova.sqlite", timeout=30)
    columns = [row[1] for row in database.execute("PRAGMA table_info(instances)") if row[1] not in ("id", "uuid")]
    names = ", ".join(columns)
    for number in range(count - 1):
        database.execute(
            f"INSERT INTO instances (uuid, {names}) SELECT ?, {names} FROM instances WHERE uuid = ?",  # noqa: S608
            (f"00000000-0000-4000-8000-{number:012d}", uuid),
        )
    database.commit()
    database.close()
    return uuid


@contextmanager
def bare(database: Path, project: str) -> Iterator[int]:
    """The bare server over the same file; its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bare", str(database), project], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


def in_turn(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[float, float]:
    """The medians of both, in milliseconds, taken request by request in turn after a warm-up."""
    pairs = [(ours(), theirs()) for _ in range(rounds + rounds // 10)][rounds // 10 :]
    return statistics.median(a for a, _ in pairs) * 1e3, statistics.median(b for _, b in pairs) * 1e3


def measure(servers: int, rounds: int) -> list[tuple[str, str]]:
    """All figures, as (what, figure)."""
    figures = []
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        with started(home, "qemu") as (port, pid, seconds):
            client = signed_in(home, port)
            figures += [("first start until it answers", f"{seconds:.2f} s")]
            image = json.loads(client.request("GET", "/image/v2/images")[1])["images"][0]["id"]
            boots = [boot_once(client, image, f"tiny{number}") for number in range(10)]
            figures += [("POST to ACTIVE, tiny guest on QEMU, median of 10", f"{statistics.median(boots):.2f} s")]
        later, memory = [], 0.0
        for _ in range(5):
            with started(home, "qemu") as (_, pid, seconds):
                later.append(seconds)
                memory = rss_mb(pid)
        figures += [
            ("later start until it answers, median of 5", f"{statistics.median(later):.2f} s"),
            ("resident memory after a start", f"{memory:.0f} MB"),
        ]
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        with started(home, "simulated") as (port, pid, _):
            client = signed_in(home, port)
            uuid = fill(home, client, servers)
            shown = json.loads(client.request("GET", f"/compute/v2.1/servers/{uuid}")[1])["server"]
            with bare(home / "state/kilonova.sqlite", shown["tenant_id"]) as bare_port:
                other = Client(bare_port)
                one = in_turn(
                    lambda: client.timed(f"/compute/v2.1/servers/{uuid}"), lambda: other.timed(f"/{uuid}"), rounds * 5
                )
                detail = f"/compute/v2.1/servers/detail?limit={servers}"
                many = in_turn(lambda: client.timed(detail), lambda: other.timed("/"), rounds)
            figures += [
                ("GET /servers/{id}: median, bare, ratio", f"{one[0]:.2f} ms, {one[1]:.2f} ms, {one[0] / one[1]:.2f}"),
                (
                    f"GET /servers/detail?limit={servers}: median, bare, ratio",
                    f"{many[0]:.1f} ms, {many[1]:.1f} ms, {many[0] / many[1]:.2f}",
                ),
                (f"resident memory after that, {servers} servers", f"{rss_mb(pid):.0f} MB"),
            ]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--markdown", type=Path)
    wanted = parser.parse_args()
    rows = "".join(f"| {what} | {figure} |\n" for what, figure in measure(wanted.servers, wanted.rounds))
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}\n\n| figure | |\n|---|---|\n{rows}")
    if wanted.markdown:
        wanted.markdown.write_text(
            f"# Figures of the embedded plane\n\nMade by `python -m bench.plane --markdown {wanted.markdown}`"
            f" on {time.strftime('%Y-%m-%d')} ({machine}; SQLite).\n\n| figure | |\n|---|---|\n{rows}"
        )


if __name__ == "__main__":
    main()
