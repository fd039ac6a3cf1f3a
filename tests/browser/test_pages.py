"""The console in a real browser, wide and narrow: what people do there, and that everybody can."""

from typing import Any

from tests.browser.conftest import Town, Visitor
from tests.waiting import wait_until

_SERIOUS = ("serious", "critical")
_NARROW = 390
_SIGN_OUT_AND_LEARN_OF_IT = """() => {
    window.fetch = async () => ({type: "opaqueredirect"});
    document.querySelector("form[action$='/sign-out']").requestSubmit();
    refresh();
}"""
_REFRESH = """async () => {
    document.querySelector("main").append("what is not there any more");
    await refresh();
}"""
_TYPE_WHILE_IT_IS_FETCHED = """() => {
    const fetched = window.fetch;
    window.fetch = async (...asked) => {
        const reply = await fetched(...asked), field = document.getElementById("name");
        field.focus();
        field.value = "typed";
        return reply;
    };
}"""


def _paths(town: Town) -> dict[str, str]:
    broken = town.servers["broken"]
    actions = town.house.call("GET", f"/servers/{broken}/os-instance-actions").json()["instanceActions"]
    rows = town.house.call("GET", "//state/v1/events?topic=aggregate").json()["events"]
    return {
        "overview": "/",
        "servers": "/servers?status=ACTIVE",
        "server": f"/servers/{broken}",
        "moved": f"/servers/{town.servers['web2']}",
        "request": f"/operations/{actions[0]['request_id']}",
        "recorded": f"/operations/{rows[-1]['request_id']}",
        "hosts": "/hosts",
        "host": f"/hosts/{town.house.cloud.plane.agents[3].host}",
        "failures": "/failures",
        "explain": "/explain?q=giant",
        "usage": "/usage",
        "feed": "/feed",
        "time": "/time?tick=500",
    }


def _findings(page: Any) -> list[str]:
    """What axe finds that keeps people out."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in _SERIOUS]


def test_somebody_signs_in_finds_a_failed_server_and_reads_why(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    page.locator("main a .chip", has_text="ERROR").click()
    page.get_by_role("link", name="broken").click()
    page.get_by_text("The disk of").wait_for()
    assert "Free space on the host" in page.locator(".explain").inner_text()
    page.locator(".request").first.click()
    page.wait_for_url("**/operations/*")
    assert "compute__do_build_and_run_instance" in page.locator(".stations").first.inner_text()


def test_a_boot_is_seen_as_it_goes_on(visitor: Visitor) -> None:
    page, house = visitor.sign_in().page, visitor.town.house
    name = f"fresh-{page.viewport_size['width']}"
    server = {"name": name, "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
    assert house.call("POST", "/servers", {"server": server}).status_code == 202
    visitor.go("/servers?q=fresh")
    row = page.locator("tr", has_text=name)
    row.locator(".chip", has_text="BUILD").wait_for()
    page.locator("#pulse", has_text="live").wait_for()
    house.settle()
    row.locator(".chip", has_text="ACTIVE").wait_for()


def test_time_can_be_slid_back(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    visitor.go("/time")
    slider = page.locator("#tick")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_url("**/time?tick=0*")
    page.get_by_text("There were no servers then.").wait_for()
    assert page.locator(".changes li", has_text="web1").count() == 1


def test_a_tenant_sees_nothing_of_others(visitor: Visitor) -> None:
    page = visitor.sign_in("mia", "hers").page
    visitor.go("/servers")
    page.get_by_role("link", name="hers1").wait_for()
    assert page.get_by_role("link", name="web2").count() == 0
    for path in (f"/servers/{visitor.town.servers['web2']}", f"/hosts/{visitor.town.house.cloud.plane.agents[0].host}"):
        assert visitor.go(path).status == 404
    visitor.go("/")
    assert "web2" not in page.locator("main").inner_text()
    visitor.complaints.clear()  # the browser itself complains of the pages that were refused


def test_a_filter_that_was_kept_is_there_again(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    visitor.go("/servers?status=ERROR")
    page.get_by_label("Keep this filter as").fill("in trouble")
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("link", name="in trouble").wait_for()
    visitor.go("/servers")
    page.get_by_role("link", name="in trouble").click()
    page.wait_for_url("**status=ERROR*")


def test_the_keyboard_reaches_the_question_and_the_answer(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    page.locator("body").press("/")
    page.keyboard.type("broken")
    page.keyboard.press("Enter")
    page.wait_for_url("**/explain?q=broken")
    page.get_by_text("The disk of").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert wait_until(lambda: page.evaluate("document.activeElement.id") == "main", "the jump to the content")


def test_every_page_is_for_everybody_and_fits(town: Town, visitor: Visitor) -> None:
    """The wide window is light and the narrow one dark: colours do not depend on the width."""
    page = visitor.sign_in().page
    page.emulate_media(color_scheme="light" if page.viewport_size["width"] > _NARROW else "dark")
    problems = []
    for name, path in _paths(town).items():
        assert visitor.go(path).status == 200, name
        problems += [f"{name}: {found}" for found in _findings(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{name} is wider than the window")
    assert problems == []


def test_a_servers_name_is_never_markup(visitor: Visitor) -> None:
    dialogs: list[str] = []
    page = visitor.sign_in().page
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for path in ("/servers", f"/servers/{visitor.town.servers['<script>alert(1)</script>']}", "/time", "/feed"):
        visitor.go(path)
        page.locator("main", has_text="<script>alert(1)</script>").wait_for()
    assert dialogs == []


def test_a_page_that_learns_of_the_sign_out_first_does_not_turn_it_back(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    visitor.go("/servers")
    page.locator("#pulse", has_text="live").wait_for()
    with page.expect_navigation():
        page.evaluate(_SIGN_OUT_AND_LEARN_OF_IT)
    assert page.url == f"{visitor.town.base}/sign-in"


def test_what_is_typed_while_the_page_is_fetched_anew_stays(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    visitor.go("/servers?status=ERROR")
    page.evaluate(_TYPE_WHILE_IT_IS_FETCHED)
    page.evaluate(_REFRESH)
    assert page.locator("#name").input_value() == "typed"


def test_a_link_that_is_pressed_while_the_page_is_made_anew_leads_on(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    visitor.go("/servers?status=ERROR")
    page.get_by_role("link", name="broken").hover()
    page.mouse.down()
    page.evaluate(_REFRESH)
    page.mouse.up()
    page.wait_for_url(f"**/servers/{visitor.town.servers['broken']}")


def test_a_page_that_was_not_left_after_all_is_live_again(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    page.clock.install()
    visitor.go("/servers?status=ERROR")
    page.route("**/filters", lambda route: route.fulfill(status=204))
    page.get_by_label("Keep this filter as").fill("mine")
    page.get_by_role("button", name="Keep").click()
    page.locator("h1").click()  # nobody types any more
    page.evaluate(_REFRESH)
    assert page.get_by_text("what is not there any more").count() == 1, "it is about to be left"
    page.clock.fast_forward("01:01")
    page.evaluate(_REFRESH)
    assert page.get_by_text("what is not there any more").count() == 0
