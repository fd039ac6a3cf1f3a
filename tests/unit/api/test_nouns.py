"""Flavors, limits, quotas, services, zones and hypervisors, beside a real Nova's answers."""

from typing import Any

import pytest

from kilonova.domain.model import after
from kilonova.store import fleet
from tests.unit.api.cloud import DEMO, OTHER, ApiCloud, capture


def _keys(value: Any) -> Any:
    """The form of a body: its keys at every level; of a list the form of its first item."""
    if isinstance(value, dict):
        return {key: _keys(each) for key, each in value.items()}
    return [_keys(value[0])] if isinstance(value, list) and value else type(value).__name__


def _message(reply: Any) -> tuple[int, str]:
    (fault,) = reply.json().values()
    return reply.status_code, fault["message"]


@pytest.mark.parametrize("version", ["2.1", "2.53", "latest"])
def test_a_flavor_has_the_form_of_a_real_novas_answer(cloud: ApiCloud, version: str) -> None:
    ours = cloud.get("/flavors/3", version=version)["flavor"]
    theirs = capture(f"flavor-show@{version}")["body"]["flavor"]
    assert list(ours) == list(theirs)
    assert ours["swap"] == theirs["swap"]
    assert (ours["name"], ours["ram"], ours["vcpus"]) == (theirs["name"], theirs["ram"], theirs["vcpus"])


@pytest.mark.parametrize("version", ["2.1", "latest"])
def test_flavors_are_listed_by_their_id(cloud: ApiCloud, version: str) -> None:
    ours = cloud.get("/flavors", version=version)
    assert _keys(ours) == _keys(capture(f"flavors@{version}")["body"])
    assert [flavor["id"] for flavor in ours["flavors"]] == ["1", "2", "3", "4", "42", "5"]


@pytest.mark.parametrize(
    "query, ids",
    [
        ("limit=2", ["1", "2"]),
        ("limit=2&marker=2", ["3", "4"]),
        ("minRam=4096", ["3", "4", "5"]),
        ("minDisk=100", ["5"]),
        ("sort_key=memory_mb&sort_dir=desc&limit=2", ["5", "4"]),
        ("is_public=false", []),
        ("is_public=None", ["1", "2", "3", "4", "42", "5"]),
        ("name=m1.nano", ["42"]),
    ],
)
def test_flavors_are_filtered_and_paged(cloud: ApiCloud, query: str, ids: list[str]) -> None:
    found = cloud.get(f"/flavors?{query}", version="2.102")["flavors"]
    assert [flavor["id"] for flavor in found] == ids


@pytest.mark.parametrize("query", ["minRam=x", "sort_key=colour", "sort_dir=up", "is_public=maybe", "marker=none"])
def test_a_bad_filter_of_flavors_is_refused(cloud: ApiCloud, query: str) -> None:
    assert cloud.call("GET", f"/flavors?{query}").status_code == 400


def test_an_administrator_makes_and_removes_flavors(cloud: ApiCloud) -> None:
    flavor = {"name": "big", "ram": 1024, "vcpus": "2", "disk": 3, "id": "big", "os-flavor-access:is_public": False}
    made = cloud.call("POST", "/flavors", {"flavor": flavor}, version="2.55")
    assert (made.status_code, made.json()["flavor"]["vcpus"]) == (200, 2)
    assert _message(cloud.call("POST", "/flavors", {"flavor": {**flavor, "id": "b"}}))[0] == 409
    assert cloud.get("/flavors?is_public=0")["flavors"][0]["id"] == "big"
    assert "big" not in [each["id"] for each in cloud.get("/flavors?is_public=0", role="member")["flavors"]]
    assert cloud.call("DELETE", "/flavors/big").status_code == 202
    assert _message(cloud.call("GET", "/flavors/big")) == (404, "Flavor big could not be found.")
    assert cloud.call("POST", "/flavors", {"flavor": flavor}, role="member").status_code == 403


