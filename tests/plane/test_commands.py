"""The commands that ask a cloud: what they tell, in which form, and what they end with."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import yaml
from click.shell_completion import BashComplete
from click.testing import CliRunner, Result

from kilonova.bootstrap_place import present
from kilonova.cli import events, kilonova
from kilonova.console import board
from kilonova.console.accounts import Login
from kilonova.console.client import Client
from kilonova.console.errors import CloudError
from tests.plane.house import PASSWORD, House, lived_in


class Flaky(httpx2.BaseTransport):
    """A way to the cloud that is cut for as many requests as are wanted."""

    def __init__(self, way: httpx2.BaseTransport) -> None:
        self._way = way
        self.cuts = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.cuts:
            self.cuts -= 1
            raise httpx2.ConnectError("cut")
        return self._way.handle_request(request)


_AUTH = "http://cloud.test:8774/identity/v3"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with lived_in(tmp_path_factory.mktemp("cloud"), simulate_hosts=2) as made:
        made.at = present()  # the commands count their hours back from their own clock
        made.pass_seconds(1)
        made.boot("web1", networks="auto")
        made.boot("broken", metadata={"sim:fail": "spawn"})
        made.tidy()
        yield made


@pytest.fixture
def way(house: House) -> Flaky:
    return Flaky(house.transport)


@pytest.fixture
def client(way: Flaky, monkeypatch: pytest.MonkeyPatch) -> Client:
    """What every command gets for its client's login."""
    login = Login(auth_url=_AUTH, username="admin", password=PASSWORD, project_name="demo")
    made = Client(login, transport=way)
    monkeypatch.setattr("kilonova.cli.asking.find_login", lambda _cloud: login)
    monkeypatch.setattr("kilonova.cli.asking.Client", lambda _login: made)
    return made


@pytest.fixture
def run(client: Client) -> Any:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(kilonova, arguments)

    return invoke


def told(result: Result, status: int = 0) -> list[dict[str, Any]]:
    assert result.exit_code == status, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_servers_are_listed_searched_and_told_what_is_wrong_with_them(run: Any) -> None:
    assert {row["name"] for row in told(run("servers", "-f", "json"))} == {"web1", "broken"}
    (broken,) = told(run("servers", "--status", "error", "-f", "json"))
    assert (broken["name"], broken["status"]) == ("broken", "ERROR")
    assert "simulated" in broken["fault"]
    (web1,) = told(run("servers", "web", "--own", "-f", "json"))
    assert web1["addresses"]
    assert told(run("servers", "nowhere", "-f", "json")) == []


def test_the_same_is_written_as_a_table_json_yaml_and_csv_without_colours_in_a_pipe(run: Any) -> None:
    table = run("servers", "web1").stdout
    assert "web1" in table
    assert "\x1b" not in table
    (row,) = csv.DictReader(io.StringIO(run("servers", "web1", "-f", "csv").stdout))
    assert [row] == [
        {**each, "task": "", "fault": "", "addresses": ", ".join(each["addresses"])}
        for each in yaml.safe_load(run("servers", "web1", "-f", "yaml").stdout)
    ]


def test_capacity_is_summed_up_as_is_wanted_and_what_is_too_full_is_an_exit_status(run: Any) -> None:
    hosts = told(run("capacity", "--by", "host", "-f", "json"))
    (cloud,) = [row for row in told(run("capacity", "--by", "cloud", "-f", "json")) if row["what"] == "vCPUs"]
    assert cloud["total"] == sum(row["total"] for row in hosts if row["what"] == "vCPUs")
    assert cloud["used"] + cloud["free"] == cloud["total"]
    assert {row["where"] for row in told(run("capacity", "-f", "json"))} == {"nova"}
    assert {row["where"] for row in told(run("capacity", "--by", "aggregate", "-f", "json"))} == {"none"}
    assert told(run("capacity", "--above", "0", "-f", "json"), status=1)
    assert told(run("capacity", "--above", "99", "-f", "json")) == []
    assert run("capacity", "--above", "101").exit_code == 2


