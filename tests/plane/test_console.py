"""The console's pages over a plane in this process, as a browser without scripts sees them."""

import re
import time
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from kilonova.cli import kilonova
from kilonova.console.accounts import Login
from kilonova.console.client import Client
from kilonova.console.web.app import Console
from kilonova.domain.model import Instant
from tests.plane.house import PASSWORD, House

_AUTH = "http://cloud.test:8774/identity/v3"


class Browser:
    """A browser without scripts."""

    def __init__(self, house: House) -> None:
        self.seconds = 0.0
        console = Console(
            _AUTH, connect=lambda login: Client(login, transport=house.transport), clock=lambda: self.seconds
        )
        self.sessions = console.sessions
        self._http = TestClient(console.application(), base_url="http://console.test", follow_redirects=False)

    def get(self, path: str, **how: Any) -> httpx2.Response:
        return self._http.get(path, **how)

    def post(self, path: str, **fields: str) -> httpx2.Response:
        return self._http.post(path, data=fields)

    def sign_in(self, user: str = "admin", project: str = "demo", password: str = PASSWORD) -> httpx2.Response:
        return self.post("/sign-in", username=user, password=password, project=project)

    def page(self, path: str) -> str:
        reply = self.get(path)
        assert reply.status_code == 200, reply.text
        return reply.text


@pytest.fixture
def browser(house: House) -> Browser:
    house.at = Instant(time.time_ns() // 1000)  # the console has a clock of its own, which must agree
    house.pass_seconds(1)
    return Browser(house)


def test_nothing_is_shown_before_signing_in(browser: Browser) -> None:
    for path in ("/", "/servers", "/hosts", "/failures", "/usage", "/feed"):
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
        login = Login(auth_url=_AUTH, username="admin", password=PASSWORD, project_name="demo")
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


def test_a_server_that_is_none_is_told(commands: Any) -> None:
    assert "There is no server 'nix'" in str(commands("explain", "nix").exception.message)
