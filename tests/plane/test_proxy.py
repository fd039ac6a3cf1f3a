"""The whole cloud behind a proxy that ends TLS: every service is found at the address that clients use."""

from pathlib import Path

from tests.plane.house import PASSWORD, lived_in

PUBLIC = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example", "X-Forwarded-Prefix": "/lab"}
ADDRESS = "https://cloud.example/lab"


def test_a_client_of_the_proxy_finds_every_service_behind_it(tmp_path: Path) -> None:
    domain = {"id": "default"}
    user = {"name": "admin", "domain": domain, "password": PASSWORD}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": "demo", "domain": domain}},
    }
    with lived_in(tmp_path, oslo_middleware={"enable_proxy_headers_parsing": True}) as house:
        reply = house.raw("POST", "/identity/v3/auth/tokens", json={"auth": auth}, headers=PUBLIC)
        places = {service["type"]: service["endpoints"][0]["url"] for service in reply.json()["token"]["catalog"]}
        assert places == {
            "identity": f"{ADDRESS}/identity",
            "compute": f"{ADDRESS}/compute/v2.1",
            "image": f"{ADDRESS}/image",
            "network": f"{ADDRESS}/network",
        }
        sent = {**PUBLIC, "X-Auth-Token": reply.headers["X-Subject-Token"]}
        for place in ("identity/v3/projects", "compute/v2.1/flavors", "network/v2.0/", "identity/v3"):
            found = house.raw("GET", f"/{place}", headers=sent)
            assert (found.status_code, f'"{ADDRESS}/{place.split("/")[0]}' in found.text) == (200, True), place
        assert house.raw("GET", "/image/v2/images", headers=sent).json()["images"]
        versions = house.raw("GET", "/image/", headers=sent).json()["versions"]
        assert versions[0]["links"][0]["href"].startswith(f"{ADDRESS}/image/v2")
