"""The console's pages over a plane in this process, as a browser without scripts sees them."""

import asyncio
import json
import re
from typing import Any

import pytest
from click.testing import CliRunner

from kilonova.cli import kilonova
from kilonova.console.accounts import Login
from kilonova.console.client import Client
from kilonova.console.web import filters
from kilonova.console.web.live import changes
from kilonova.domain.model import Instant
from tests.plane.browsing import AUTH, CHINESE, Browser, Counting, untranslated
from tests.plane.house import PASSWORD, House

_MENU = ("/", "/servers", "/hosts", "/failures", "/explain", "/usage", "/feed", "/time")


@pytest.fixture
def browser(house: House) -> Browser:
    return Browser(house)


def test_nothing_is_shown_before_signing_in(browser: Browser) -> None:
    for path in (*_MENU, "/servers/x", "/operations/req-x", "/hosts/x", "/usage.csv"):
        reply = browser.get(path)
        assert reply.status_code == 303
        assert reply.headers["location"].startswith("/sign-in")
    assert browser.get("/live").status_code == 401


def test_a_wrong_password_is_told_and_opens_nothing(browser: Browser) -> None:
    reply = browser.sign_in(password="wrong")
    assert reply.status_code == 401
    assert "Signing in failed" in reply.text
    assert browser.get("/").status_code == 303


def test_the_overview_says_whether_all_is_well(house: House, browser: Browser) -> None:
    house.boot()
    browser.sign_in()
    page = browser.page("/")
    assert "Everything is well." in page
    assert "Every service is well." in page


def test_a_cloud_that_is_away_is_not_said_to_be_well(house: House, browser: Browser) -> None:
    browser.sign_in()
    browser.transport.hides = "/"
    reply = browser.get("/")
    assert reply.status_code == 502
    assert "The cloud does not answer." in reply.text
    assert "Everything is well." not in reply.text


def test_no_page_takes_a_cloud_that_is_broken_for_an_empty_one(house: House, browser: Browser) -> None:
    server = house.boot("web1")["id"]
    (agent,) = house.cloud.plane.agents
    browser.sign_in()
    assert browser.get("/").status_code == 200
    browser.transport.breaks = True
    for path in (
        "/",
        "/servers",
        f"/servers/{server}",
        "/hosts",
        f"/hosts/{agent.host}",
        "/failures",
        "/feed",
        "/time",
        "/usage",
    ):
        reply = browser.get(path)
        assert reply.status_code == 502, path
        assert "the database is gone" in reply.text or "The cloud does not answer." in reply.text, path
    assert browser.get("/operations/req-00000000-0000-0000-0000-000000000000").status_code == 502


def test_a_failed_server_is_explained(house: House, browser: Browser) -> None:
    house.call("POST", "/flavors", {"flavor": {"name": "huge", "vcpus": 1, "ram": 64, "disk": 900_000, "id": "huge"}})
    server = house.boot("giant", flavorRef="huge")
    assert server["status"] == "ERROR"
    browser.sign_in()
    page = browser.page(f"/servers/{server['id']}")
    assert "No host could take giant" in page
    assert "giant" in browser.page("/failures")
    assert "Some servers are in error." in browser.page("/")


def test_all_that_people_can_choose_is_escaped(house: House, browser: Browser) -> None:
    server = house.boot("<script>alert(1)</script>")
    browser.sign_in()
    for path in ("/servers", f"/servers/{server['id']}", "/servers?q=<script>"):
        page = browser.page(path)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_a_tenant_sees_their_own(house: House, browser: Browser) -> None:
    hidden = house.boot("not-theirs")
    house.add_person("mia", "hers", "reader")
    browser.sign_in(user="mia", project="hers")
    assert "not-theirs" not in browser.page("/servers?projects=all")
    assert browser.get(f"/servers/{hidden['id']}").status_code == 404
    assert "may not see hosts" in browser.page("/hosts")