def test_extra_specs_are_told_apart_from_the_flavor(cloud: ApiCloud) -> None:
    assert cloud.get("/flavors/1/os-extra_specs") == {"extra_specs": {}}


@pytest.mark.parametrize("version", ["2.1", "2.53", "latest"])
def test_limits_have_the_form_of_a_real_novas_answer(cloud: ApiCloud, version: str) -> None:
    cloud.boot()
    ours = cloud.get("/limits", version=version)
    assert _keys(ours) == _keys(capture(f"limits@{version}")["body"])
    absolute = ours["limits"]["absolute"]
    assert (absolute["maxTotalInstances"], absolute["totalInstancesUsed"], absolute["totalRAMUsed"]) == (10, 1, 512)


def test_limits_refuse_what_they_do_not_know_in_a_real_novas_words(cloud: ApiCloud) -> None:
    assert cloud.call("GET", "/limits?reserved=1", version="2.74").status_code == 200
    reply = cloud.call("GET", "/limits?reserved=1", version="2.75")
    assert (reply.status_code, reply.json()) == (400, capture("limits-reserved@latest")["body"])


def test_even_ones_own_limits_by_name_are_for_administrators(cloud: ApiCloud) -> None:
    rule = "Policy doesn't allow os_compute_api:limits:other_project to be performed."
    assert _message(cloud.call("GET", f"/limits?tenant_id={DEMO}", role="member")) == (403, rule)
    cloud.boot(project=OTHER)
    assert cloud.get(f"/limits?tenant_id={OTHER}")["limits"]["absolute"]["totalInstancesUsed"] == 1


@pytest.mark.parametrize("version", ["2.1", "2.53", "latest"])
def test_a_quota_set_has_the_form_of_a_real_novas_answer(cloud: ApiCloud, version: str) -> None:
    ours = cloud.get(f"/os-quota-sets/{DEMO}", version=version, role="reader")
    assert _keys(ours) == _keys(capture(f"quota-show@{version}")["body"])
    assert ours["quota_set"]["cores"] == 20
    assert cloud.get(f"/os-quota-sets/{DEMO}/defaults", version=version) == ours


def test_a_detailed_quota_set_tells_what_is_used(cloud: ApiCloud) -> None:
    cloud.boot()
    ours = cloud.get(f"/os-quota-sets/{DEMO}/detail", version="latest")
    assert _keys(ours) == _keys(capture("quota-detail@latest")["body"])
    assert ours["quota_set"]["instances"] == {"limit": 10, "in_use": 1, "reserved": 0}
    other = cloud.get(f"/os-quota-sets/{DEMO}/detail?user_id=nobody", version="latest")
    assert other["quota_set"]["instances"]["in_use"] == 0


def test_the_quota_of_another_project_is_not_for_a_reader(cloud: ApiCloud) -> None:
    assert cloud.call("GET", f"/os-quota-sets/{OTHER}", role="reader").status_code == 403


@pytest.mark.parametrize("version, kind", [("2.1", int), ("2.53", str)])
def test_services_have_the_form_of_a_real_novas_answer(cloud: ApiCloud, version: str, kind: type) -> None:
    cloud.add_host()
    (ours,) = cloud.get("/os-services", version=version)["services"]
    theirs = capture(f"services@{version}")["body"]["services"][0]
    assert ours.keys() == theirs.keys()
    assert isinstance(ours["id"], kind)
    assert (ours["zone"], ours["status"], ours["state"]) == ("nova", "enabled", "up")


def test_a_service_is_down_after_its_window_and_not_before(cloud: ApiCloud) -> None:
    cloud.add_host()
    states = []
    for _ in range(2):
        cloud.plane.at = after(cloud.plane.at, 60)
        states.append(cloud.get("/os-services")["services"][0]["state"])
    assert states == ["up", "down"]


