"""The console's pages of what only the journal tells: requests that are no server's actions, and what changed."""

import html
import re
import shlex
from typing import Any

import pytest
from click.testing import CliRunner

from kilonova.cli import kilonova, timeline
from kilonova.console.accounts import Login
from kilonova.console.board import story
from kilonova.console.client import Client
from kilonova.wire.times import zulu_micros
from tests.plane.browsing import AUTH, CHINESE, Browser, untranslated
from tests.plane.house import PASSWORD, House


@pytest.fixture
def browser(house: House) -> Browser:
    return Browser(house)


def asked(reply: Any) -> str:
    """The id of the request that was answered so."""
    assert reply.status_code in (200, 201, 202), reply.text
    return str(reply.headers["x-openstack-request-id"])


def changing(house: House, server: str) -> dict[str, str]:
    """Requests that are no operations on a server, by what is told of them."""
    (agent,) = house.cloud.plane.agents
    demo = house.cloud.identity.records.find_project_by_name("demo", "default")
    assert demo is not None
    grown = house.call("POST", "/os-aggregates", {"aggregate": {"name": "rack"}})
    hosts = f"/os-aggregates/{grown.json()['aggregate']['id']}/action"
    limits = {"quota_set": {"instances": 20}}
    return {
        "The aggregate rack was made by admin": asked(grown),
        f"host {agent.host} added": asked(house.call("POST", hosts, {"add_host": {"host": agent.host}})),
        f"host {agent.host} removed": asked(house.call("POST", hosts, {"remove_host": {"host": agent.host}})),
        "The quota of project demo was changed by admin": asked(house.call("PUT", f"/os-quota-sets/{demo.id}", limits)),
        "limit instances = 20": asked(house.call("PUT", f"/os-quota-sets/{demo.id}", limits)),
        "renamed web1 → shop": asked(house.call("PUT", f"/servers/{server}", {"server": {"name": "shop"}})),
        "metadata role = web": asked(house.call("POST", f"/servers/{server}/metadata", {"metadata": {"role": "web"}})),
        "tag blue added": asked(house.call("PUT", f"/servers/{server}/tags", {"tags": ["blue"]})),
    }


