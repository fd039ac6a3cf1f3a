"""The figures of a large fleet: heartbeats, lists beside bare SQL and JSON, and a scrape of the metrics.

    .venv/bin/python -m bench.fleet [--hosts 10000] [--servers 100000] [--rounds 30] [--markdown bench/FLEET.md]

Heartbeats are measured in a process that does nothing else: its CPU time, the statements that it sends to the
database, and its memory. Lists are measured as in ``bench.plane``: request by request in turn with a bare server.
"""

import argparse
import gc
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.plane import Client, bare, fill, in_turn, rss_mb, signed_in, started

_DETAIL = "/os-hypervisors/detail?limit=1000"
_ALL = "status,host,project,az"
_BEATS = """
import json, os, resource, sys, time
from sqlalchemy import event
from kilonova.bootstrap import build
from kilonova.config import load
hosts, seconds, state = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
named = {"driver": "simulated", "state_dir": state, "simulate_hosts": hosts}
cloud = build(load(environment={}, overrides={("kilonova", name): value for name, value in named.items()}))
began = time.perf_counter()
cloud.ensure_basics(password="of-a-benchmark")
cloud.plane.start()
took = time.perf_counter() - began
sent = [0]
for engine in (cloud.database._reads, cloud.database._writes):
    event.listen(engine, "before_cursor_execute", lambda *_: sent.__setitem__(0, sent[0] + 1))
time.sleep(15)
beats, cpu, at, statements = cloud.plane.conductor.beats.heard_total, time.process_time(), time.perf_counter(), sent[0]
time.sleep(seconds)
passed = time.perf_counter() - at
rss = [int(line.split()[1]) * 1024 / 1e6 for line in open("/proc/self/status") if line.startswith("VmRSS")][0]
print(json.dumps({
    "start": took,
    "beats": (cloud.plane.conductor.beats.heard_total - beats) / passed,
    "cpu": (time.process_time() - cpu) / passed,
    "statements": (sent[0] - statements) / passed,
    "rss": rss,
}))
sys.stdout.flush()
os._exit(0)
"""


def beats(hosts: int, seconds: float) -> list[tuple[str, str]]:
    """What it costs to hear the whole fleet, in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [sys.executable, "-c", _BEATS, str(hosts), str(seconds), directory],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found = json.loads(done.stdout)
    return [
        (f"first start with {hosts} hosts, until all are registered", f"{found['start']:.1f} s"),
        ("heartbeats heard, with a look at each hypervisor", f"{found['beats']:.0f} /s"),
        ("CPU for all of it, share of one core", f"{found['cpu'] * 100:.1f} %"),
        ("statements sent to the database", f"{found['statements']:.1f} /s"),
        ("resident memory", f"{found['rss']:.0f} MB"),
    ]


def lists(hosts: int, servers: int, rounds: int) -> list[tuple[str, str]]:
    """Lists beside the bare rows, and the metrics without and with many servers."""
    figures = []
    with tempfile.TemporaryDirectory() as directory:
        home, many = Path(directory), ("--simulate-hosts", str(hosts))
        with started(home, "simulated", *many) as (port, _, _):
            client, scraper = signed_in(home, port), _scraper(home, port)
            with bare(home / "state/kilonova.sqlite", "") as bare_port:
                other = Client(bare_port)
                for what, path, theirs in (
                    (f"GET /os-services ({hosts} rows)", "/compute/v2.1/os-services", "/-/services"),
                    (
                        "GET /os-hypervisors/detail?limit=1000",
                        "/compute/v2.1/os-hypervisors/detail?limit=1000",
                        "/-/nodes",
                    ),
                ):
                    ours, its = in_turn(lambda p=path: client.timed(p), lambda p=theirs: other.timed(p), rounds)  # type: ignore[misc]
                    figures.append((f"{what}: median, bare, ratio", f"{ours:.1f} ms, {its:.1f} ms, {ours / its:.2f}"))
            figures.append(("GET /metrics without a server, median", _scrape(scraper, rounds)))
            fill_many(home, client, servers)
        with started(home, "simulated", *many) as (port, pid, seconds):
            scraper, client = _scraper(home, port), signed_in(home, port)
            figures += [
                (f"later start with {hosts} hosts and {servers} servers", f"{seconds:.1f} s"),
                (f"GET /metrics with {servers} servers, median", _scrape(scraper, rounds)),
                ("GET /state/v1/counts?group_by=status, median", _timed(client, "status", rounds)),
                (
                    "GET /state/v1/counts?group_by=status,host,project,az, median",
                    _timed(client, "status,host,project,az", 5),
                ),
                ("resident memory after that", f"{rss_mb(pid):.0f} MB"),
            ]
    return figures


def fill_many(home: Path, client: Client, count: int) -> None:
    """One real server, and copies of its row spread over the hosts."""
    uuid = fill(home, client, 1)
    database = sqlite3.connect(home / "state/kilonova.sqlite", timeout=60)
    skipped = ("id", "uuid", "host", "node")
    columns = [row[1] for row in database.execute("PRAGMA table_info(instances)") if row[1] not in skipped]
    hosts = [row[0] for row in database.execute("SELECT host FROM compute_nodes ORDER BY id")]
    names = ", ".join(columns)
    rows = (
        (f"00000000-0000-4000-8000-{number:012d}", hosts[number % len(hosts)], hosts[number % len(hosts)], uuid)
        for number in range(count - 1)
    )
    database.executemany(
        f"INSERT INTO instances (uuid, host, node, {names}) SELECT ?, ?, ?, {names} FROM instances WHERE uuid = ?",  # noqa: S608
        rows,
    )
    database.commit()
    database.close()


def _scraper(home: Path, port: int) -> Client:
    token = (home / "state/metrics-token").read_text().strip()
    return Client(port, {"Authorization": f"Bearer {token}"})


def _scrape(scraper: Client, rounds: int) -> str:
    return f"{statistics.median(scraper.timed('/metrics') for _ in range(rounds)) * 1e3:.1f} ms"


def _timed(client: Client, by: str, rounds: int) -> str:
    path = f"/state/v1/counts?group_by={by}"
    return f"{statistics.median(client.timed(path) for _ in range(rounds)) * 1e3:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--servers", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--markdown", type=Path)
    wanted = parser.parse_args()
    gc.disable()
    figures = beats(wanted.hosts, wanted.seconds) + lists(wanted.hosts, wanted.servers, wanted.rounds)
    rows = "".join(f"| {what} | {figure} |\n" for what, figure in figures)
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}\n\n| figure | |\n|---|---|\n{rows}")
    if wanted.markdown:
        wanted.markdown.write_text(
            f"# Figures of a large fleet\n\nMade by `python -m bench.fleet --markdown {wanted.markdown}`"
            f" on {time.strftime('%Y-%m-%d')} ({machine}; SQLite, one process).\n\n| figure | |\n|---|---|\n{rows}"
        )


if __name__ == "__main__":
    main()
