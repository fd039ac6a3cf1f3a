"""The console before a Nova that is no Kilonova, whose message bus it hears: a real one, through a real broker."""

import asyncio
import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from kilonova.console.accounts import Login
from kilonova.console.client import Client
from kilonova.console.intake import Bus, Listener, Notices
from kilonova.console.web import live
from kilonova.console.web.live import Ear, changes
from tests.brokers import Exchange, exchange
from tests.plane.browsing import AUTH, CHINESE, Browser, Counting, untranslated
from tests.plane.house import PASSWORD, House, lived_in
from tests.plane.served import served
from tests.plane.test_console_records import asked
from tests.plane.test_feed import carry
from tests.waiting import wait_until


@pytest.fixture
def nova() -> Iterator[Exchange]:
    with exchange(is_bound=False) as made:
        yield made


@pytest.fixture
def bus(nova: Exchange) -> Bus:
    return Bus(url=nova.url(), exchange=nova.name)


@pytest.fixture
def notices(bus: Bus) -> Notices:
    return Notices(bus.place)


@pytest.fixture(autouse=True)
def listener(bus: Bus, notices: Notices) -> Iterator[Listener]:
    made = Listener(bus, notices)
    made.start()
    wait_until(lambda: notices.hearing.state == "listening", "the console's ear")
    yield made
    made.stop()


@pytest.fixture
def house(tmp_path: Path, nova: Exchange) -> Iterator[House]:
    told = {"DEFAULT": {"transport_url": nova.url(), "control_exchange": nova.name, "host": "rack7-cmp"}}
    told["notifications"] = {"notification_format": "both"}
    with lived_in(tmp_path, **told) as made:
        yield made


@pytest.fixture
def browser(house: House, notices: Notices) -> Browser:
    return Browser(house, elsewhere=True, notices=notices)


def lose(listener: Listener, notices: Notices) -> None:
    """Let the bus be away, and stay so: who hears it would soon say that it is back."""
    listener.stop()
    notices.lost("no route to host")


def heard(house: House, notices: Notices, event_type: str) -> None:
    carry(house)
    wait_until(lambda: event_type in {each.event_type for each in notices.newest()}, event_type)


def test_notifications_are_in_the_timeline_at_the_requests_they_belong_to(
    house: House, notices: Notices, browser: Browser
) -> None:
    server = house.boot("web1")["id"]
    browser.sign_in()
    assert "instance.create.end" not in browser.page(f"/servers/{server}")
    heard(house, notices, "instance.create.end")
    page = browser.page(f"/servers/{server}")
    assert "instance.create.end" in page
    assert "compute.instance.create.end" not in page, "what is told in both formats is shown once"
    assert f"{notices.hearing.place}</code>" in page
    assert "changes and notifications" in page
    assert "Heard since" in page


def test_a_new_name_is_in_the_timeline_where_the_bus_tells_it(house: House, notices: Notices, browser: Browser) -> None:
    server = house.boot("web1")["id"]
    house.call("PUT", f"/servers/{server}", {"server": {"name": "shop"}})
    house.call("POST", f"/servers/{server}/metadata", {"metadata": {"role": "web"}})
    house.settle()
    browser.sign_in()
    for page in (browser.page(f"/servers/{server}"), browser.page(f"/servers/{server}", headers=CHINESE)):
        assert "web1" not in page.partition('class="timeline"')[2].partition("</ol>")[0]
    carry(house)
    wait_until(lambda: any(each.old_name for each in notices.of_server(server)), "the new name")
    page = browser.page(f"/servers/{server}")
    assert page.count("renamed web1 → shop") == 1
    assert "改名 web1 → shop" in browser.page(f"/servers/{server}", headers=CHINESE)
    assert "/operations/" not in page.partition("renamed web1")[0].rpartition("<li")[2], "no action, no page of it"


def leading(page: str) -> set[str]:
    """Where the main part of a page leads, of requests."""
    return set(re.findall(r'href="(/operations/[^"]+)"', html.unescape(page.partition("<main")[2])))