def test_services_are_filtered_by_host_and_binary(cloud: ApiCloud) -> None:
    cloud.add_host("cmp-1")
    cloud.add_host("cmp-2")
    hosts = [
        [service["host"] for service in cloud.get(f"/os-services?{query}")["services"]]
        for query in ("host=cmp-2", "host=", "binary=nova-conductor", "host=cmp-1&host=cmp-2", "colour=red")
    ]
    assert hosts == [["cmp-2"], ["cmp-1", "cmp-2"], [], ["cmp-2"], ["cmp-1", "cmp-2"]]
    assert cloud.call("GET", "/os-services?colour=red", version="2.75").status_code == 400


def test_zones_are_shown_with_their_hosts_only_in_detail(cloud: ApiCloud) -> None:
    cloud.add_host()
    with cloud.database.transaction() as tx:
        fleet.ensure_service(tx, binary="nova-conductor", host="vm", now=cloud.plane.at)
    assert cloud.get("/os-availability-zone", role="reader") == capture("availability-zones@latest")["body"]
    internal, nova = cloud.get("/os-availability-zone/detail")["availabilityZoneInfo"]
    theirs = capture("availability-zones-detail@latest")["body"]["availabilityZoneInfo"]
    assert (internal["zoneName"], nova["zoneName"]) == ("internal", "nova")
    assert _keys(nova["hosts"]["cmp-1"]) == {
        "nova-compute": {"available": "bool", "active": "bool", "updated_at": "NoneType"}
    }
    assert theirs[1]["hosts"]["cmp-1"].keys() == nova["hosts"]["cmp-1"].keys()
    assert cloud.call("GET", "/os-availability-zone/detail", role="member").status_code == 403


@pytest.mark.parametrize("version", ["2.1", "latest"])
def test_hypervisors_have_the_form_of_a_real_novas_answer(cloud: ApiCloud, version: str) -> None:
    cloud.add_host()
    assert _keys(cloud.get("/os-hypervisors", version=version)) == _keys(capture(f"hypervisors@{version}")["body"])


@pytest.mark.parametrize("version", ["2.1", "2.53", "latest"])
def test_detailed_hypervisors_have_the_form_of_a_real_novas_answer(cloud: ApiCloud, version: str) -> None:
    cloud.add_host()
    (ours,) = cloud.get("/os-hypervisors/detail", version=version)["hypervisors"]
    theirs = capture(f"hypervisors-detail@{version}")["body"]["hypervisors"][0]
    assert _keys(ours) == _keys(theirs)
    assert cloud.get(f"/os-hypervisors/{ours['id']}", version=version)["hypervisor"] == ours


def test_what_a_host_keeps_for_itself_counts_as_used(cloud: ApiCloud) -> None:
    cloud.add_host()
    (ours,) = cloud.get("/os-hypervisors/detail")["hypervisors"]
    assert (ours["memory_mb"], ours["memory_mb_used"], ours["free_ram_mb"]) == (8192, 512, 7680)


def test_statistics_are_sums_and_end_with_2_87(cloud: ApiCloud) -> None:
    for host in ("cmp-1", "cmp-2"):
        cloud.add_host(host)
    ours = cloud.get("/os-hypervisors/statistics", version="2.87")
    assert ours.keys() == capture("hypervisor-statistics@2.53")["body"].keys()
    sums = ours["hypervisor_statistics"]
    assert sums.keys() == capture("hypervisor-statistics@2.53")["body"]["hypervisor_statistics"].keys()
    assert (sums["count"], sums["vcpus"], sums["memory_mb"]) == (2, 8, 16384)
    assert cloud.call("GET", "/os-hypervisors/statistics", version="2.88").status_code == 404


def test_uptime_is_a_path_of_its_own_until_2_87(cloud: ApiCloud) -> None:
    cloud.add_host()
    assert _message(cloud.call("GET", "/os-hypervisors/1/uptime"))[0] == 501
    with cloud.database.read() as connection:
        uuid = fleet.list_nodes(connection)[0].uuid
    reply = cloud.call("GET", f"/os-hypervisors/{uuid}/uptime", version="latest")
    assert (reply.status_code, reply.json()) == (404, capture("hypervisor-uptime@latest")["body"])
    assert cloud.get(f"/os-hypervisors/{uuid}", version="2.88")["hypervisor"]["uptime"] is None


