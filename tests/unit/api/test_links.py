"""Where links lead: to the address that was asked, to what the settings say, or to a proxy (contract §0.1, §0.2)."""

from pathlib import Path
from typing import Any

import pytest

from kilonova.api.front import Application
from kilonova.api.proxied import BehindProxy
from tests.unit.api.cloud import DEMO, IMAGE_ID, ApiCloud


def _hrefs(body: Any) -> list[str]:
    """Every link in a body."""
    if isinstance(body, dict):
        found = [body["href"]] if isinstance(body.get("href"), str) else []
        return found + [href for value in body.values() for href in _hrefs(value)]
    return [href for value in body for href in _hrefs(value)] if isinstance(body, list) else []


@pytest.fixture
def prefixed(tmp_path: Path) -> Any:
    """An API whose links lead elsewhere."""
    made = ApiCloud(
        tmp_path, compute_link_prefix="https://cloud.example/nova/", glance_link_prefix="https://cloud.example/glance"
    )
    yield made
    made.close()


def test_every_link_has_the_prefix_of_the_settings(prefixed: ApiCloud) -> None:
    uuid = prefixed.boot()
    paths = [
        f"/servers/{uuid}",
        "/servers?limit=1",
        "/flavors/detail",
        "//compute/",
        "//compute/v2.1/",
        "//compute/foo",
    ]
    for path in paths:
        reply = prefixed.call("GET", path)
        hrefs = [href for href in _hrefs(reply.json()) if "docs.openstack.org" not in href]
        assert hrefs
        assert all(href.startswith("https://cloud.example/nova/") for href in hrefs), path


def test_a_create_leads_to_where_its_links_lead(prefixed: ApiCloud) -> None:
    body = {"server": {"name": "web1", "flavorRef": "1", "imageRef": IMAGE_ID}}
    reply = prefixed.call("POST", "/servers", body)
    assert reply.headers["location"] == f"https://cloud.example/nova/v2.1/servers/{reply.json()['server']['id']}"


def test_an_image_is_found_in_the_image_service_of_the_settings(prefixed: ApiCloud) -> None:
    links = prefixed.get(f"/images/{IMAGE_ID}")["image"]["links"]
    assert [link["href"] for link in links] == [
        f"https://cloud.example/nova/v2.1/images/{IMAGE_ID}",
        f"https://cloud.example/nova/images/{IMAGE_ID}",
        f"https://cloud.example/glance/images/{IMAGE_ID}",
    ]


def test_an_image_is_found_beside_compute_where_nothing_is_said(cloud: ApiCloud) -> None:
    alternate = cloud.get(f"/images/{IMAGE_ID}")["image"]["links"][2]["href"]
    assert alternate == f"http://127.0.0.1:18774/image/images/{IMAGE_ID}"


def test_who_is_not_signed_in_is_sent_to_identity_beside_the_address_that_was_asked(prefixed: ApiCloud) -> None:
    reply = prefixed.http.get("/compute/v2.1/servers")
    assert reply.headers["www-authenticate"] == 'Keystone uri="http://127.0.0.1:18774/identity/v3"'


def test_a_project_id_anywhere_in_the_url_puts_the_project_into_links(cloud: ApiCloud) -> None:
    """Nova's quirk (contract §0.2): the whole URL is searched."""
    cloud.boot()
    (server,) = cloud.get(f"/servers?all_tenants=1&tenant_id={DEMO}")["servers"]
    assert server["links"][0]["href"].startswith(f"http://127.0.0.1:18774/compute/v2.1/{DEMO}/servers/")


def test_a_project_in_the_path_is_hexadecimal(cloud: ApiCloud) -> None:
    assert cloud.call("GET", "/not-a-project!/servers").status_code == 404
    assert cloud.call("GET", "/UPPERCASE/servers").status_code == 404


def _behind(cloud: ApiCloud, application: Application | None = None) -> ApiCloud:
    from starlette.testclient import TestClient

    app = application or BehindProxy(cloud.http.app)
    cloud.http = TestClient(app, base_url="http://127.0.0.1:18774", raise_server_exceptions=False)
    return cloud


PUBLIC = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example:8443", "X-Forwarded-Prefix": "/lab"}


@pytest.mark.parametrize(
    "headers, address",
    [
        ({"X-Forwarded-Proto": "https"}, "https://127.0.0.1:18774"),
        ({"X-Forwarded-Host": "cloud.example"}, "http://cloud.example"),
        (PUBLIC, "https://cloud.example:8443/lab"),
        ({"Forwarded": "proto=https;host=cloud.example;for=10.0.0.1"}, "https://cloud.example"),
        ({"Forwarded": 'for=10.0.0.1;Proto=HTTPS;host="cloud.example:8443", host=inner'}, "https://cloud.example:8443"),
        ({"Forwarded": "for=10.0.0.1", **PUBLIC}, "http://127.0.0.1:18774/lab"),
        ({"X-Forwarded-Prefix": "/a/b/"}, "http://127.0.0.1:18774/a/b"),
    ],
)
def test_behind_a_proxy_links_lead_to_the_address_that_it_tells(
    cloud: ApiCloud, headers: dict[str, str], address: str
) -> None:
    uuid = cloud.boot()
    _behind(cloud)
    shown = cloud.call("GET", f"/servers/{uuid}", headers=headers).json()["server"]
    assert shown["links"][0]["href"] == f"{address}/compute/v2.1/servers/{uuid}"
    (v20, _) = cloud.call("GET", "//compute/", headers=headers).json()["versions"]
    assert v20["links"][0]["href"] == f"{address}/compute/v2/"
    refused = cloud.http.get("/compute/v2.1/servers", headers=headers)
    assert refused.headers["www-authenticate"] == f'Keystone uri="{address}/identity/v3"'


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Host": 'evil"},{"x'},
        {"X-Forwarded-Host": "two hosts"},
        {"X-Forwarded-Prefix": "no-slash"},
        {"X-Forwarded-Prefix": '/"},{"x'},
        {"X-Forwarded-Prefix": "//evil"},
        {"Forwarded": ";;=,=;"},
        {"Forwarded": "host=" + "x" * 5000},
    ],
)
def test_what_makes_no_sense_in_a_header_is_passed_over(cloud: ApiCloud, headers: dict[str, str]) -> None:
    uuid = cloud.boot()
    _behind(cloud)
    shown = cloud.call("GET", f"/servers/{uuid}", headers=headers).json()["server"]
    assert shown["links"][0]["href"] == f"http://127.0.0.1:18774/compute/v2.1/servers/{uuid}"


def test_headers_of_a_proxy_mean_nothing_unless_the_operator_says_so(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    shown = cloud.call("GET", f"/servers/{uuid}", headers=PUBLIC).json()["server"]
    assert shown["links"][0]["href"] == f"http://127.0.0.1:18774/compute/v2.1/servers/{uuid}"