def test_the_page_of_a_deleted_server_tells_its_history_to_administrators_alone(house: House, browser: Browser) -> None:
    gone = house.boot("gone")["id"]
    assert house.call("DELETE", f"/servers/{gone}").status_code == 204
    house.settle()
    browser.sign_in()
    page = browser.page(f"/servers/{gone}")
    assert "gone was deleted by" in page
    assert "Not told by this cloud" not in page
    house.add_person("mia", "hers", "reader")
    browser.sign_in(user="mia", project="hers")
    assert browser.get(f"/servers/{gone}").status_code == 404


def test_search_finds_a_part_of_a_name(house: House, browser: Browser) -> None:
    house.boot("web1")
    house.boot("data")
    browser.sign_in()
    page = browser.page("/servers?q=web")
    assert "web1" in page
    assert "data</a>" not in page


def test_the_browser_is_told_to_forbid_what_no_page_needs(browser: Browser) -> None:
    reply = browser.get("/sign-in")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?! src)|\son\w+=|\sstyle=", reply.text)


def test_the_cookie_is_for_the_server_alone(browser: Browser) -> None:
    cookie = browser.sign_in().headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_signing_out_needs_the_sessions_own_form(browser: Browser) -> None:
    browser.sign_in()
    browser.post("/sign-out", form_token="forged")
    token = re.search(r'name="form_token" value="([^"]+)"', browser.page("/"))
    assert token is not None
    browser.post("/sign-out", form_token=token[1])
    assert browser.get("/").status_code == 303


def test_a_page_that_is_being_made_while_its_reader_signs_out_leads_to_the_sign_in(browser: Browser) -> None:
    browser.sign_in()
    session = browser.session()
    browser.transport.meanwhile = lambda: browser.sessions.remove(session)
    reply = browser.get("/")
    assert reply.status_code == 303
    assert reply.headers["location"].startswith("/sign-in")


def test_who_asks_while_the_client_signs_in_anew_does_not_have_to_wait_for_that(house: House) -> None:
    transport = Counting(house.transport)
    client = Client(Login(auth_url=AUTH, username="admin", password=PASSWORD, project_name="demo"), transport=transport)
    client.sign_in()
    transport.meanwhile = lambda: client.compute("/servers")
    client.sign_in()
    assert [asked.partition(" ")[0] for asked in transport.asked] == ["POST", "POST", "GET"]


@pytest.mark.parametrize("elsewhere, before", [(False, 1), (True, 2)], ids=["of a Kilonova", "of any Nova"])
def test_a_live_stream_ends_when_its_reader_signs_out(house: House, elsewhere: bool, before: int) -> None:
    browser = Browser(house, elsewhere=elsewhere)
    browser.sign_in()
    session = browser.session()
    assert session.client.has_state() is not elsewhere

    async def told() -> list[str]:
        stream = changes(session.client)
        for _ in range(before):
            await anext(stream)
        browser.sessions.remove(session)
        return [event async for event in stream]

    assert asyncio.run(told()) == []


def test_a_session_ends_when_nobody_uses_it(browser: Browser) -> None:
    browser.sign_in()
    browser.seconds += 9 * 3600
    assert browser.get("/").status_code == 303


def test_pages_speak_chinese(browser: Browser) -> None:
    assert "登录" in browser.get("/sign-in", headers={"accept-language": "zh-CN,zh;q=0.9"}).text


def test_what_is_not_there_is_told(browser: Browser) -> None:
    browser.sign_in()
    assert browser.get("/nothing").status_code == 404
    assert browser.get("/servers/nothing").status_code == 404
    assert browser.get("/static/app.py").status_code == 404


def test_an_oversized_form_is_no_form(browser: Browser) -> None:
    assert browser.post("/sign-in", username="x" * 100_000).status_code == 401


@pytest.fixture
def commands(house: House, monkeypatch: pytest.MonkeyPatch) -> Any:
    def connected(os_cloud: str | None) -> Client:
        login = Login(auth_url=AUTH, username="admin", password=PASSWORD, project_name="demo")
        return Client(login, transport=house.transport)

    for name in ("status", "timeline", "explain", "failures"):
        monkeypatch.setattr(f"kilonova.cli.{name}.connected", connected)
    return lambda *arguments: CliRunner().invoke(kilonova, list(arguments))


