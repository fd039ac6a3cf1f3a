"""``kilonova usage`` and ``kilonova audit``, against a plane in this process."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kilonova.cli import kilonova
from kilonova.cli.usage import rows
from kilonova.console.accounts import Login
from kilonova.console.client import Client
from kilonova.console.errors import CloudError
from kilonova.domain.model import Instant, after
from tests.plane.browsing import AUTH, Counting
from tests.plane.house import PASSWORD, House

_HOUR = 3600


@pytest.fixture
def run(house: House, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command as an administrator of the house."""
    login = Login(
        auth_url="http://cloud.test:8774/identity/v3", username="admin", password=PASSWORD, project_name="demo"
    )

    def connected(os_cloud: str | None) -> Client:
        return Client(login, transport=house.transport)

    monkeypatch.setattr("kilonova.cli.usage.connected", connected)
    monkeypatch.setattr("kilonova.cli.audit.connected", connected)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(kilonova, list(arguments))

    return invoke


def test_a_report_tells_the_month(house: House, run: Any) -> None:
    house.boot(flavorRef="2")
    house.at = after(house.at, 3 * _HOUR)
    reply = run("usage", "report", "--month", "2026-11", "-f", "json", "--project", "demo")
    assert reply.exit_code == 0, reply.output
    (row,) = json.loads(reply.output)
    assert row["hours"] == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize("form", ["table", "csv", "yaml"])
def test_a_report_is_written_as_asked(house: House, run: Any, form: str) -> None:
    house.boot(flavorRef="2")
    house.at = after(house.at, 3 * _HOUR)
    reply = run("usage", "report", "-f", form)
    assert reply.exit_code == 0, reply.output
    assert "m1.small" in reply.output
    assert "3.0" in reply.output


def test_a_difference_is_explained(house: House, run: Any) -> None:
    house.boot()
    house.at = after(house.at, _HOUR)
    reply = run("usage", "report", "--difference", "-f", "json")
    rows = {row["amount"]: row for row in json.loads(reply.output)}
    assert rows["hours"]["unexplained"] == 0.0


def test_a_month_that_is_none_is_refused(run: Any) -> None:
    reply = run("usage", "report", "--month", "November")
    assert reply.exit_code == 2
    assert "no month" in reply.output


def test_an_audit_is_run_listed_and_verified(house: House, run: Any) -> None:
    house.boot()
    house.at = after(house.at, 32 * 24 * _HOUR)
    assert run("audit", "run").exit_code == 0
    (latest,) = json.loads(run("audit", "list", "-f", "json").output)
    assert latest["servers"] == 1
    assert run("audit", "verify", latest["period_beginning"]).exit_code == 0
    with house.cloud.database.transaction() as tx:
        tx.connection.exec_driver_sql("DELETE FROM audit_records")
    assert run("audit", "verify", latest["period_beginning"]).exit_code == 1


def test_a_period_that_was_never_audited_is_told(run: Any) -> None:
    reply = run("audit", "verify", "2001-01-01")
    assert isinstance(reply.exception, CloudError)
    assert reply.exception.message == "No period that begins there was audited."


@pytest.mark.parametrize("is_kilonova", [True, False])
def test_what_was_used_is_told_of_any_nova(house: House, *, is_kilonova: bool) -> None:
    # The console has a clock of its own, for which the whole month has to be over.
    earlier = datetime.now(UTC).replace(day=1) - timedelta(days=14)
    house.at = Instant(int(earlier.timestamp()) * 1_000_000)
    house.pass_seconds(1)
    house.boot()
    house.pass_seconds(30)
    transport = Counting(house.transport, hides=None if is_kilonova else "/state/")
    login = Login(auth_url=AUTH, username="admin", password=PASSWORD, project_name="demo")
    (row,) = rows(Client(login, transport=transport), month=f"{earlier:%Y-%m}", own=False)
    assert (row["project"], row["flavor"], row["vcpu_hours"] > 0) == ("demo", "m1.nano" if is_kilonova else "", True)