def test_a_server_a_host_and_a_request_are_explained(house: House, run: Any) -> None:
    (why,) = told(run("explain", "broken", "-f", "json"), status=1)
    assert why["kind"] == "server"
    (request,) = {each["request_id"] for each in told(run("timeline", "broken", "-f", "json"))}
    (why,) = told(run("explain", request, "-f", "json"), status=1)
    assert (why["kind"], why["name"]) == ("request", request)
    (why,) = json.loads(run("explain", house.cloud.plane.agents[0].host, "-f", "json").stdout)
    assert why["kind"] == "host"
    (why,) = told(run("explain", "web1", "-f", "json"))
    assert why["rule"]
    nobody = run("explain", "nobody")
    assert isinstance(nobody.exception, Exception)
    assert nobody.stdout == ""


def test_a_deleted_server_still_has_its_story_for_an_administrator(house: House, run: Any) -> None:
    gone = house.boot("gone")["id"]
    assert house.call("DELETE", f"/servers/{gone}").status_code == 204
    house.settle()
    for named in (gone, "gone"):
        assert {row["what"] for row in told(run("timeline", named, "-f", "json"))} == {"create", "delete"}
        (why,) = told(run("explain", named, "-f", "json"))
        assert (why["kind"], why["name"], why["rule"]) == ("server", "gone", "deleted")


def test_a_failure_has_the_name_of_its_server_also_when_that_is_deleted(house: House, client: Client) -> None:
    failed = house.boot("failed-and-gone", metadata={"sim:fail": "spawn"})["id"]
    assert house.call("DELETE", f"/servers/{failed}").status_code == 204
    house.settle()
    # The house has a time of its own: of all that ever failed, then.
    found = board.failures(client, all_projects=True, hours=1_000_000)
    assert "failed-and-gone" in {row["name"] for group in found.groups for row in group.servers}


