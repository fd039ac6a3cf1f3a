"""The version documents, equal to a real Nova's but for where they are and what they can do (contract §0.1)."""

import json
from typing import Any

import pytest

from kilonova.api.history import MAXIMUM
from tests.unit.api.cloud import ApiCloud, capture


def _moved(body: Any) -> Any:
    """A captured body as it would read here: mounted under ``/compute``, with our maximum."""
    text = json.dumps(body).replace("127.0.0.1:18774/", "127.0.0.1:18774/compute/")
    return json.loads(text.replace('"version": "2.104"', f'"version": "{MAXIMUM}"'))


@pytest.mark.parametrize("path", ["/compute", "/compute/"])
def test_the_root_lists_both_versions_and_nothing_about_itself(cloud: ApiCloud, path: str) -> None:
    reply = cloud.http.get(path)
    assert (reply.status_code, reply.json()) == (200, _moved(capture("versions@latest")["body"]))
    assert not {"x-openstack-request-id", "openstack-api-version"} & set(reply.headers)


@pytest.mark.parametrize("path", ["/compute/v2.1", "/compute/v2.1/", "/compute/v2.1/versions/v2.1"])
def test_a_version_describes_itself_without_a_token(cloud: ApiCloud, path: str) -> None:
    reply = cloud.http.get(path)
    assert (reply.status_code, reply.json()) == (200, _moved(capture("version-root@latest")["body"]))
    assert reply.headers["openstack-api-version"] == "compute 2.1"
    assert "x-openstack-request-id" in reply.headers


def test_the_legacy_version_tells_no_microversions(cloud: ApiCloud) -> None:
    reply = cloud.http.get("/compute/v2/")
    version = reply.json()["version"]
    assert (version["id"], version["version"], version["min_version"]) == ("v2.0", "", "")
    assert version["links"][0]["href"].endswith("/compute/v2/")
    assert "x-openstack-request-id" in reply.headers
    assert "openstack-api-version" not in reply.headers


def test_the_link_of_the_legacy_version_is_odd_below_the_other_one(cloud: ApiCloud) -> None:
    version = cloud.http.get("/compute/v2.1/versions/v2.0").json()["version"]
    assert version["id"] == "v2.0"
    assert version["links"][0]["href"].endswith("/compute/v2.1/")


def test_an_unknown_version_is_not_found(cloud: ApiCloud) -> None:
    reply = cloud.http.get("/compute/v2.1/versions/v9")
    assert (reply.status_code, list(reply.json())) == (404, ["itemNotFound"])


def test_a_path_below_no_version_offers_the_choice(cloud: ApiCloud) -> None:
    reply = cloud.http.get("/compute/foo/bar")
    choices = reply.json()["choices"]
    assert reply.status_code == 300
    assert [choice["id"] for choice in choices] == ["v2.0", "v2.1"]
    assert choices[1]["links"] == [{"rel": "self", "href": "http://127.0.0.1:18774/compute/v2.1/foo/bar"}]
    assert list(choices[0]) == ["id", "status", "links", "media-types"]
