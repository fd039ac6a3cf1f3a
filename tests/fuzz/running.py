"""A cloud that is asked anything, and whether it stays whole."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, seed, settings

from kilonova.store import journal
from tests.fuzz.asking import Sent, Things, requests
from tests.plane.house import PASSWORD, House, lived_in

CHUNK: Final = 250
"""Requests between two looks at the whole cloud."""

_log = logging.getLogger(__name__)
_HOSTS: Final = 3
_FEWEST: Final = 6
_MOST: Final = 25
_TURNS: Final = 40


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run found: how many requests got which status, and what must not be."""

    statuses: Counter[int] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many requests were answered."""
        return sum(self.statuses.values())


class _Log(logging.Handler):
    """Takes down errors, and whatever has a traceback."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report
        self.last: Sent | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            told = logging.Formatter("%(name)s: %(message)s").format(record)
            self._report.findings.append(f"logged: {told}\n  after {self.last}")


def fuzz(state_dir: Path, *, count: int, seeds_from: int) -> Report:
    """Ask ``count`` times, with choices that the seed decides, and look at the cloud now and then and at the end."""
    report = Report()
    unlimited = {"server_groups": -1, "key_pairs": -1, "instances": _MOST, "cores": -1, "ram": -1}
    with lived_in(state_dir, simulate_hosts=_HOSTS, quota=unlimited) as house, _logged(report) as log:
        for user, project in (("member", "demo"), ("reader", "demo"), ("member", "other")):
            house.add_person(f"{user}-of-{project}", project, user)
        for number in range((count + CHUNK - 1) // CHUNK):
            things = _furnished(house)
            _ask(house, things, log, report, count=min(CHUNK, count - report.requests), number=seeds_from + number)
            _look(house, report)
            _log.info("%d requests, %d findings", report.requests, len(report.findings))
        _end(house, report)
    return report


@contextmanager
def _logged(report: Report) -> Iterator[_Log]:
    handler = _Log(report)
    logging.getLogger("kilonova").addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger("kilonova").removeHandler(handler)


def _ask(house: House, things: Things, log: _Log, report: Report, *, count: int, number: int) -> None:
    """One chunk, each request followed by a step of what was accepted now and then."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(request=requests(things))
    def ask(request: Sent) -> None:
        log.last = request
        token = house.token(
            "admin" if request.user == "admin" else f"{request.user}-of-{request.project}", request.project
        )
        headers = {"X-Auth-Token": token, "Content-Type": "application/json", **request.headers}
        reply = house.raw(request.method, request.url, content=request.content, headers=headers)
        report.statuses[reply.status_code] += 1
        if reply.status_code >= 500 and reply.status_code not in (501, 503):
            report.findings.append(f"{reply.status_code} {reply.text[:300]}\n  to {request}")
        elif reply.content and reply.headers.get("content-type", "").startswith("application/json"):
            reply.json()
        if report.requests % 20 == 0:
            house.settle()

    ask()


def _furnished(house: House) -> Things:
    """What requests are about: made where too little is left of it, taken away where there is too much."""
    house.cloud.ensure_basics(password=PASSWORD)
    for service in house.call("GET", "/os-services").json()["services"]:
        if service["binary"] == "nova-compute":
            house.call("PUT", f"/os-services/{service['id']}", {"status": "enabled", "forced_down": False})
    projects = {each["name"]: each["id"] for each in house.call("GET", "//identity/v3/projects").json()["projects"]}
    for project_id in projects.values():
        house.call("DELETE", f"/os-quota-sets/{project_id}")
    _furnish_servers(house)
    listed = _listed(house)
    words = ["key", "tag", "value", "default", "nova", "1", "enable", "private", "tiny"]
    return {
        **{name: [project_id] for name, project_id in projects.items()},
        **listed,
        "projects": [*projects.values(), str(uuid4())],
        "words": words,
        "keypairs": ["key", *words],
    }


def _furnish_servers(house: House) -> None:
    servers = house.call("GET", "/servers?all_tenants=1").json()["servers"]
    for server in servers[_MOST // 2 :]:
        house.call("DELETE", f"/servers/{server['id']}")
    house.settle()
    for n in range(len(servers), _FEWEST):
        body = {"name": f"web{n}", "flavorRef": "42", "imageRef": house.image_id(), "networks": "auto"}
        house.call("POST", "/servers", {"server": body})
    house.settle()


def _listed(house: House) -> dict[str, list[str]]:
    def ids(path: str, key: str, name: str = "id") -> list[str]:
        return [str(each[name]) for each in house.call("GET", path).json()[key]]

    servers = ids("/servers?all_tenants=1", "servers")
    acted: list[Any] = [
        each
        for uuid in servers[:3]
        for each in ids(f"/servers/{uuid}/os-instance-actions", "instanceActions", "request_id")
    ]
    return {
        "servers": servers,
        "flavors": ids("/flavors", "flavors"),
        "images": ids("//image/v2/images", "images")[:3],
        "groups": ids("/os-server-groups", "server_groups"),
        "aggregates": ids("/os-aggregates", "aggregates"),
        "services": ids("/os-services", "services"),
        "hypervisors": [*ids("/os-hypervisors", "hypervisors"), "1"],
        "hosts": ids("/os-hypervisors", "hypervisors", "hypervisor_hostname"),
        "requests": acted,
    }


def _look(house: House, report: Report) -> None:
    """Let everything end; a server that is still busy then is stuck."""
    for _ in range(_TURNS):
        house.settle()
        if not _busy(house):
            return
    report.findings += [f"stuck: {each}" for each in _busy(house)]


def _busy(house: House) -> list[str]:
    servers = house.call("GET", "/servers/detail?all_tenants=1").json()["servers"]
    return [
        f"{server['id']} {server['status']} {server['OS-EXT-STS:task_state']}"
        for server in servers
        if server["OS-EXT-STS:task_state"] is not None or server["status"] == "BUILD"
    ]


def _end(house: House, report: Report) -> None:
    """The journal has every number once, and nothing waits to be told."""
    with house.cloud.database.read() as connection:
        head, waiting = journal.head(connection), journal.pending(connection)
        numbers: list[int | None] = []
        while len(numbers) < head:
            page = journal.list_entries(connection, after_seq=len(numbers), limit=1000, project_id=None)
            if not page:
                break
            numbers += [each.seq for each in page]
    if numbers != list(range(1, head + 1)):
        report.findings.append(f"the journal is not 1 to {head}")
    if waiting:
        report.findings.append(f"{waiting} rows of the journal have no number")
