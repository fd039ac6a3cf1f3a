"""What every request goes through, whatever it asks for (contract §0.3 to §0.6)."""

import json
import re

import pytest

from kilonova.api.history import MAXIMUM
from tests.unit.api.cloud import DEMO, IMAGE_ID, OTHER, ApiCloud, capture

REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOBODY = "00000000-0000-0000-0000-000000000000"
NO_ROUTE = {
    "message": "The resource could not be found.<br /><br />\n\n\n",
    "code": "404 Not Found",
    "title": "Not Found",
}


def test_every_reply_carries_its_request_id_twice(cloud: ApiCloud) -> None:
    reply = cloud.call("GET", "/servers")
    assert REQUEST_ID.fullmatch(reply.headers["x-openstack-request-id"])
    assert reply.headers["x-compute-request-id"] == reply.headers["x-openstack-request-id"]


def test_a_request_without_a_token_gets_the_body_of_keystonemiddleware(cloud: ApiCloud) -> None:
    reply = cloud.http.get("/compute/v2.1/servers")
    assert (reply.status_code, reply.json()) == (401, capture("error-unauthorized@2.1")["body"])
    assert reply.headers["www-authenticate"] == 'Keystone uri="http://127.0.0.1:18774/identity/v3"'
    assert "openstack-api-version" not in reply.headers


def test_an_unknown_path_is_refused_only_after_the_token(cloud: ApiCloud) -> None:
    assert cloud.http.get("/compute/v2.1/nothing-here").status_code == 401


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /nothing-here",
        "DELETE /servers",
        "PATCH /servers",
        "GET /servers/a/b/c",
        "GET /servers/",
        "GET /servers//ips",
    ],
)
def test_an_unknown_path_or_method_is_a_404_in_a_strange_form(cloud: ApiCloud, request_line: str) -> None:
    method, path = request_line.split()
    reply = cloud.call(method, path)
    assert (reply.status_code, reply.json()) == (404, NO_ROUTE)
    assert "openstack-api-version" not in reply.headers
    assert "x-openstack-request-id" in reply.headers


def test_an_unknown_path_is_a_web_page_to_who_takes_anything(cloud: ApiCloud) -> None:
    reply = cloud.call("GET", "/nothing-here", headers={"Accept": "*/*"})
    wanted = capture("error-no-route@latest")
    assert (reply.text, reply.headers["content-type"]) == (wanted["body"], wanted["headers"]["Content-Type"])


def test_a_reply_tells_its_version(cloud: ApiCloud) -> None:
    reply = cloud.call("GET", "/servers", version="2.42")
    assert reply.headers["openstack-api-version"] == "compute 2.42"
    assert reply.headers["x-openstack-nova-api-version"] == "2.42"
    assert reply.headers["vary"] == "OpenStack-API-Version, X-OpenStack-Nova-API-Version"


def test_latest_is_echoed_as_a_number(cloud: ApiCloud) -> None:
    assert cloud.call("GET", "/servers", version="latest").headers["openstack-api-version"] == f"compute {MAXIMUM}"


@pytest.mark.parametrize("version", ["2.0", "2.9999", "3.1"])
def test_a_version_out_of_range_is_406_and_echoed(cloud: ApiCloud, version: str) -> None:
    reply = cloud.call("GET", "/servers", version=version)
    text = f"Version {version} is not supported by the API. Minimum is 2.1 and maximum is {MAXIMUM}."
    assert (reply.status_code, reply.json()) == (406, {"computeFault": {"code": 406, "message": text}})
    assert reply.headers["openstack-api-version"] == f"compute {version}"


@pytest.mark.parametrize("version", ["abc", "2", "2.1.3", "2.01"])
def test_a_text_that_is_no_version_is_400_without_version_headers(cloud: ApiCloud, version: str) -> None:
    reply = cloud.call("GET", "/servers", version=version)
    text = f"API Version String {version} is of invalid format. Must be of format MajorNum.MinorNum."
    assert (reply.status_code, reply.json()) == (400, {"badRequest": {"code": 400, "message": text}})
    assert "openstack-api-version" not in reply.headers


def test_the_legacy_mount_knows_no_versions(cloud: ApiCloud) -> None:
    reply = cloud.call("GET", "//compute/v2/servers", version="2.9999")
    assert reply.status_code == 200
    assert not {"openstack-api-version", "vary"} & set(reply.headers)


