"""What is injected is what the console names first: a table of failures, each played on simulated hosts."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.console.accounts import Login
from kilonova.console.board import Samples
from kilonova.console.client import Client
from kilonova.console.web.answers import answer
from kilonova.domain.model import Instant
from tests.plane.explained import FAILURES, HOSTS, Failure
from tests.plane.house import PASSWORD, House, lived_in

_AUTH = "http://cloud.test:8774/identity/v3"
_PAGE = Path(__file__).parents[2] / "docs" / "guides" / "explaining.md"
_ROOMY = {"cores": -1, "ram": -1, "instances": -1}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A cloud whose hosts stay well, for all failures that leave them so."""
    with lived_in(tmp_path_factory.mktemp("town"), simulate_hosts=HOSTS, quota=_ROOMY) as made:
        yield _in_time(made)


@pytest.mark.parametrize("row", FAILURES, ids=lambda row: row.name)
def test_the_injected_cause_is_named_first(row: Failure, town: House, tmp_path: Path) -> None:
    if not row.own_house:
        _judge(row, town)
        return
    with lived_in(tmp_path, simulate_hosts=HOSTS, quota=_ROOMY) as house:
        _judge(row, _in_time(house))


def test_there_are_enough_of_them() -> None:
    assert len({row.name for row in FAILURES}) == len(FAILURES) >= 25


def test_the_guide_has_all_of_them() -> None:
    table = [line for line in _PAGE.read_text("utf-8").splitlines() if line.startswith("| ")][1:]
    told = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table]
    assert [(name, rule) for name, _, rule, _ in told] == [(row.name, f"`{row.rule}`") for row in FAILURES]
    for row, (_, nova, _, sentence) in zip(FAILURES, told, strict=True):
        assert row.nova in nova
        assert row.explains in sentence


def _judge(row: Failure, house: House) -> None:
    subject = row.script(house)
    login = Login(auth_url=_AUTH, username="admin", password=PASSWORD, project_name="demo")
    found = answer(Client(login, transport=house.transport), subject, Samples())
    assert row.nova in _nova(house, row, subject)
    assert (found.kind, found.explanation.rule) == (row.kind, row.rule)
    assert row.explains in found.explanation.sentence
    assert found.explanation.advice


def _nova(house: House, row: Failure, subject: str) -> str:
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


def _in_time(house: House) -> House:
    """The console has a clock of its own, with which the cloud's has to agree."""
    house.at = Instant(time.time_ns() // 1000)
    house.pass_seconds(1)
    return house
