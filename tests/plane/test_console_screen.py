"""The console leads to servers' screens, wherever the cloud has them."""

import re
from typing import Any

import pytest

from kilonova.console.client import Client
from kilonova.domain.remote_consoles import ConsoleKind
from tests.plane.browsing import Browser
from tests.plane.house import House

BUTTON = "Open the screen"


@pytest.fixture
def server(house: House, monkeypatch: pytest.MonkeyPatch) -> str:
    """A server on a host whose driver has screens."""
    monkeypatch.setattr(type(house.driver()), "consoles", frozenset(ConsoleKind), raising=False)
    return str(house.boot()["id"])


@pytest.fixture(params=[False, True], ids=["kilonova", "another-nova"])
def browser(request: pytest.FixtureRequest, house: House, server: str) -> Browser:
    made = Browser(house, elsewhere=request.param)
    made.sign_in()
    return made


def test_a_servers_page_leads_to_its_screen(browser: Browser, server: str) -> None:
    assert BUTTON in browser.page(f"/servers/{server}")
    reply = browser.post(f"/servers/{server}/screen", form_token=browser.form_token())
    assert reply.status_code == 200
    link = re.search(r'href="(http://cloud\.test:6080/vnc_lite\.html\?path=%3Ftoken%3D[0-9a-f]{64})"', reply.text)
    assert link is not None
    assert reply.headers["Refresh"] == f"0; url={link[1]}"


def test_a_server_that_is_off_has_no_button(house: House, browser: Browser, server: str) -> None:
    house.act(server, {"os-stop": None})
    house.settle()
    assert BUTTON not in browser.page(f"/servers/{server}")
    reply = browser.post(f"/servers/{server}/screen", form_token=browser.form_token())
    assert reply.status_code == 409
    assert "is not ready" in reply.text


def test_nobody_opens_a_screen_by_somebody_elses_form(browser: Browser, server: str) -> None:
    screen = f"/servers/{server}/screen"
    for reply in (browser.post(screen), browser.post(screen, form_token="another")):
        assert (reply.status_code, reply.headers["location"]) == (303, f"/servers/{server}")
    foreign = {"Sec-Fetch-Site": "cross-site"}
    reply = browser.post(f"/servers/{server}/screen", headers=foreign, form_token=browser.form_token())
    assert reply.status_code == 403


def test_who_is_not_signed_in_has_to_sign_in_first(house: House, server: str) -> None:
    reply = Browser(house).post(f"/servers/{server}/screen", form_token="x")
    assert reply.status_code == 303


def test_the_screens_of_others_are_not_there(house: House, browser: Browser, server: str) -> None:
    house.add_person("eve", "hers", "member")
    browser.sign_in("eve", "hers")
    assert browser.post(f"/servers/{server}/screen", form_token=browser.form_token()).status_code == 404


@pytest.mark.parametrize("address", ["javascript:alert(1)", "http://x\r\nSet-Cookie: a=b", "file:///etc/passwd"])
def test_an_address_that_no_browser_should_open_is_not_opened(
    browser: Browser, server: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(*_given: Any, **_named: Any) -> Any:
        return {"remote_console": {"url": address}}

    monkeypatch.setattr(Client, "order", answered)
    reply = browser.post(f"/servers/{server}/screen", form_token=browser.form_token())
    assert reply.status_code == 502
    assert "Refresh" not in reply.headers
    assert "none that a browser should open" in reply.text
