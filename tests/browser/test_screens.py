"""The screen of a real machine in a real browser: the console leads there, noVNC shows it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.bootstrap_place import present
from kilonova.drivers import host
from kilonova.proxy.pages import find_novnc
from tests.browser.conftest import Town, Visitor
from tests.plane.house import lived_in
from tests.plane.proxied import proxied
from tests.plane.served import served
from tests.services_available import require_or_skip
from tests.waiting import wait_until

_LIT = """() => {
    const screen = document.querySelector("#screen canvas");
    const copy = new OffscreenCanvas(screen.width, screen.height).getContext("2d", {willReadFrequently: true});
    copy.drawImage(screen, 0, 0);
    const pixels = copy.getImageData(0, 0, screen.width, screen.height).data;
    return pixels.filter((value, place) => place % 4 === 0 && value > 100).length;
}"""
"""How many points of the screen are lit. A copy is read: browsers warn of reading often what is made to be drawn."""
_WORDS_ON_A_SCREEN = 500


@pytest.fixture(scope="module")
def town(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A cloud of real machines."""
    if host.find_qemu() is None:
        require_or_skip(f"QEMU is not installed; {host.INSTALL_LINE}")
    if find_novnc() is None:
        require_or_skip("noVNC is not installed; sh scripts/ensure_novnc.sh fetches it")
    folder = tmp_path_factory.mktemp("machines")
    with lived_in(folder, driver="qemu") as house, served(house, has_console=True) as site, proxied(house, web=""):
        house.at = present()
        house.pass_seconds(1)
        made = Town(house, f"http://127.0.0.1:{site.port}/console")
        yield made
        for server in made.servers.values():
            house.call("DELETE", f"/servers/{server}")
        house.settle()
        assert house.guests() == {}


def test_the_console_leads_to_the_screen_of_a_machine_and_keys_reach_it(visitor: Visitor, tmp_path: Path) -> None:
    town, page = visitor.town, visitor.sign_in().page
    server = town.boot(f"web-{page.viewport_size['width']}")
    visitor.go(f"/servers/{server}")
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Open the screen").click()
    screen = opened.value
    screen.locator("#status", has_text="Connected to QEMU").wait_for()
    wait_until(lambda: screen.evaluate(_LIT) > _WORDS_ON_A_SCREEN, "words on the screen")
    screen.screenshot(path=tmp_path / "screen.png")
    wait_until(lambda: "READY boots=1" in town.house.console(server), "the boot")
    screen.get_by_text("Send CtrlAltDel").click()
    wait_until(lambda: "READY boots=2" in town.house.console(server), "the boot after the keys")
