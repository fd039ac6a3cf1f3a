"""The console before a Nova that is no Kilonova: every page is there, and says what it was not told."""

import pytest

from tests.plane.browsing import Browser
from tests.plane.house import House


@pytest.fixture
def browser(house: House) -> Browser:
    made = Browser(house, elsewhere=True)
    made.sign_in()
    return made


def test_the_overview_is_made_from_novas_own_lists(house: House, browser: Browser) -> None:
    house.boot("web1")
    page = browser.page("/")
    assert "Everything is well." in page
    assert "/os-services" in page
    assert "/os-hypervisors/detail" in page
    assert "Not told by this cloud" in page
    assert "Journal and sinks" not in page


def test_a_failed_server_is_explained_from_its_fault(house: House, browser: Browser) -> None:
    server = house.boot("web1", metadata={"sim:fail": "spawn:disk_full"})["id"]
    page = browser.page(f"/servers/{server}")
    assert "The disk of" in page
    assert "compute__do_build_and_run_instance" in page
    assert "Where it was placed" not in page
    assert "simulated: the host&#39;s disk is full" in browser.page("/failures")


def test_diagnostics_become_charts_by_looking(house: House, browser: Browser) -> None:
    server = house.boot("web1")["id"]
    page = browser.page(f"/servers/{server}")
    assert "Charts begin with the third look" in page
    assert f"/servers/{server}/diagnostics" in page


def test_a_request_is_found_on_its_server_and_without(house: House, browser: Browser) -> None:
    server = house.boot("web1")["id"]
    action = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]
    request = action["request_id"]
    told = browser.page(f"/operations/{request}?server={server}")
    assert "was done in" in told
    assert "has no register of requests" not in told
    assert "has no register of requests" in browser.page(f"/operations/{request}")
    assert browser.get("/operations/req-00000000-0000-0000-0000-000000000000").status_code == 404


def test_what_only_a_kilonova_remembers_is_said_to_be_missing(browser: Browser) -> None:
    assert "has no memory of how it was" in browser.page("/time")
    assert "has no journal" in browser.page("/feed")
    assert "kilonova events" not in browser.page("/feed")
    assert "does not tell usage by day" in browser.page("/usage")


def test_hosts_have_their_load_from_hypervisors(house: House, browser: Browser) -> None:
    house.boot("web1")
    page = browser.page("/hosts")
    (agent,) = house.cloud.plane.agents
    assert f"/hosts/{agent.host}" in page
    assert "vCPUs" in browser.page(f"/hosts/{agent.host}")
    assert "web1" in browser.page(f"/hosts/{agent.host}")
    assert "this cloud keeps no history of it" in browser.page(f"/hosts/{agent.host}")


def test_it_is_not_asked_again_and_again_for_what_it_has_not(house: House, browser: Browser) -> None:
    server = house.boot("web1")["id"]
    for path in ("/", "/servers", f"/servers/{server}", "/hosts", "/failures", "/feed", "/time", "/usage"):
        browser.page(path)
    assert sum("/state/" in asked for asked in browser.transport.asked) == 1


def test_usage_is_as_nova_reports_it(house: House, browser: Browser) -> None:
    house.boot("web1")
    house.pass_seconds(30)
    assert "its latest flavor for all of its life" in browser.page("/usage")
    table = browser.get("/usage.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.splitlines()[0].startswith("project,name,flavor,servers,hours")
