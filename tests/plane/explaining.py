"""What is said of a failure, by Nova's API and by the console, and whether the guide has it."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from kilonova.console.accounts import Login
from kilonova.console.answers import answer
from kilonova.console.board import Samples
from kilonova.console.client import Client
from kilonova.console.explain import Explanation
from kilonova.domain.model import Instant
from tests.plane.browsing import AUTH
from tests.plane.house import PASSWORD, House

_PAGE = Path(__file__).parents[2] / "docs" / "guides" / "explaining.md"


class Expected(Protocol):
    """A row: its name, a part of what Nova's API says, the rule, a part of what the console says, and of what kind."""

    @property
    def name(self) -> str: ...
    @property
    def nova(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def explains(self) -> str: ...
    @property
    def kind(self) -> str: ...


def assert_told(rows: Sequence[Expected], title: str) -> None:
    """The table of the guide under this title has these rows, in their order."""
    _, _, rest = _PAGE.read_text("utf-8").partition(f"## {title}\n")
    section = rest.partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")][1:]
    told = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table]
    assert [(name, rule) for name, _, rule, _ in told] == [(row.name, f"`{row.rule}`") for row in rows]
    for row, (_, nova, _, sentence) in zip(rows, told, strict=True):
        assert row.nova in nova
        assert row.explains in sentence


def judge(row: Expected, subject: str, house: House) -> Explanation:
    """What explains the subject: Nova's API and the console say of it what is expected."""
    login = Login(auth_url=AUTH, username="admin", password=PASSWORD, project_name="demo")
    found = answer(Client(login, transport=house.transport), subject, Samples())
    assert row.nova in _nova(house, row, subject)
    assert (found.kind, found.explanation.rule) == (row.kind, row.rule)
    assert row.explains in found.explanation.sentence
    assert found.explanation.advice
    return found.explanation


def _nova(house: House, row: Expected, subject: str) -> str:
    """What Nova's API says of it in its own words."""
    if row.kind == "host":
        (service,) = house.call("GET", f"/os-services?host={subject}&binary=nova-compute").json()["services"]
        return f"{service['state']}, {service['status']}"
    if row.kind == "request":
        server = house.call("GET", f"//state/v1/operations/{subject}").json()["operations"][0]["server"]
        return str(_newest(house, server)["message"])
    server = house.show(subject)
    newest = _newest(house, subject)
    fault = server.get("fault", {}).get("message")
    task = server["OS-EXT-STS:task_state"]
    told = [server["status"], task, f"{newest['action']}: {newest['message']}" if newest["message"] else None, fault]
    return "; ".join(filter(None, told))


def _newest(house: House, server: str) -> dict[str, Any]:
    found: dict[str, Any] = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]
    return found


def in_time(house: House) -> House:
    """The console has a clock of its own, with which the cloud's has to agree."""
    house.at = Instant(time.time_ns() // 1000)
    house.pass_seconds(1)
    return house