@pytest.mark.parametrize(
    "path, version, status, text",
    [
        ("/77", "2.1", 404, "Hypervisor with ID '77' could not be found."),
        ("/77", "2.53", 400, "Invalid uuid 77"),
        ("/none/search", "2.1", 404, "No hypervisor matching 'none' could be found."),
        ("/cmp/search", "2.53", 404, "The resource could not be found."),
        ("?marker=77", "2.33", 400, "marker [77] not found"),
        ("?hypervisor_hostname_pattern=none", "2.53", 404, "No hypervisor matching 'none' could be found."),
        ("?colour=red", "2.53", 400, "Additional properties are not allowed ('colour' was unexpected)"),
    ],
)
def test_a_hypervisor_that_is_not_there_is_told(
    cloud: ApiCloud, path: str, version: str, status: int, text: str
) -> None:
    cloud.add_host()
    assert _message(cloud.call("GET", f"/os-hypervisors{path}", version=version)) == (status, text)


def test_hypervisors_are_found_by_a_part_of_their_name(cloud: ApiCloud) -> None:
    for host in ("cmp-1", "other"):
        cloud.add_host(host)
    found = cloud.get("/os-hypervisors/cmp/search")
    assert _keys(found) == _keys(capture("hypervisors-search@2.1")["body"])
    later = cloud.get("/os-hypervisors?hypervisor_hostname_pattern=cmp", version="2.53")["hypervisors"]
    assert [each["hypervisor_hostname"] for each in later] == ["cmp-1"]
    mixed = cloud.call("GET", "/os-hypervisors?hypervisor_hostname_pattern=cmp&limit=1", version="2.53")
    assert mixed.status_code == 400


def test_hypervisors_are_paged_from_2_33_on(cloud: ApiCloud) -> None:
    for host in ("cmp-1", "cmp-2"):
        cloud.add_host(host)
    page = cloud.get("/os-hypervisors?limit=1", version="2.33")
    assert [each["id"] for each in page["hypervisors"]] == [1]
    assert page["hypervisors_links"][0]["href"].endswith("/os-hypervisors?limit=1&marker=1")
    assert len(cloud.get("/os-hypervisors?limit=1", version="2.32")["hypervisors"]) == 2


def test_the_servers_of_a_hypervisor_are_listed_when_asked(cloud: ApiCloud) -> None:
    cloud.add_host("cmp-1")
    cloud.add_host("cmp-2")
    uuid = cloud.boot()
    old = cloud.get("/os-hypervisors/cmp/servers")["hypervisors"]
    assert [each.get("servers") for each in old] == [[{"name": "instance-00000001", "uuid": uuid}], None]
    at = {
        version: [
            each.get("servers")
            for each in cloud.get("/os-hypervisors?with_servers=true", version=version)["hypervisors"]
        ]
        for version in ("2.74", "2.75")
    }
    assert at["2.74"] == [at["2.75"][0], None]
    assert at["2.75"][1] == []


@pytest.mark.parametrize(
    "path, key",
    [
        ("/os-keypairs", "keypairs"),
        ("/os-server-groups", "server_groups"),
        ("/os-aggregates", "aggregates"),
        ("/os-migrations", "migrations"),
    ],
)
def test_what_there_is_none_of_is_an_empty_list(cloud: ApiCloud, path: str, key: str) -> None:
    assert cloud.get(path) == {key: []}


def test_one_of_what_there_is_none_of_is_not_found(cloud: ApiCloud) -> None:
    assert _message(cloud.call("GET", "/os-keypairs/k")) == (404, "Keypair k not found for user somebody")
    assert _message(cloud.call("GET", "/os-server-groups/g")) == (404, "Instance group g could not be found.")
