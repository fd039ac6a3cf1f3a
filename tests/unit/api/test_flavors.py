"""Flavors: changes, extra specs, and who may use private ones (contract §11.6)."""

from typing import Any

import pytest

from tests.unit.api.cloud import DEMO, IMAGE_ID, OTHER, ApiCloud

BIG = {"name": "big", "ram": 1024, "vcpus": 2, "disk": 3, "id": "big", "os-flavor-access:is_public": False}


def _message(reply: Any) -> tuple[int, str]:
    (fault,) = reply.json().values()
    return reply.status_code, fault["message"]


def _private(cloud: ApiCloud) -> None:
    assert cloud.call("POST", "/flavors", {"flavor": BIG}).status_code == 200


def _give(cloud: ApiCloud, tenant: str = DEMO, flavor: str = "big", *, version: str = "2.1") -> Any:
    return cloud.call("POST", f"/flavors/{flavor}/action", {"addTenantAccess": {"tenant": tenant}}, version=version)


def _specs(cloud: ApiCloud, specs: dict[str, Any], *, version: str = "2.86") -> Any:
    return cloud.call("POST", "/flavors/1/os-extra_specs", {"extra_specs": specs}, version=version)


def test_a_description_can_be_changed_and_taken_away(cloud: ApiCloud) -> None:
    for text in ("small but mine", None):
        reply = cloud.call("PUT", "/flavors/1", {"flavor": {"description": text}}, version="2.55")
        assert (reply.status_code, reply.json()["flavor"]["description"]) == (200, text)
    assert cloud.call("PUT", "/flavors/1", {"flavor": {"description": "x"}}, version="2.54").status_code == 404
    assert cloud.call("PUT", "/flavors/1", {"flavor": {}}, version="2.55").status_code == 400
    assert cloud.call("PUT", "/flavors/no", {"flavor": {"description": "x"}}, version="2.55").status_code == 404
    reply = cloud.call("PUT", "/flavors/1", {"flavor": {"description": "x"}}, version="2.55", role="member")
    assert reply.status_code == 403


def test_a_flavor_that_is_created_is_shown_with_its_extra_specs_from_2_61_on(cloud: ApiCloud) -> None:
    made = cloud.call("POST", "/flavors", {"flavor": {**BIG, "id": None}}, version="2.61").json()["flavor"]
    assert (made["extra_specs"], len(made["id"])) == ({}, 36)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ram": 0},
        {"vcpus": 0},
        {"disk": -1},
        {"swap": "x"},
        {"rxtx_factor": 0},
        {"id": " x"},
        {"name": " x"},
        {"description": "x"},
        {"OS-FLV-DISABLED:disabled": True},
    ],
)
def test_a_flavor_that_makes_no_sense_is_refused(cloud: ApiCloud, wrong: dict[str, Any]) -> None:
    assert cloud.call("POST", "/flavors", {"flavor": {**BIG, **wrong}}).status_code == 400


def test_the_receive_factor_can_no_longer_be_given_from_2_102_on(cloud: ApiCloud) -> None:
    wanted = {"flavor": {**BIG, "rxtx_factor": 2.0}}
    assert cloud.call("POST", "/flavors", wanted, version="2.102").status_code == 400
    made = cloud.call("POST", "/flavors", wanted, version="2.101").json()["flavor"]
    assert made["rxtx_factor"] == 2.0


def test_a_private_flavor_is_there_only_for_who_has_access(cloud: ApiCloud) -> None:
    _private(cloud)
    assert cloud.call("GET", "/flavors/big").status_code == 200
    assert "big" not in [each["id"] for each in cloud.get("/flavors")["flavors"]]
    missing = (404, "Flavor big could not be found.")
    assert _message(cloud.call("GET", "/flavors/big", role="member")) == missing
    assert _message(cloud.call("GET", "/flavors/big/os-extra_specs", role="member")) == missing
    assert _give(cloud).json() == {"flavor_access": [{"flavor_id": "big", "tenant_id": DEMO}]}
    assert cloud.call("GET", "/flavors/big", role="member").status_code == 200
    assert "big" in [each["id"] for each in cloud.get("/flavors", role="member")["flavors"]]
    assert cloud.call("GET", "/flavors/big", role="member", project=OTHER).status_code == 404


def test_a_server_is_ordered_with_a_private_flavor_only_by_who_has_access(cloud: ApiCloud) -> None:
    _private(cloud)
    wanted = {"server": {"name": "s", "flavorRef": "big", "imageRef": IMAGE_ID}}
    refused = (400, "Flavor big could not be found.")
    assert _message(cloud.call("POST", "/servers", wanted, role="member")) == refused
    assert cloud.call("POST", "/servers", wanted).status_code == 202
    _give(cloud)
    assert cloud.call("POST", "/servers", wanted, role="member").status_code == 202