def test_the_legacy_mount_drops_what_it_does_not_know(cloud: ApiCloud) -> None:
    body = {"server": {"name": " web1 ", "flavorRef": "1", "imageRef": IMAGE_ID, "bogus": 1}, "more": 2}
    assert cloud.call("POST", "/servers", body).status_code == 400
    made = cloud.call("POST", "//compute/v2/servers", body)
    assert (made.status_code, "/compute/v2/servers/" in made.headers["location"]) == (202, True)
    assert [server["name"] for server in cloud.get("//compute/v2/servers")["servers"]] == ["web1"]


@pytest.mark.parametrize("what", ["/servers/a%00b", "/servers?name=a%00b"])
def test_a_nul_character_is_refused_before_a_database_refuses_it(cloud: ApiCloud, what: str) -> None:
    assert cloud.call("GET", what).status_code == 400
    body = '{"server": {"name": "x", "flavorRef": "1", "metadata": {"k": "a\\u0000b"}}}'
    assert cloud.call("POST", "/servers", content=body).status_code == 400


def test_the_project_may_stand_in_the_url_and_then_stands_in_links(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    shown = cloud.get(f"/{DEMO}/servers/{uuid}")["server"]
    assert shown["links"] == [
        {"rel": "self", "href": f"http://127.0.0.1:18774/compute/v2.1/{DEMO}/servers/{uuid}"},
        {"rel": "bookmark", "href": f"http://127.0.0.1:18774/compute/{DEMO}/servers/{uuid}"},
    ]


def test_another_project_in_the_url_is_a_malformed_request(cloud: ApiCloud) -> None:
    reply = cloud.call("GET", f"/{OTHER}/servers")
    text = f"Malformed request URL: URL's project_id '{OTHER}' doesn't match Context's project_id '{DEMO}'"
    assert (reply.status_code, reply.json()["badRequest"]["message"]) == (400, text)


def test_a_path_that_came_later_is_not_found_in_novas_words(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    reply = cloud.call("GET", f"/servers/{uuid}/tags", version="2.25")
    assert (reply.status_code, reply.json()) == (404, capture("server-tags@2.1")["body"])
    assert reply.headers["openstack-api-version"] == "compute 2.25"


def test_a_path_that_ended_is_not_found_in_novas_words(cloud: ApiCloud) -> None:
    reply = cloud.call("GET", "/os-security-groups", version="2.53")
    assert (reply.status_code, reply.json()) == (404, capture("security-groups@2.53")["body"])


def test_what_nova_removed_is_gone_at_any_version(cloud: ApiCloud) -> None:
    reply = cloud.call("GET", "/os-agents")
    assert (reply.status_code, reply.json()) == (410, capture("agents@2.1")["body"])


def test_what_comes_later_says_so(cloud: ApiCloud) -> None:
    reply = cloud.call("POST", "/os-volumes")
    assert (reply.status_code, list(reply.json())) == (501, ["notImplemented"])
    assert reply.json()["notImplemented"]["message"] == "Kilonova does not have volumes yet."


@pytest.mark.parametrize("body", ["{", "[1", "nonsense", '{"a": NaN}', '"\\ud800', "[" * 100_000])
def test_a_body_that_is_no_json_is_malformed(cloud: ApiCloud, body: str) -> None:
    reply = cloud.call("POST", "/servers", content=body, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["badRequest"]["message"]) == (400, "Malformed request body")


def test_a_body_of_another_type_is_not_read(cloud: ApiCloud) -> None:
    reply = cloud.call("POST", "/servers", content="<server/>", headers={"Content-Type": "application/xml"})
    assert (reply.status_code, reply.json()["badMediaType"]["message"]) == (415, "Unsupported Content-Type")


def test_a_missing_body_is_not_of_type_object(cloud: ApiCloud) -> None:
    reply = cloud.call("POST", "/servers")
    assert reply.json()["badRequest"]["message"] == "None is not of type 'object'"


@pytest.mark.parametrize("size", [114_689, 5_000_000])
def test_a_body_over_the_limit_is_refused_whether_it_is_announced_or_not(cloud: ApiCloud, size: int) -> None:
    announced = cloud.call("POST", "/servers", content=b" " * size)
    chunked = cloud.call("POST", "/servers", content=(b" " * 4096 for _ in range(size // 4096 + 1)))
    assert (announced.status_code, chunked.status_code) == (413, 413)
    assert announced.json()["overLimit"]["code"] == 413


def test_a_query_has_a_size_and_a_number_of_fields(cloud: ApiCloud) -> None:
    assert cloud.call("GET", "/servers?name=" + "x" * 20_000).status_code == 400
    assert cloud.call("GET", "/servers?" + "name=x&" * 600).status_code == 400


def test_a_body_is_judged_before_the_policy(cloud: ApiCloud) -> None:
    assert cloud.call("POST", "/flavors", {"flavor": {}}, role="reader").status_code == 400


def test_an_unknown_server_is_not_found_before_the_policy(cloud: ApiCloud) -> None:
    reply = cloud.call("DELETE", f"/servers/{NOBODY}", role="reader")
    assert (reply.status_code, reply.json()) == (404, capture("server-show-404@2.1")["body"])


def test_a_server_of_another_project_reads_like_none(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    reply = cloud.call("GET", f"/servers/{uuid}", role="member", project=OTHER)
    text = f"Instance {uuid} could not be found."
    assert (reply.status_code, reply.json()["itemNotFound"]["message"]) == (404, text)
    assert cloud.call("GET", f"/servers/{uuid}", role="admin", project=OTHER).status_code == 200


def test_an_id_that_is_no_uuid_reads_like_none(cloud: ApiCloud) -> None:
    reply = cloud.call("GET", "/servers/not-a-uuid'%22")
    assert reply.json()["itemNotFound"]["message"] == "Instance not-a-uuid'\" could not be found."


def test_what_the_policy_forbids_names_its_rule(cloud: ApiCloud) -> None:
    reply = cloud.call("GET", "/os-services", role="member")
    text = "Policy doesn't allow os_compute_api:os-services:list to be performed."
    assert (reply.status_code, reply.json()) == (403, {"forbidden": {"code": 403, "message": text}})


def test_an_unscoped_token_may_not_list_servers(cloud: ApiCloud) -> None:
    assert cloud.call("GET", "/servers", role="reader", project="").status_code == 403


def test_an_unforeseen_error_is_a_500_in_novas_words_and_logged_whole(
    cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> int:
        raise ZeroDivisionError("the secret inside")

    monkeypatch.setattr(cloud.plane, "now", broken)
    reply = cloud.call("GET", "/servers", version="2.42")
    text = "Unexpected API Error. Please contact the administrator\n<class 'ZeroDivisionError'>"
    assert (reply.status_code, reply.json()) == (500, {"computeFault": {"code": 500, "message": text}})
    assert reply.headers["openstack-api-version"] == "compute 2.42"
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert reply.headers["x-openstack-request-id"] in record.getMessage()
    assert record.exc_info is not None


def test_every_request_is_one_line_in_the_log(cloud: ApiCloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="kilonova.api")
    reply = cloud.call("GET", "/servers")
    (line,) = [each.getMessage() for each in caplog.records if each.name == "kilonova.api"]
    assert line.startswith("GET /compute/v2.1/servers 200 ")
    assert line.endswith(reply.headers["x-openstack-request-id"])


@pytest.mark.parametrize(
    "path",
    [
        "/os-console-auth-tokens/opensesame",
        "/os-console%2Dauth-tokens/opensesame",
        "/os-console-auth-tokens//opensesame",
        "/os-console-auth-tokens/%0Aopensesame/",
    ],
)
def test_what_opens_a_console_is_not_in_the_log(cloud: ApiCloud, caplog: pytest.LogCaptureFixture, path: str) -> None:
    caplog.set_level("INFO", logger="kilonova.api")
    cloud.call("GET", path, version="2.31")
    (line,) = [each.getMessage() for each in caplog.records if each.name == "kilonova.api"]
    assert line.startswith("GET /compute/v2.1/os-console-auth-tokens/* 404 ")


def test_a_host_header_cannot_break_a_body(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    reply = cloud.call("GET", f"/servers/{uuid}", headers={"Host": 'evil"},{"x'})
    assert "evil" not in json.dumps(reply.json())


def test_a_legacy_extension_list_is_still_there(cloud: ApiCloud) -> None:
    assert len(cloud.get("/extensions")["extensions"]) == 99
    shown = cloud.get("/extensions/os-hypervisors")["extension"]
    assert shown.keys() == capture("extension-show@2.1")["body"]["extension"].keys()
    assert cloud.call("GET", "/extensions/none-such").status_code == 404
