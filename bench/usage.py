"""The figures of usage reports: time and memory beside the bare aggregate query, and how both grow.

    .venv/bin/python -m bench.usage [--servers 10000 100000] [--rounds 15] [--url URL ...] [--markdown bench/USAGE.md]

Without ``--url`` it measures SQLite in a temporary file. A URL of PostgreSQL or MariaDB names a database that may be
filled and emptied. Each database and size runs in a process of its own. Kilonova is asked through its whole API in
that process (token, policy, rendering), the bare query is sent by the same driver and its rows encoded by msgspec;
both in turn, so that both meet the same load.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text

from kilonova.api.front import Application
from kilonova.bootstrap import Cloud, application, build
from kilonova.config import load
from kilonova.domain.model import Instant
from kilonova.store.schema import instances, journal_head, metadata, schema_version, usage_segments

_DAY: Final = 86_400_000_000
_NOW: Final = Instant(1_795_000_000_000_000)
_START: Final = Instant(_NOW - 30 * _DAY)
_PROJECTS: Final = 200
_BIG: Final = "project-0000"
_PASSWORD: Final = "a-password-of-the-bench"  # noqa: S105 - of a cloud that lives for a minute
_AGGREGATE: Final = """
    SELECT project_id, count(*), sum(h), sum(h * gb), sum(h * memory_mb), sum(h * vcpus) FROM (
        SELECT project_id, memory_mb, vcpus, root_gb + ephemeral_gb AS gb,
               (CASE WHEN terminated_at < :stop THEN terminated_at ELSE :stop END
                - CASE WHEN launched_at > :start THEN launched_at ELSE :start END) / 3600000000.0 AS h
        FROM instances
        WHERE launched_at < :stop AND (terminated_at IS NULL OR terminated_at > :start)
        ORDER BY project_id, uuid LIMIT :most) AS chosen
    GROUP BY project_id ORDER BY project_id"""
_DETAIL: Final = """
    SELECT uuid, project_id, display_name, flavor_name, vm_state, vcpus, memory_mb, root_gb, ephemeral_gb,
           launched_at, terminated_at
    FROM instances
    WHERE launched_at < :stop AND (terminated_at IS NULL OR terminated_at > :start) AND project_id = :project
    ORDER BY project_id, uuid LIMIT 1000"""


def main() -> None:
    """Measure what was asked for, and print or write a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--servers", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--url", action="append", default=[])
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_measure(options.child, options.servers[0], options.rounds)))
        return
    rows = [_in_a_process(url, count, options.rounds) for url in ["sqlite", *options.url] for count in options.servers]
    table = _table(rows)
    if options.markdown:
        options.markdown.write_text(table, "utf-8")
    print(table)