def test_requests_that_are_no_servers_actions_are_told_from_the_journal(
    house: House, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = changing(house, house.boot("web1")["id"])
    house.settle()
    browser.sign_in()
    for told, request in requests.items():
        page = browser.page(f"/operations/{request}")
        assert told in page
        assert "Not told by this cloud" not in page
        assert f"kilonova explain {request}" in page
        assert told in commanded(house, monkeypatch, request)
        assert f'href="/operations/{request}' in browser.page("/explain?q=" + request)
    untold = untranslated(monkeypatch)
    for request in requests.values():
        browser.page(f"/operations/{request}", headers=CHINESE)
    assert untold == set()


def test_of_a_very_long_story_the_end_is_shown(house: House, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    server = house.boot("long")["id"]
    for number in range(8):
        house.call("POST", f"/servers/{server}/metadata", {"metadata": {"turn": f"the {number}th"}})
    house.settle()
    browser.sign_in()
    monkeypatch.setattr(story, "_JOURNAL_PAGE", 2)
    page = browser.page(f"/servers/{server}")
    assert "the 7th" in page
    assert "the 0th" not in page
    monkeypatch.undo()
    assert "the 0th" in browser.page(f"/servers/{server}")


def commanded(house: House, monkeypatch: pytest.MonkeyPatch, request: str) -> str:
    """What `kilonova explain` says of it."""
    login = Login(auth_url=AUTH, username="admin", password=PASSWORD, project_name="demo")
    monkeypatch.setattr("kilonova.cli.explain.connected", lambda _: Client(login, transport=house.transport))
    found = CliRunner().invoke(kilonova, ["explain", request])
    assert found.exit_code == 0, found.output
    return found.output


def leading(page: str, where: str) -> set[str]:
    """Where the main part of a page leads, of what begins so."""
    return set(re.findall(rf'href="({where}[^"]+)"', page.partition("<main")[2]))


def test_every_request_that_the_feed_names_is_there(house: House, browser: Browser) -> None:
    changing(house, house.boot("web1")["id"])
    gone = house.boot("gone")["id"]
    house.call("DELETE", f"/servers/{gone}")
    house.settle()
    house.add_person("mia", "demo", "member")
    for user in ("admin", "mia"):
        browser.sign_in(user=user)
        links = leading(browser.page("/feed"), "/(?:operations|servers)/")
        assert any(link.startswith("/operations/") for link in links)
        for link in links:
            for onward in leading(browser.page(link), "/servers/"):
                browser.page(onward)


def test_what_was_changed_of_a_server_is_in_its_own_timeline(
    house: House, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = house.boot("web1", metadata={"sim:fail": "pause:guest_unresponsive"})["id"]
    house.act(server, {"pause": None})
    house.settle()
    requests = changing(house, server)
    house.settle()
    renamed = next(request for told, request in requests.items() if told.startswith("renamed"))
    house.add_person("mia", "demo", "member")
    for user in ("admin", "mia"):
        browser.sign_in(user=user)
        page = browser.page(f"/servers/{server}")
        story = page.partition('class="timeline"')[2].partition("</ol>")[0]
        for told in ("renamed web1 → shop", "metadata role = web", "tag blue added"):
            assert f"{told}</span>" in story
            assert f'id="{requests[told]}"' in story
        assert "display_name" not in story
        assert "The guest of shop does not react" in page, "a new name is not what the server suffers from"
        browser.page(f"/operations/{renamed}?server={server}")
    untold = untranslated(monkeypatch)
    assert "改名 web1 → shop" in browser.page(f"/servers/{server}", headers=CHINESE)
    assert untold == set()
    login = Login(auth_url=AUTH, username="admin", password=PASSWORD, project_name="demo")
    rows = timeline.rows(Client(login, transport=house.transport), server)
    (mine,) = (row for row in rows if row["request_id"] == renamed)
    assert (mine["what"], mine["changes"]) == ("update", ["renamed web1 → shop"])


def test_a_server_that_is_changed_all_the_time_has_a_page_that_can_be_read(house: House, browser: Browser) -> None:
    server = house.boot("web1")["id"]
    for beat in range(510):
        asked(house.call("POST", f"/servers/{server}/metadata", {"metadata": {"beat": str(beat)}}))
    house.settle()
    browser.sign_in()
    page = browser.page(f"/servers/{server}")
    assert page.count('<li id="req-') == 500
    assert "metadata beat: 508 → 509" in page, "the latest are shown"
    assert "and 11 more" in page, "its creation among them"


def numbers(page: str) -> set[int]:
    """Whatever the main part of a page shows as a number alone in its place."""
    return {int(text.replace(",", "")) for text in re.findall(r">\s*(\d[\d,]*)\s*<", page.partition("<main")[2])}


def test_the_numbers_of_the_feed_are_for_who_sees_everybody(house: House, browser: Browser) -> None:
    house.add_person("mia", "hers", "member")
    house.add_person("watcher", "watch", "auditor")
    house.boot("hers1", user="mia", project="hers")
    for number in range(3):
        house.boot(f"not-hers{number}")
    house.boot("hers2", user="mia", project="hers")
    told = house.call("GET", "//state/v1/events", user="mia", project="hers").json()
    own = {row["seq"] for row in told["events"]}
    assert told["head"] > len(own), "the last of all changes stays where readers go on from"
    browser.sign_in(user="mia", project="hers")
    page = browser.page("/feed")
    assert "hers2" in page
    assert "not-hers" not in page
    assert numbers(page) & {told["head"], *own} == set()
    assert ">No.<" not in page
    for user, project in (("admin", "demo"), ("watcher", "watch")):
        browser.sign_in(user=user, project=project)
        page = browser.page("/feed")
        assert {told["head"], *own} <= numbers(page)
        assert ">No.<" in page


def test_a_request_of_another_project_is_none_for_a_tenant(house: House, browser: Browser) -> None:
    requests = changing(house, house.boot("web1")["id"])
    house.settle()
    house.add_person("mia", "hers", "member")
    browser.sign_in(user="mia", project="hers")
    for request in requests.values():
        reply = browser.get(f"/operations/{request}")
        assert reply.status_code == 404
        assert "There is no request" in reply.text


def test_what_changed_is_told_in_words_and_the_latest_first(
    house: House, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, gone = house.boot("web1")["id"], house.boot("gone")["id"]
    house.pass_seconds(5)
    began = zulu_micros(house.at)
    house.pass_seconds(5)
    changing(house, server)
    house.act(server, {"os-stop": None})
    house.settle()
    house.pass_seconds(5)
    house.call("DELETE", f"/servers/{gone}")
    house.settle()
    house.pass_seconds(5)
    house.boot("late")
    browser.sign_in()
    path = f"/time?at={began}"
    page = browser.page(path).partition('class="plain changes"')[2].partition("</ul>")[0]
    for words in ("renamed web1 → shop", "metadata role = web", "tag blue added", "status ACTIVE → SHUTOFF"):
        assert words in page
    for raw in ("{", "&#39;", "display_name", "vm_state"):
        assert raw not in page
    places = [page.index(f">{name}</a>") for name in ("late", "gone", "shop")]
    assert places == sorted(places)
    untold = untranslated(monkeypatch)
    chinese = browser.page(path, headers=CHINESE)
    assert "改名 web1 → shop" in chinese
    assert "状态 ACTIVE → SHUTOFF" in chinese
    assert untold == set()


def test_time_leads_nobody_to_a_page_that_they_may_not_see(house: House, browser: Browser) -> None:
    gone = house.boot("gone")["id"]
    house.pass_seconds(5)
    began = zulu_micros(house.at)
    house.pass_seconds(5)
    house.boot("late")
    house.call("DELETE", f"/servers/{gone}")
    house.settle()
    house.add_person("mia", "demo", "member")
    for user, number in (("admin", 2), ("mia", 1)):
        browser.sign_in(user=user)
        page = browser.page(f"/time?at={began}")
        assert page.count("gone") == 2
        links = leading(page, "/servers/")
        assert len(links) == number
        assert all(browser.get(link).status_code == 200 for link in links)


def test_the_command_of_an_instant_has_the_clouds_own_address(house: House, browser: Browser) -> None:
    house.boot("web1")
    browser.sign_in()
    page = browser.page("/time?at=2026-11-22T09:58:00Z")
    found = re.search(r'<code id="command">([^<]+)</code>', page)
    assert found is not None
    words = shlex.split(html.unescape(found[1]))
    assert words[:3] == ["curl", "-sG", "-H"]
    assert "X-Auth-Token: $(openstack token issue -f value -c id)" in words
    assert words[-1] == "http://cloud.test:8774/state/v1/servers"
    told = house.call("GET", f"//state/v1/servers?{words[words.index('-d') + 1]}")
    assert told.status_code == 200


def test_earlier_decisions_are_folded_away_and_all_there(house: House, browser: Browser) -> None:
    server = house.boot("web1")["id"]
    for count in range(1, 5):
        browser.sign_in()
        page = browser.page(f"/servers/{server}")
        assert page.count('class="funnel"') == count
        assert ("1 earlier decision<" in page) == (count == 4)
        house.act(server, {"shelve": None})
        house.settle()
        assert house.act(server, {"shelveOffload": None}).status_code in (202, 409)
        house.settle()
        assert house.act(server, {"unshelve": None}).status_code == 202
        house.settle()