def test_commands_tell_the_same(house: House, commands: Any) -> None:
    server = house.boot("web1")
    assert commands("status").exit_code == 0
    assert "compute__do_build_and_run_instance" in commands("timeline", "web1", "-f", "csv").output
    explained = commands("explain", server["id"])
    assert (explained.exit_code, "Nothing is wrong with web1" in explained.output) == (0, True)
    assert commands("failures", "-f", "json").output.strip() == "[]"


def test_a_cloud_without_servers_is_said_to_have_none(commands: Any) -> None:
    servers, *_ = json.loads(commands("status", "-f", "json").stdout)
    assert (servers["part"], servers["name"], servers["count"]) == ("servers", None, 0)


@pytest.mark.parametrize("address", ["nonsense", "http://", "ftp://cloud.test/v3", "cloud.test:5000/v3"])
def test_the_console_of_an_address_that_is_none_is_not_served(commands: Any, address: str) -> None:
    refused = commands("console", "--auth-url", address, "--port", "0")
    assert (refused.exit_code, address in refused.stderr) == (2, True)


def test_a_server_that_is_none_is_told(commands: Any) -> None:
    assert "There is no server, host or request 'nix'" in str(commands("explain", "nix").exception.message)


def test_no_page_has_a_text_that_chinese_has_no_words_for(
    house: House, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a page asks to be translated: names of parts, kinds and states come from elsewhere than templates."""
    unknown = untranslated(monkeypatch)
    server = house.boot("web1")["id"]
    failed = house.boot("web2", metadata={"sim:fail": "spawn:disk_full"})["id"]
    house.act(server, {"os-stop": None})
    house.settle()
    request = house.call("GET", f"/servers/{failed}/os-instance-actions").json()["instanceActions"][0]["request_id"]
    (agent,) = house.cloud.plane.agents
    browser.sign_in()
    things = (f"/servers/{server}", f"/servers/{failed}", f"/operations/{request}", f"/hosts/{agent.host}")
    for path in (*_MENU, *things, "/explain?q=web2", "/servers?status=ERROR", "/time?tick=0"):
        browser.page(path, headers=CHINESE)
    browser.get("/nothing", headers=CHINESE)
    assert unknown == set()


def test_a_request_is_shown_from_the_api_to_its_end(house: House, browser: Browser) -> None:
    server = house.boot("web1")["id"]
    request = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]["request_id"]
    browser.sign_in()
    page = browser.page(f"/operations/{request}")
    places = [page.index(text) for text in ("The API got it", "Accepted", "Placed", "compute__do_build", "Done")]
    assert places == sorted(places)
    (agent,) = house.cloud.plane.agents
    assert f"· {agent.host} · Success · " in page
    chinese = browser.page(f"/operations/{request}", headers=CHINESE).partition('class="stations"')[2]
    assert f"· {agent.host} · 成功 · " in chinese.partition("</ol>")[0]
    assert "active / – / 运行中</code>" in browser.page(f"/servers/{server}", headers=CHINESE)
    reply = browser.get(f"/servers?q={request}")
    assert reply.headers["location"] == f"/operations/{request}"


def test_the_timeline_has_what_nobody_asked_for(house: House, browser: Browser) -> None:
    server = house.boot("web1")["id"]
    house.pass_seconds(90, beating=False)
    house.pass_seconds(1)
    house.settle()
    browser.sign_in()
    page = browser.page(f"/servers/{server}")
    (agent,) = house.cloud.plane.agents
    assert f"{agent.host}: down" in page
    assert f"{agent.host}: up" in page
    assert "task_state spawning → –" in page
    assert "instance.create.end" in page


def test_what_was_taken_of_a_host_before_the_console_was_there_is_charted(house: House, browser: Browser) -> None:
    house.boot("web1")
    (agent,) = house.cloud.plane.agents
    browser.sign_in()
    page = browser.page(f"/hosts/{agent.host}?hours=6")
    assert page.count("<polyline") == 3
    assert "from what servers used" in page
    assert f"/state/v1/fleet/{agent.host}/history" in page
    assert 'hours=6" aria-current' in page


def test_a_link_leads_on_after_signing_in_and_never_elsewhere(browser: Browser) -> None:
    reply = browser.get("/operations/req-1?server=x")
    assert reply.headers["location"] == "/sign-in?next=%2Foperations%2Freq-1%3Fserver%3Dx"
    assert 'value="/operations/req-1?server=x"' in browser.page(reply.headers["location"])
    for bad in ("//evil.test/", "https://evil.test/", "/\\evil.test", "javascript:alert(1)"):
        reply = browser.post("/sign-in", username="admin", password=PASSWORD, project="demo", next=bad)
        assert reply.headers["location"] == "/"


def test_forms_of_other_sites_do_nothing(browser: Browser) -> None:
    browser.sign_in()
    token = browser.form_token()
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.test"}):
        assert browser.post("/sign-out", headers=headers, form_token=token).status_code == 403
    assert browser.get("/").status_code == 200


def test_filters_are_kept_by_name(browser: Browser) -> None:
    browser.sign_in()
    token = browser.form_token()
    browser.post("/filters", form_token="forged", name="mine", query="status=ERROR")
    assert "★" not in browser.page("/servers")
    browser.post("/filters", form_token=token, name="mine", query="status=ERROR&evil=1")
    assert 'href="/servers?status=ERROR">★ mine' in browser.page("/servers")
    browser.post("/filters", form_token=token, name="mine", query="", remove="yes")
    assert "★" not in browser.page("/servers")


@pytest.mark.parametrize("cookie", ["", "nonsense", "bnVsbA==", "e30=", "é"])
def test_a_cookie_of_filters_that_makes_no_sense_keeps_none(cookie: str) -> None:
    assert filters.read(cookie) == {}


@pytest.mark.parametrize(
    "path",
    [
        "/servers/%2e%2e",
        "/servers/x%3Fall_tenants=1",
        "/hosts/%23",
        "/operations/req-%20x",
        "/usage?month=2026-13",
        "/usage?month=9999-01",
        "/time?at=yesterday",
        "/feed?topic=%3Cscript%3E",
        "/feed?topic=a.b.c.d",
        "/explain?q=nobody",
        "/servers?marker=nothing",
    ],
)
def test_wrong_input_is_told_in_a_page(browser: Browser, path: str) -> None:
    browser.sign_in()
    reply = browser.get(path)
    assert reply.status_code in (303, 400, 404)
    assert "Traceback" not in reply.text


def test_whom_the_cloud_knows_no_more_has_to_sign_in_again(house: House, browser: Browser) -> None:
    house.add_person("mia", "hers", "reader")
    browser.sign_in(user="mia", project="hers")
    assert browser.get("/servers").status_code == 200
    people = house.call("GET", "//identity/v3/users?name=mia").json()["users"]
    assert (
        house.call("PATCH", f"//identity/v3/users/{people[0]['id']}", {"user": {"enabled": False}}).status_code == 200
    )
    house.at = Instant(house.at + 2 * 366 * 24 * 3600 * 1_000_000)
    assert browser.get("/servers").headers["location"].startswith("/sign-in")


def test_usage_can_be_taken_away_as_a_table(house: House, browser: Browser) -> None:
    house.call("POST", "/flavors", {"flavor": {"name": "=1+1", "id": "sum", "vcpus": 1, "ram": 64, "disk": 1}})
    house.boot("web1", flavorRef="sum")
    house.pass_seconds(30)
    browser.sign_in()
    reply = browser.get("/usage.csv")
    assert "attachment" in reply.headers["content-disposition"]
    assert "'=1+1" in reply.text


def test_a_console_that_fails_says_so(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    browser.sign_in()
    monkeypatch.setattr("kilonova.console.web.app.everyones", lambda *_: 1 / 0)
    reply = browser.get("/servers")
    assert reply.status_code == 500
    assert "Something in the console itself is wrong" in reply.text
    assert "ZeroDivision" not in reply.text