def test_every_request_that_the_feed_names_is_there(
    house: House, notices: Notices, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.add_person("mia", "hers", "member")
    for name, who in (("web1", {"user": "admin"}), ("hers", {"user": "mia", "project": "hers"})):
        server = house.boot(name, **who)["id"]
        asked(house.call("PUT", f"/servers/{server}", {"server": {"name": f"{name}-new"}}, **who))
    flavor = {"name": "odd", "id": "odd", "ram": 64, "vcpus": 1, "disk": 1}
    made = asked(house.call("POST", "/flavors", {"flavor": flavor}))
    house.settle()
    carry(house)
    wait_until(lambda: made in {each.request_id for each in notices.newest()}, "the flavor")
    browser.sign_in(user="mia", project="hers")
    others, hers = browser.get(f"/operations/{made}"), leading(browser.page("/feed"))
    assert others.status_code == 404, "what is of no project is for who administers the cloud"
    pages = [browser.page(link) for link in sorted(hers)]
    assert any("This cloud keeps no action of this request" in page for page in pages)
    assert not any("web1" in page or house.cloud.plane.agents[0].host in page for page in pages)
    browser.sign_in()
    for link in hers | leading(browser.page("/feed")):
        browser.page(link)
    browser.transport.asked.clear()
    assert "flavor.create" in browser.page(f"/operations/{made}")
    assert not [each for each in browser.transport.asked if "/servers" in each], "it was for no server"
    untold = untranslated(monkeypatch)
    assert "总线上听到的内容" in browser.page(f"/operations/{made}", headers=CHINESE)
    assert untold == set()


def test_a_page_of_one_server_is_not_told_of_others_nor_a_tenant_of_other_tenants(
    house: House, notices: Notices
) -> None:
    mine, other = house.boot("web1")["id"], house.boot("web2")["id"]
    heard(house, notices, "instance.create.end")
    project = house.show(mine)["tenant_id"]
    page = Ear(notices, project_id=None, server=mine)
    tenants = {who: Ear(notices, project_id=who, server="") for who in (project, "somebody")}
    house.act(other, {"os-stop": None})
    house.settle()
    heard(house, notices, "instance.power_off.end")
    assert not page.has_news()
    assert {who: ear.has_news() for who, ear in tenants.items()} == {project: True, "somebody": False}
    house.act(mine, {"os-stop": None})
    house.settle()
    carry(house)
    ends = {"instance.power_off.end", "compute.instance.power_off.end"}
    wait_until(lambda: ends <= {each.event_type for each in notices.of_server(mine)}, "the stop in both formats")
    assert page.has_news()
    assert not page.has_news(), "what was told is no news"


def test_an_open_page_is_told_at_once(house: House, notices: Notices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_BLIND_SECONDS", 3600.0)
    login = Login(auth_url=AUTH, username="admin", password=PASSWORD, project_name="demo")
    client = Client(login, transport=Counting(house.transport, hides="/state/"))

    async def told() -> list[str]:
        stream = changes(client, notices)
        first = [await anext(stream), await anext(stream)]
        house.boot("web1")
        heard(house, notices, "instance.create.end")
        return [*first, await asyncio.wait_for(anext(stream), 60)]

    assert [each.splitlines()[0] for each in asyncio.run(told())] == ["retry: 3000", "event: ready", "event: changed"]


def test_the_feed_and_the_hosts_have_them_too(house: House, notices: Notices, browser: Browser) -> None:
    house.boot("broken", metadata={"sim:fail": "spawn:disk_full"})
    heard(house, notices, "instance.create.error")
    notices.take(b"nonsense")
    browser.sign_in()
    page = browser.page("/feed")
    assert "instance.create.error" in page
    assert "not JSON" in page
    assert "instance.create.error" not in browser.page("/feed?topic=update")
    (agent,) = house.cloud.plane.agents
    for path in ("/hosts", f"/hosts/{agent.host}"):
        page = browser.page(path)
        assert "instance.create.error" in page
        assert "disk is full" in page


def test_a_tenant_hears_of_nobody_elses_servers_and_of_no_hosts(
    house: House, notices: Notices, browser: Browser
) -> None:
    house.boot("not-hers")
    house.add_person("mia", "hers", "member")
    house.boot("hers1", user="mia", project="hers")
    hers = house.boot("hers2", user="mia", project="hers", metadata={"sim:fail": "spawn:disk_full"})["id"]
    heard(house, notices, "instance.create.error")
    browser.sign_in(user="mia", project="hers")
    (agent,) = house.cloud.plane.agents
    for path in ("/feed", f"/servers/{hers}", "/hosts"):
        page = browser.page(path)
        assert "not-hers" not in page
        assert agent.host not in page
        assert notices.hearing.place not in page
    page = browser.page("/feed")
    assert "hers1" in page
    assert ">No.<" not in page, "numbers count what all projects do"
    browser.sign_in()
    assert ">No.<" in browser.page("/feed")


def test_a_bus_that_is_away_is_said_wherever_it_would_be_heard(
    house: House, notices: Notices, listener: Listener, browser: Browser
) -> None:
    server = house.boot("web1")["id"]
    lose(listener, notices)
    browser.sign_in()
    (agent,) = house.cloud.plane.agents
    for path in (f"/servers/{server}", "/feed", "/hosts", f"/hosts/{agent.host}"):
        page = browser.page(path)
        assert "The message bus is not heard since" in page
        assert "no route to host" in page


def test_a_kilonova_is_asked_for_its_journal_instead(house: House, notices: Notices) -> None:
    server = house.boot("web1")["id"]
    heard(house, notices, "instance.create.end")
    browser = Browser(house, notices=notices)
    browser.sign_in()
    assert notices.hearing.place not in browser.page(f"/servers/{server}") + browser.page("/feed")


@pytest.mark.parametrize("state", ["listening", "away"])
def test_all_of_it_is_said_in_chinese(
    house: House,
    notices: Notices,
    listener: Listener,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
) -> None:
    server = house.boot("web1", metadata={"sim:fail": "spawn:disk_full"})["id"]
    heard(house, notices, "instance.create.error")
    if state == "away":
        lose(listener, notices)
    browser.sign_in()
    unknown = untranslated(monkeypatch)
    (agent,) = house.cloud.plane.agents
    for path in (
        "/",
        "/servers",
        f"/servers/{server}",
        "/hosts",
        f"/hosts/{agent.host}",
        "/failures",
        "/feed",
        "/time",
    ):
        browser.page(path, headers=CHINESE)
    assert unknown == set()


def test_the_console_is_served_by_itself(house: House, nova: Exchange) -> None:
    """As a process of its own, which listens, hears the bus, and ends when it is asked to."""
    with served(house) as site:
        where = f"http://127.0.0.1:{site.port}/identity/v3"
        command = [sys.executable, "-m", "kilonova", "console", "--auth-url", where, "--port", "0"]
        environment = {**os.environ, "KILONOVA_CONSOLE_TRANSPORT_URL": nova.url()}
        process = subprocess.Popen(
            [*command, "--exchange", nova.name],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        try:
            told = [process.stdout.readline() for _ in range(3)]
            with httpx2.Client(base_url=told[0].split()[-1].removesuffix("/console/"), timeout=60) as http:
                wait_until(lambda: _answers(http), "the console")
                form = {"username": "admin", "password": PASSWORD, "project": "demo", "domain": "elsewhere"}
                assert http.post("/console/sign-in", data=form).status_code == 401
                form["domain"] = "Default"
                assert http.post("/console/sign-in", data=form).status_code == 303
                assert "Everything is well." in http.get("/console/").text
        finally:
            process.terminate()
            rest = process.communicate(timeout=60)[0]
        assert process.returncode == 0
        assert nova.name in told[1]
        assert nova.account not in "".join(told) + rest


def _answers(http: httpx2.Client) -> bool:
    try:
        return http.get("/console/sign-in").status_code == 200
    except httpx2.TransportError:
        return False
