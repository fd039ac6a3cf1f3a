"""How long the console's pages take on a large cloud, and how many requests each asks of it.

    .venv/bin/python -m bench.console [--hosts 1000] [--servers 50000] [--rounds 15] [--markdown bench/CONSOLE.md]

Pages are fetched as a browser fetches them, from the console that ``kilonova up`` serves in the same process. Requests
are counted by a second console in this process, before the same cloud.
"""

import argparse
import http.client
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import yaml

from bench.fleet import fill_many
from bench.plane import rss_mb, signed_in, started
from kilonova.console.accounts import Login
from kilonova.console.client import Client
from kilonova.console.web.pages import PAGES
from kilonova.console.web.sessions import Session, Sessions

_COUNTED = """\
Servers are counted by the cloud, never listed for it: the overview asks for as much with 50 servers as with
50,000, and for the names of up to twenty whose operations are under way.
"""
_SERVER = "00000000-0000-4000-8000-000000000001"
_PAGES = (
    "/",
    "/hosts",
    "/hosts/{host}",
    "/servers",
    "/servers?q=web",
    "/servers/{server}",
    "/failures",
    "/feed",
    "/time",
)


class Counting(httpx2.HTTPTransport):
    """Counts what goes through."""

    asked = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        return super().handle_request(request)


def login_of(home: Path, port: int) -> Login:
    auth = yaml.safe_load((home / "state/clouds.yaml").read_text())["clouds"]["kilonova"]["auth"]
    names = ("username", "password", "project_name")
    return Login(auth_url=f"http://127.0.0.1:{port}/identity/v3", **{name: auth[name] for name in names})


def cookie_of(port: int, login: Login) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    form = {"username": login.username, "password": login.password, "project": login.project_name}
    connection.request(
        "POST", "/console/sign-in", urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"}
    )
    reply = connection.getresponse()
    assert reply.status == 303, reply.read()
    return str(reply.headers["Set-Cookie"]).partition(";")[0]


def fetched(port: int, cookie: str, path: str) -> tuple[float, int]:
    """Seconds, and bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    began = time.perf_counter()
    connection.request("GET", f"/console{path}", headers={"Cookie": cookie})
    reply = connection.getresponse()
    body = reply.read()
    taken = time.perf_counter() - began
    assert reply.status == 200, (path, reply.status)
    connection.close()
    return taken, len(body)


def requests_of(session: Session, counting: Counting, shown: str, things: dict[str, str]) -> int:
    """How often the cloud is asked for a page."""
    address, _, query = shown.partition("?")
    asked = dict(pair.split("=") for pair in query.split("&") if pair)
    for name, id in things.items():
        if f"{{{name}}}" in address:
            address, asked = address.replace(f"{{{name}}}", "{id}"), {**asked, "id": id}
    page = next(each for each in PAGES if each.path == address)
    counting.asked = 0
    page.gather(session, asked)
    return counting.asked


def measure(hosts: int, servers: int, rounds: int) -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as directory:
        home, many = Path(directory), ("--simulate-hosts", str(hosts))
        with started(home, "simulated", *many) as (port, _, _):
            fill_many(home, signed_in(home, port), servers)
        with started(home, "simulated", *many) as (port, pid, _):
            login = login_of(home, port)
            cookie, counting = cookie_of(port, login), Counting()
            client = Client(login, transport=counting)
            session = Sessions(time.monotonic).add(client, user="admin", project="demo", is_admin=True)
            client.has_state()
            host = next(each["host"] for each in client.state("/fleet")["services"] if each["binary"] == "nova-compute")
            things = {"server": _SERVER, "host": host}
            figures = []
            for shown in _PAGES:
                path = shown.format_map(things)
                first, _ = fetched(port, cookie, path)
                each = [fetched(port, cookie, path) for _ in range(rounds)]
                median = statistics.median(seconds for seconds, _ in each)
                asked = requests_of(session, counting, shown, things)
                told = f"{median * 1e3:.0f} ms, first {first * 1e3:.0f} ms, {each[0][1] / 1e3:.0f} kB, {asked} requests"
                figures.append((f"`{shown}`", told))
            figures.append(("resident memory of the whole cloud after that", f"{rss_mb(pid):.0f} MB"))
            client.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--servers", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--markdown", type=Path)
    wanted = parser.parse_args()
    figures = measure(wanted.hosts, wanted.servers, wanted.rounds)
    rows = "".join(f"| {what} | {figure} |\n" for what, figure in figures)
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    head = f"{wanted.hosts} hosts, {wanted.servers} servers. {machine}"
    print(f"{head}\n\n| page | |\n|---|---|\n{rows}")
    if wanted.markdown:
        command = f"bench.console --hosts {wanted.hosts} --servers {wanted.servers} --rounds {wanted.rounds}"
        wanted.markdown.write_text(
            f"# The console on a large cloud\n\n{head}, by `python -m {command}`.\n\n"
            f"| page | |\n|---|---|\n{rows}\n{_COUNTED}",
            "utf-8",
        )


if __name__ == "__main__":
    main()