def test_the_latest_events_are_told_or_those_beyond_a_number(
    house: House, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = told(run("events", "--after", "0", "-f", "json"))
    assert [row["seq"] for row in every] == list(range(1, len(every) + 1))
    assert told(run("events", "-n", "3", "-f", "json")) == every[-3:]
    assert told(run("events", "-n", "0", "-f", "json")) == []
    with monkeypatch.context() as short:
        short.setattr(events, "_PAGE", 2)
        assert told(run("events", "-n", "5", "-f", "json")) == every[-5:]
        assert told(run("events", "-n", "1000", "-f", "json")) == every
    (ended,) = told(run("events", "--topic", "instance.create.end", "--server", "web1", "-f", "json"))
    assert (ended["topic"], ended["of"]) == ("instance.create.end", "web1")
    topics = ("--topic", "keypair", "--topic", "instance.create.error")
    assert {row["topic"] for row in told(run("events", *topics, "-f", "json"))} == {"instance.create.error"}
    assert told(run("events", "--project", "demo", "--topic", "instance", "-f", "json"))


def test_who_follows_waits_for_a_cloud_that_is_away_and_misses_nothing(
    client: Client, way: Flaky, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(events, "_PAUSE_SECONDS", 0.0)
    client.sign_in()
    first = next(events.following(client, {}, 0))
    way.cuts = 3
    again = events.following(client, {}, first[4]["seq"])
    assert [row["seq"] for row in next(again)] == [row["seq"] for row in first[5:]]
    assert capsys.readouterr().err.count("waiting for it") == 1, "said once, not at every try"


@pytest.mark.parametrize("form", ["json", "csv", "yaml", "table"])
def test_what_is_followed_is_a_row_at_a_time(
    client: Client, run: Any, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Iterator[list[dict[str, Any]]]:
        raise KeyboardInterrupt

    monkeypatch.setattr(events, "following", interrupted)
    result = run("events", "--follow", "-n", "2", "-f", form)
    assert result.exit_code == 130
    lines = result.stdout.splitlines()
    match form:
        case "json":
            assert [json.loads(line)["seq"] for line in lines] == sorted(json.loads(line)["seq"] for line in lines)
        case "csv":
            assert len(list(csv.DictReader(lines))) == 2
        case "yaml":
            assert len(yaml.safe_load(result.stdout)) == 2
        case _:
            assert len(lines) == 2


def test_status_is_numbers_and_names_for_programs(house: House, run: Any) -> None:
    rows = told(run("status", "-f", "json"), status=1)
    servers = {row["name"]: row["count"] for row in rows if row["part"] == "servers"}
    assert servers == {"ACTIVE": 1, "ERROR": 1}
    assert all(row["count"] <= row["total"] for row in rows if row["part"] == "capacity")
    assert {row["host"] for row in rows if row["part"] == "service"} >= {each.host for each in house.cloud.plane.agents}
    (group,) = told(run("failures", "-f", "json"))
    assert (group["code"], "broken" in group["servers"]) == ("driver_error", True)
    assert len(group["server_ids"]) == len(group["servers"])


def test_a_disabled_host_is_not_said_to_be_merely_up(house: House, run: Any) -> None:
    host = house.cloud.plane.agents[1].host
    (service,) = house.call("GET", f"/os-services?host={host}&binary=nova-compute").json()["services"]
    off = {"status": "disabled", "disabled_reason": "a fan"}
    assert house.call("PUT", f"/os-services/{service['id']}", off).status_code == 200
    try:
        assert "up, disabled (a fan)" in run("status").stdout
    finally:
        house.call("PUT", f"/os-services/{service['id']}", {"status": "enabled"})


def test_who_is_not_shown_hosts_is_not_told_that_there_is_room(
    house: House, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.add_person("ada", "demo", "member")
    login = Login(auth_url=_AUTH, username="ada", password=PASSWORD, project_name="demo")
    monkeypatch.setattr("kilonova.cli.asking.Client", lambda _login: Client(login, transport=house.transport))
    for asked in (("capacity",), ("capacity", "--above", "0")):
        result = run(*asked)
        assert isinstance(result.exception, CloudError), result.output
        assert "is not shown hosts" in result.exception.message
    assert "not shown to this login" in run("status").stdout
    assert "not shown services and capacity" in run("top").stdout


def test_top_shows_one_picture_where_nobody_watches(run: Any) -> None:
    shown = run("top")
    assert shown.exit_code == 0
    assert "Some servers are in error." in shown.stdout
    assert "2 servers" in shown.stdout
    assert "vCPUs" in shown.stdout
    assert "file" in shown.stdout, "the sinks"


def test_a_watched_command_is_done_again_and_again_whatever_it_ends_with(
    run: Any, way: Flaky, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.sign_in()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        way.cuts = 1 if len(slept) == 1 else 0
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("kilonova.cli.watching.time.sleep", sleep)
    result = run("explain", "broken", "-w", "7")
    assert result.exit_code == 130
    assert slept == [7.0, 7.0, 7.0]
    assert result.stdout.count("What to do") == 2
    assert "does not answer" in result.stderr, "a cloud that is away is no end"
    assert run("explain", "broken", "-w", "0").exit_code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_can_learn_to_complete(run: Any, shell: str) -> None:
    script = run("completion", shell)
    assert script.exit_code == 0
    assert "_KILONOVA_COMPLETE" in script.stdout
    assert run("completion", "tcsh").exit_code == 2


def test_commands_options_and_names_of_servers_are_completed(house: House, run: Any, way: Flaky) -> None:
    def completed(*words: str) -> list[str]:
        *before, last = words
        shell = BashComplete(kilonova, {}, "kilonova", "_KILONOVA_COMPLETE")
        return [each.value for each in shell.get_completions(list(before), last)]

    assert completed("capa") == ["capacity"]
    assert "--above" in completed("capacity", "--a")
    assert completed("explain", "we") == ["web1"]
    assert completed("timeline", "br") == ["broken"]
    for number, name in enumerate(("odd;touch${IFS}x", "odd two", "odd$(id)", "odd*", "-odd")):
        house.boot(name, metadata={"number": str(number)})
    house.boot("odd-but_plain.1")
    assert completed("explain", "odd") == ["odd-but_plain.1"], "a shell reads what was completed"
    house.tidy()
    way.cuts = 100
    assert completed("explain", "we") == [], "a cloud that is away completes nothing, and says nothing"


def test_a_login_that_is_refused_is_told_with_where_it_came_from(house: House, way: Flaky) -> None:
    kept = "cloud kilonova of /home/ada/.config/openstack/clouds.yaml"
    login = Login(auth_url="http://cloud.test:8774/identity/v3", username="admin", password="old", source=kept)
    with pytest.raises(CloudError, match=f"Signing in with {kept} failed: "):
        Client(login, transport=way).sign_in_once()