def test_access_is_given_once_and_taken_once(cloud: ApiCloud) -> None:
    _private(cloud)
    _give(cloud)
    text = f"Flavor access already exists for flavor big and project {DEMO} combination."
    assert _message(_give(cloud)) == (409, text)
    taken = {"removeTenantAccess": {"tenant": DEMO}}
    assert cloud.call("POST", "/flavors/big/action", taken).json() == {"flavor_access": []}
    text = f"Flavor access not found for big / {DEMO} combination."
    assert _message(cloud.call("POST", "/flavors/big/action", taken)) == (404, text)
    assert cloud.get("/flavors/big/os-flavor-access") == {"flavor_access": []}


def test_access_to_a_public_flavor_is_a_conflict_from_2_7_on(cloud: ApiCloud) -> None:
    assert _message(_give(cloud, flavor="1", version="2.7")) == (409, "Can not add access to a public flavor.")
    assert _give(cloud, flavor="1", version="2.6").status_code == 200
    text = "Access list not available for public flavors."
    assert _message(cloud.call("GET", "/flavors/1/os-flavor-access")) == (404, text)
    assert _message(_give(cloud, flavor="no")) == (404, "Flavor no could not be found.")


def test_access_is_the_business_of_administrators(cloud: ApiCloud) -> None:
    body = {"addTenantAccess": {"tenant": DEMO}}
    rule = "Policy doesn't allow os_compute_api:os-flavor-access:add_tenant_access to be performed."
    assert _message(cloud.call("POST", "/flavors/1/action", body, role="member")) == (403, rule)
    assert cloud.call("GET", "/flavors/1/os-flavor-access", role="member").status_code == 403
    assert _message(cloud.call("POST", "/flavors/1/action", {"x": 1})) == (400, "There is no such action: x")


def test_extra_specs_come_and_go_one_by_one(cloud: ApiCloud) -> None:
    specs = {"hw:numa_nodes": "1", "hw:cpu_policy": "shared"}
    assert _specs(cloud, specs).json() == {"extra_specs": specs}
    reply = cloud.call("PUT", "/flavors/1/os-extra_specs/hw:numa_nodes", {"hw:numa_nodes": "2"})
    assert (reply.status_code, reply.json()) == (200, {"hw:numa_nodes": "2"})
    assert cloud.get("/flavors/1/os-extra_specs/hw:numa_nodes") == {"hw:numa_nodes": "2"}
    assert cloud.call("DELETE", "/flavors/1/os-extra_specs/hw:numa_nodes").status_code == 200
    assert cloud.get("/flavors/1/os-extra_specs") == {"extra_specs": {"hw:cpu_policy": "shared"}}
    text = "Flavor 1 has no extra specs with key hw:numa_nodes."
    for method in ("GET", "DELETE"):
        assert _message(cloud.call(method, "/flavors/1/os-extra_specs/hw:numa_nodes")) == (404, text)
    assert cloud.get("/flavors/1", version="2.61")["flavor"]["extra_specs"] == {"hw:cpu_policy": "shared"}


def test_a_number_as_extra_spec_becomes_text(cloud: ApiCloud) -> None:
    assert _specs(cloud, {"mine": 7}).json() == {"extra_specs": {"mine": "7"}}


@pytest.mark.parametrize(
    "path, body",
    [
        ("", {"extra_specs": {"a/b": "c"}}),
        ("", {"extra_specs": {"a": None}}),
        ("", {"extra_specs": {"a": "x" * 256}}),
        ("", {}),
        ("/a", {"b": "c"}),
        ("/a", {"a": "c", "b": "c"}),
        ("/a", {}),
    ],
)
def test_extra_specs_that_make_no_sense_are_refused(cloud: ApiCloud, path: str, body: dict[str, Any]) -> None:
    method = "PUT" if path else "POST"
    assert cloud.call(method, f"/flavors/1/os-extra_specs{path}", body).status_code == 400


def test_known_extra_specs_are_checked_from_2_86_on(cloud: ApiCloud) -> None:
    text = "Validation failed; 'x' is not one of: dedicated, shared, mixed."
    assert _message(_specs(cloud, {"hw:cpu_policy": "x"})) == (400, text)
    assert _specs(cloud, {"hw:cpu_policy": "x"}, version="2.85").status_code == 200
    assert _specs(cloud, {"mine:cpu_policy": "x", "own": "y"}).status_code == 200


def test_extra_specs_are_read_by_readers_and_written_by_administrators(cloud: ApiCloud) -> None:
    assert cloud.call("GET", "/flavors/1/os-extra_specs", role="reader").status_code == 200
    for method, path, body in (
        ("POST", "", {"extra_specs": {"a": "b"}}),
        ("PUT", "/a", {"a": "b"}),
        ("DELETE", "/a", None),
    ):
        assert cloud.call(method, f"/flavors/1/os-extra_specs{path}", body, role="member").status_code == 403