def _in_a_process(url: str, servers: int, rounds: int) -> dict[str, Any]:
    arguments = ["--child", url, "--servers", str(servers), "--rounds", str(rounds)]
    done = subprocess.run([sys.executable, "-m", "bench.usage", *arguments], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure(url: str, servers: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        overrides: dict[tuple[str, str], Any] = {
            ("kilonova", "driver"): "simulated",
            ("kilonova", "state_dir"): folder,
            ("api", "max_limit"): 1_000_000,
        }
        if url != "sqlite":
            overrides["database", "connection"] = url
        cloud = build(load(environment={}, overrides=overrides), clock=lambda: _NOW)
        try:
            _empty(cloud)
            cloud.ensure_basics(password=_PASSWORD)
            cloud.plane.start(concurrently=False)
            _fill(cloud, servers)
            return {"database": cloud.database.dialect, "servers": servers, **_timed(cloud, rounds)}
        finally:
            _empty(cloud)
            cloud.close()


def _timed(cloud: Cloud, rounds: int) -> dict[str, Any]:
    client = _Client(application(cloud))
    client.headers = {"x-auth-token": _token(client), "openstack-api-version": "compute 2.39"}
    window = f"start={_spelt(_START)}&end={_spelt(_NOW)}"
    every = f"/compute/v2.1/os-simple-tenant-usage?{window}"
    one = f"/compute/v2.1/os-simple-tenant-usage/{_BIG}?{window}"
    exact = f"/state/v1/usage?{window}&group_by=project,flavor,state"

    def asked(path: str) -> Callable[[], Any]:
        def ask() -> None:
            status, _, body = client.ask("GET", path)
            if status != 200:
                raise SystemExit(f"{path}: {status} {body!r}")

        return ask

    ask_all, ask_one, ask_exact = asked(every), asked(one), asked(exact)
    ask_one()
    before = _resident_mb()
    totals = _in_turn(ask_all, lambda: _bare(cloud, _AGGREGATE), rounds)
    grown = _resident_mb() - before
    return {
        "all": totals,
        "all_grown_mb": grown,
        "detail": _in_turn(ask_one, lambda: _bare(cloud, _DETAIL), rounds),
        "exact": _median(ask_exact, rounds),
        "resident_mb": _resident_mb(),
    }


def _in_turn(kilonova: Callable[[], Any], bare: Callable[[], Any], rounds: int) -> tuple[float, float]:
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_once(kilonova))
        theirs.append(_once(bare))
    return statistics.median(ours), statistics.median(theirs)


def _median(work: Callable[[], Any], rounds: int) -> float:
    return statistics.median(_once(work) for _ in range(rounds))


def _once(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _bare(cloud: Cloud, statement: str) -> bytes:
    values: dict[str, Any] = {"start": _START, "stop": _NOW}
    values |= {"most": 1_000_000} if ":most" in statement else {"project": _BIG}
    with cloud.database.read() as connection:
        found = connection.execute(text(statement), values).cursor
        names = [column[0] for column in found.description]
        rows = found.fetchall()
    return msgspec.json.encode([dict(zip(names, row, strict=True)) for row in rows], enc_hook=float)


def _fill(cloud: Cloud, servers: int) -> None:
    """Servers over two hundred projects; the first has a thousand more. A fifth is deleted, all have a segment."""
    chance = random.Random(7)  # noqa: S311 - the same servers in every run
    with cloud.database.transaction() as tx:
        for begin in range(0, servers, 2000):
            rows = [_server(chance, number) for number in range(begin, min(begin + 2000, servers))]
            tx.connection.execute(instances.insert(), rows)
            tx.connection.execute(usage_segments.insert(), [_segment(row) for row in rows])
    with cloud.database.transaction() as tx:
        if cloud.database.dialect != "mariadb":
            tx.connection.exec_driver_sql("ANALYZE")


def _server(chance: random.Random, number: int) -> dict[str, Any]:
    launched = _NOW - chance.randrange(90 * _DAY)
    ended = launched + chance.randrange(1, 20 * _DAY) if number % 5 == 0 else None
    ended = None if ended is None or ended > _NOW else ended
    vcpus = chance.choice((1, 2, 4, 8))
    return {
        "uuid": str(UUID(int=chance.getrandbits(128))),
        "generation": 1,
        "project_id": _BIG if number < 1000 else f"project-{number % _PROJECTS:04d}",
        "user_id": "someone",
        "display_name": f"server-{number}",
        "hostname": f"server-{number}",
        "vm_state": "deleted" if ended else "active",
        "power_state": 0 if ended else 1,
        "host": f"host-{number % 50}",
        "node": f"host-{number % 50}",
        "flavor_id": vcpus,
        "flavorid": str(vcpus),
        "flavor_name": f"m1.{vcpus}",
        "flavor_json": "{}",
        "vcpus": vcpus,
        "memory_mb": vcpus * 2048,
        "root_gb": 20,
        "ephemeral_gb": 0,
        "swap_mb": 0,
        "image_ref": "",
        "image_json": "{}",
        "metadata_json": "{}",
        "tags_json": "[]",
        "addresses_json": "{}",
        "security_groups_json": "[]",
        "volumes_json": "[]",
        "created_at": launched,
        "updated_at": launched,
        "launched_at": launched,
        "terminated_at": ended,
        "deleted_at": ended,
        "config_drive": "",
        "reservation_id": "r-bench",
        "launch_index": 0,
        "kernel_id": "",
        "ramdisk_id": "",
        "disk_config": "MANUAL",
        "access_ip_v4": "",
        "access_ip_v6": "",
        "progress": 0,
        "hints_json": "{}",
        "nics_json": "[]",
    }


def _segment(row: dict[str, Any]) -> dict[str, Any]:
    same = ("project_id", "flavor_name", "vcpus", "memory_mb", "host")
    told = {"instance_uuid": row["uuid"], "disk_gb": 20, "vm_state": "active"}
    return {
        **told,
        **{name: row[name] for name in same},
        "started_at": row["launched_at"],
        "ended_at": row["deleted_at"],
    }


def _empty(cloud: Cloud) -> None:
    with cloud.database.transaction() as tx:
        for table in reversed(metadata.sorted_tables):
            if table not in (schema_version, journal_head):
                tx.connection.execute(table.delete())


class _Client:
    """Calls an application in this process, with nothing between."""

    def __init__(self, served: Application) -> None:
        self._served = served
        self._loop = asyncio.new_event_loop()
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer."""
        return self._loop.run_until_complete(self._asked(method, path, body))

    async def _asked(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        before, _, query = path.partition("?")
        sent = {"host": "cloud.test:8774", "content-type": "application/json", **self.headers}
        scope = {
            "type": "http",
            "method": method,
            "path": before,
            "raw_path": before.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("cloud.test", 8774),
            "client": ("127.0.0.1", 1),
            "http_version": "1.1",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
        got: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            got.append(message)

        await self._served(scope, receive, send)
        headers = {name.decode().lower(): value.decode() for name, value in got[0]["headers"]}
        return got[0]["status"], headers, b"".join(part.get("body", b"") for part in got[1:])


def _token(client: _Client) -> str:
    domain = {"id": "default"}
    user = {"name": "admin", "domain": domain, "password": _PASSWORD}
    scope = {"project": {"name": "demo", "domain": domain}}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
    _, headers, _ = client.ask("POST", "/identity/v3/auth/tokens", msgspec.json.encode({"auth": auth}))
    return headers["x-subject-token"]


def _spelt(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _table(rows: list[dict[str, Any]]) -> str:
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    lines = [
        "# Figures of usage reports",
        "",
        f"Made by `python -m bench.usage` on {datetime.now(UTC):%Y-%m-%d}, {machine}.",
        f"A month, {_PROJECTS} projects; times are medians in ms: Kilonova, bare query, ratio. The detail is of 1,000",
        "servers. Grown is what the process needed more for the totals.",
        "",
        "| database | servers | totals of all projects | grown, MB | a project's detail | exact, 3 groups | RSS, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['database']} | {row['servers']:,} | {_ratio(row['all'])} | {row['all_grown_mb']:.1f} "
        f"| {_ratio(row['detail'])} | {row['exact'] * 1000:.1f} | {row['resident_mb']:.0f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _ratio(pair: tuple[float, float]) -> str:
    ours, bare = pair
    return f"{ours * 1000:.1f}, {bare * 1000:.1f}, {ours / bare:.2f}"


if __name__ == "__main__":
    main()
