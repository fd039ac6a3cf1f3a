"""Every row of the table of how a microversion is chosen (contract §0.3), and what ids a request has (§0.4)."""

import re

import pytest

from tests.unit.api.cloud import ApiCloud

NEW, OLD = "OpenStack-API-Version", "X-OpenStack-Nova-API-Version"


@pytest.mark.parametrize(
    "headers, version",
    [
        ({}, "2.1"),
        ({NEW: "compute 2.42"}, "2.42"),
        ({NEW: "volume 3.1, compute 2.42, identity 3.0"}, "2.42"),
        ({NEW: "volume 3.1"}, "2.1"),
        ({NEW: "2.40"}, "2.1"),
        ({NEW: "compute latest"}, "2.104"),
        ({OLD: "2.40"}, "2.40"),
        ({OLD: "latest"}, "2.104"),
        ({NEW: "compute 2.42", OLD: "2.40"}, "2.42"),
        ({NEW: "volume 3.1", OLD: "2.40"}, "2.40"),
    ],
)
def test_the_headers_choose_the_version_of_the_reply(cloud: ApiCloud, headers: dict[str, str], version: str) -> None:
    reply = cloud.call("GET", "/servers", headers=headers)
    assert (reply.status_code, reply.headers[NEW], reply.headers[OLD]) == (200, f"compute {version}", version)
    assert reply.headers["vary"] == f"{NEW}, {OLD}"


@pytest.mark.parametrize("header", [NEW, OLD])
@pytest.mark.parametrize("text", ["abc", "2", "2.1.3", "2.", ".1", "-2.1"])
def test_a_text_that_is_no_version_is_refused_whichever_header_has_it(cloud: ApiCloud, header: str, text: str) -> None:
    sent = {header: f"compute {text}" if header == NEW else text}
    reply = cloud.call("GET", "/servers", headers=sent)
    assert (reply.status_code, list(reply.json())) == (400, ["badRequest"])
    assert not {NEW.lower(), OLD.lower()} & set(reply.headers)
    assert "x-openstack-request-id" in reply.headers


@pytest.mark.parametrize("text", ["2.0", "2.105", "2.9999", "1.1", "3.1"])
def test_a_version_out_of_range_is_echoed_in_both_headers(cloud: ApiCloud, text: str) -> None:
    reply = cloud.call("GET", "/servers", headers={OLD: text})
    assert (reply.status_code, reply.json()["computeFault"]["code"]) == (406, 406)
    assert (reply.headers[NEW], reply.headers[OLD]) == (f"compute {text}", text)


@pytest.mark.parametrize("path", ["/nothing", "/flavors/1/os-none"])
def test_a_path_that_is_nowhere_tells_no_version(cloud: ApiCloud, path: str) -> None:
    reply = cloud.call("GET", path, version="2.42")
    assert (reply.status_code, NEW.lower() in reply.headers) == (404, False)


def test_an_error_of_a_served_path_tells_its_version(cloud: ApiCloud) -> None:
    for method, path, status in (("GET", "/servers/none", 404), ("GET", "/servers?limit=-1", 400)):
        reply = cloud.call(method, path, version="2.42")
        assert (reply.status_code, reply.headers[NEW]) == (status, "compute 2.42")
    assert cloud.call("GET", "/os-services", version="2.42", role="reader").headers[NEW] == "compute 2.42"
    assert cloud.call("GET", "/os-agents", version="2.42").headers[NEW] == "compute 2.42"


def test_the_document_of_a_version_is_negotiated_like_any_path(cloud: ApiCloud) -> None:
    reply = cloud.http.get("/compute/v2.1/", headers={NEW: "compute 2.42"})
    assert (reply.status_code, reply.headers[NEW]) == (200, "compute 2.42")
    assert cloud.http.get("/compute/v2.1/", headers={NEW: "compute 2.9999"}).status_code == 406
    assert cloud.http.get("/compute/v2/", headers={NEW: "compute 2.9999"}).status_code == 200


def test_below_v2_no_header_of_versions_counts_or_comes_back(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    shown = cloud.call("GET", f"//compute/v2/servers/{uuid}", headers={NEW: "compute 2.104", OLD: "2.104"})
    assert "locked" not in shown.json()["server"]
    assert not {NEW.lower(), OLD.lower(), "vary"} & set(shown.headers)
    assert "x-openstack-request-id" in shown.headers


def test_actions_of_another_version_are_not_found_and_unknown_ones_are_bad(cloud: ApiCloud) -> None:
    action = f"/servers/{cloud.boot()}/action"
    late = cloud.call("POST", action, {"trigger_crash_dump": None}, version="2.16")
    assert (late.status_code, late.json()["itemNotFound"]["message"]) == (404, "The resource could not be found.")
    none = cloud.call("POST", action, {"fly": None}, version="2.16")
    assert (none.status_code, none.json()["badRequest"]["message"]) == (400, "There is no such action: fly")


def test_an_id_from_elsewhere_never_takes_the_place_of_a_requests_own(
    cloud: ApiCloud, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = "req-0a1b2c3d-0a1b-4a1b-8a1b-0a1b2c3d4e5f"
    caplog.set_level("INFO", logger="kilonova.api")
    reply = cloud.call("GET", "/servers", headers={"X-OpenStack-Request-ID": theirs})
    assert re.fullmatch(r"req-[0-9a-f-]{36}", reply.headers["x-openstack-request-id"])
    assert reply.headers["x-openstack-request-id"] == reply.headers["x-compute-request-id"] != theirs
    cloud.call("GET", "/servers", headers={"X-OpenStack-Request-ID": "req-nonsense"})
    told = [getattr(each, "global_request_id", None) for each in caplog.records if each.name == "kilonova.api"]
    assert told == [theirs, None]
