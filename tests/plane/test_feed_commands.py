"""``kilonova feed``, against a plane in this process."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kilonova.cli import kilonova
from kilonova.console.accounts import Login
from kilonova.console.client import Client
from tests.plane.house import PASSWORD, House


@pytest.fixture
def run(house: House, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command as an administrator of the house."""
    login = Login(
        auth_url="http://cloud.test:8774/identity/v3", username="admin", password=PASSWORD, project_name="demo"
    )
    monkeypatch.setattr("kilonova.cli.feed.connected", lambda _: Client(login, transport=house.transport))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(kilonova, ["feed", *arguments])

    return invoke


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.output)
    return found


def test_sinks_are_looked_after_from_the_command_line(house: House, run: Any, tmp_path: Path) -> None:
    house.boot()
    (file,) = rows(run("list", "-f", "json"))
    assert (file["name"], file["state"]) == ("file", "behind")
    url, secret = "url=http://127.0.0.1:1/hook", "secret=0123456789abcdef"
    (made,) = rows(run("add", "hook", "--kind", "webhook", "--set", url, "--set", secret, "--after", "0", "-f", "json"))
    assert (made["kind"], made["cursor"]) == ("webhook", 0)
    assert rows(run("pause", "hook", "-f", "json"))[0]["state"] == "paused"
    assert rows(run("resume", "hook", "-f", "json"))[0]["state"] == "behind"
    assert rows(run("rewind", "hook", "--to", "2", "-f", "json"))[0]["cursor"] == 2
    assert rows(run("resend", "hook", "--after", "0", "--to", "2", "-f", "json"))[0]["delivery"] > 0
    shown = run("show", "hook")
    assert "0123456789abcdef" not in shown.output
    assert "http://127.0.0.1:1/hook" in shown.output
    assert run("delete", "hook").exit_code == 0
    assert [row["name"] for row in rows(run("list", "-f", "json"))] == ["file"]


def test_a_setting_that_is_none_is_refused(run: Any) -> None:
    assert run("add", "x", "--kind", "file", "--set", "nonsense").exit_code == 2
