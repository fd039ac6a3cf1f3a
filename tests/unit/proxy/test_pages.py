"""noVNC's files as the proxy of consoles serves them, from a directory that stands for its package."""

import base64
import hashlib
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from kilonova.proxy.pages import Pages, find_novnc

SCRIPT = "\n  import RFB from './core/rfb.js';\n  if (1 < 2 && '</div>') new RFB();\n"
STYLE = "body { margin: 0 }"
PAGE = f"""<!DOCTYPE html><html><head><style>{STYLE}</style><script src="./app/start.js"></script>
<script type="module">{SCRIPT}</script></head><body>screen</body></html>"""


@pytest.fixture
def web(tmp_path: Path) -> Path:
    made = tmp_path / "novnc"
    (made / "core").mkdir(parents=True)
    (made / "vnc_lite.html").write_text(PAGE)
    (made / "core" / "rfb.js").write_text("export default class RFB {}")
    (tmp_path / "secret.html").write_text("not for others")
    return made


@pytest.fixture
def client(web: Path) -> TestClient:
    return TestClient(Pages(str(web), ["dashboard.example", "bad host;"]), base_url="http://127.0.0.1:6080")


def digest_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_page_may_run_its_own_scripts_and_nothing_else(client: TestClient) -> None:
    reply = client.get("/vnc_lite.html?path=%3Ftoken%3Dsecret")
    assert (reply.status_code, reply.text) == (200, PAGE)
    policy = dict(part.split(" ", 1) for part in reply.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'self' {digest_of(SCRIPT)}"
    assert policy["style-src"] == f"'self' {digest_of(STYLE)}"
    assert policy["connect-src"] == "'self' ws://127.0.0.1:6080 wss://127.0.0.1:6080"
    assert policy["frame-ancestors"] == "'self' dashboard.example:*"


def test_a_host_header_cannot_widen_what_a_page_may_do(client: TestClient) -> None:
    headers = {"Host": "x; script-src *"}
    assert "connect-src 'self';" in client.get("/vnc_lite.html", headers=headers).headers["Content-Security-Policy"]


def test_files_come_with_their_types(client: TestClient) -> None:
    reply = client.get("/core/rfb.js")
    assert reply.text.startswith("export default")
    assert "javascript" in reply.headers["Content-Type"]


@pytest.mark.parametrize("path", ["/", "/vnc_lite.html", "/core/rfb.js", "/none.js"])
def test_no_reply_tells_others_the_address(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/none.html", "/none.js", "/core/", "/core", "/../secret.html", "/%2e%2e/secret.html"]
)
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == 404
    assert "not for others" not in reply.text


def test_browsers_that_ask_for_an_icon_are_not_told_that_something_is_missing(client: TestClient) -> None:
    assert client.get("/favicon.ico").status_code == 204


def test_nothing_is_written(client: TestClient) -> None:
    assert client.post("/vnc_lite.html").status_code == 405
    assert client.put("/core/rfb.js").status_code == 405


def test_without_novnc_a_page_says_how_to_get_it(tmp_path: Path) -> None:
    client = TestClient(Pages(str(tmp_path), []))
    for path in ("/vnc_lite.html", "/core/rfb.js"):
        reply = client.get(path)
        assert reply.status_code == 404
        assert "apt-get install novnc" in reply.text
    assert "openstack console url show" in client.get("/").text


def test_it_is_there_as_soon_as_it_is_installed(tmp_path: Path, web: Path) -> None:
    client = TestClient(Pages(str(tmp_path / "later"), []))
    assert client.get("/vnc_lite.html").status_code == 404
    web.rename(tmp_path / "later")
    assert client.get("/vnc_lite.html").status_code == 200


def test_only_a_directory_with_the_page_is_novnc(tmp_path: Path, web: Path) -> None:
    assert find_novnc(str(web)) == web
    assert find_novnc(str(tmp_path)) is None
