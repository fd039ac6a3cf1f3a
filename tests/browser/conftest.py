"""A cloud with a past behind a real address, and Debian's Chromium to look at its console."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from kilonova.domain.model import Instant
from kilonova.drivers.simulated import StagedDriver
from kilonova.drivers.simulated.scenario import Trouble
from tests.plane.house import PASSWORD, House, lived_in
from tests.plane.served import served
from tests.services_available import require_or_skip

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(slots=True)
class Town:
    """The cloud. ``servers`` are ids by name; ``base`` is the console's address."""

    house: House
    base: str
    servers: dict[str, str] = field(default_factory=dict)

    def boot(self, name: str, **wanted: Any) -> str:
        """One more server."""
        self.servers[name] = str(self.house.boot(name, **wanted)["id"])
        return self.servers[name]

    def act(self, name: str, action: dict[str, Any]) -> str:
        """Have something done to a server; the request's id."""
        reply = self.house.act(self.servers[name], action)
        assert reply.status_code in (200, 202), reply.text
        self.house.settle()
        return str(reply.headers["x-openstack-request-id"])


@pytest.fixture(scope="module")
def town(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:  # none without a browser
    """Six hosts in two zones, servers of two projects, moves, failures, and a host in trouble."""
    folder, roomy = tmp_path_factory.mktemp("town"), {"instances": -1, "cores": -1}
    with lived_in(folder, simulate_hosts=6, quota=roomy) as house, served(house, has_console=True) as site:
        # The console has a clock of its own, with which the cloud's has to agree.
        house.at = Instant(time.time_ns() // 1000 - 60_000_000)
        house.pass_seconds(1)
        made = Town(house, f"http://127.0.0.1:{site.port}/console")
        _zones(house)
        _live(made)
        yield made


def _zones(house: House) -> None:
    hosts = [agent.host for agent in house.cloud.plane.agents]
    for zone, members in (("east", hosts[:3]), ("west", hosts[3:5])):
        wanted = {"aggregate": {"name": f"rack-{zone}", "availability_zone": zone}}
        made = house.call("POST", "/os-aggregates", wanted).json()["aggregate"]["id"]
        for host in members:
            house.call("POST", f"/os-aggregates/{made}/action", {"add_host": {"host": host}})


def _live(town: Town) -> None:
    house = town.house
    for number in range(1, 7):
        town.boot(f"web{number}")
    town.boot("<script>alert(1)</script>")
    town.boot("broken", metadata={"sim:fail": "spawn:disk_full"})
    house.call("POST", "/flavors", {"flavor": {"name": "vast", "id": "vast", "vcpus": 1, "ram": 64, "disk": 900_000}})
    town.boot("giant", flavorRef="vast")
    town.act("web1", {"os-stop": None})
    town.act("web2", {"os-migrateLive": {"host": None, "block_migration": "auto"}})
    town.act("web3", {"reboot": {"type": "HARD"}})
    town.act("web4", {"resize": {"flavorRef": "1"}})
    house.add_person("mia", "hers", "member")
    town.boot("hers1", user="mia", project="hers")
    driver = house.driver(house.cloud.plane.agents[3].host)
    assert isinstance(driver, StagedDriver)
    driver.befalls(Trouble.HYPERVISOR_DISCONNECTS)
    house.pass_seconds(2)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser; skipped, under CI failed, where it is not there.

    For one file only: Playwright runs an event loop in this thread while it is there, and others want their own.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        require_or_skip("playwright is not installed (make venv-dev)")
    path = os.environ.get("KILONOVA_TEST_CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        require_or_skip("there is no Chromium; KILONOVA_TEST_CHROMIUM can name one")
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


class Visitor:
    """Somebody before the console, who expects it not to complain in its own console."""

    def __init__(self, town: Town, browser: Any, width: int, **how: Any) -> None:
        self.town = town
        self.complaints: list[str] = []
        self._context = browser.new_context(viewport={"width": width, "height": 844}, **how)
        self._context.set_default_timeout(60_000)
        self._context.on("console", self._heard)  # of this page, and of those that it opens
        self._context.on("weberror", lambda found: self.complaints.append(str(found.error)))
        self.page = self._context.new_page()

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def sign_in(self, user: str = "admin", project: str = "demo") -> "Visitor":
        """Come in."""
        self.page.goto(f"{self.town.base}/sign-in")
        self.page.get_by_label("User").fill(user)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_label("Project").fill(project)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()
        self.page.wait_for_load_state()  # its script is there too
        return self

    def go(self, path: str) -> Any:
        """Open a page."""
        return self.page.goto(f"{self.town.base}{path}")

    def leave(self) -> None:
        """Sign out, which lets go of the console's connections, and close the window."""
        button = self.page.get_by_role("button", name="Sign out")
        if button.count():
            button.click()
            self.page.wait_for_url("**/sign-in")
        self._context.close()


@pytest.fixture(params=[1280, 390], ids=["wide", "narrow"])
def visitor(request: pytest.FixtureRequest, chromium: Any, town: Town) -> Iterator[Visitor]:
    """A visitor with a wide window, and one with a telephone."""
    made = Visitor(town, chromium, request.param)
    yield made
    made.leave()
    assert made.complaints == []
