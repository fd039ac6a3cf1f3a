"""``/os-hosts``: hosts as they were seen until 2.42."""

from typing import Any

import pytest

from tests.unit.api.cloud import DEMO, OTHER, ApiCloud, capture


@pytest.fixture(autouse=True)
def _a_host(cloud: ApiCloud) -> None:
    cloud.add_host()


def _message(reply: Any) -> tuple[int, str]:
    (fault,) = reply.json().values()
    return reply.status_code, fault["message"]


def test_a_host_shows_what_each_project_takes_of_it(cloud: ApiCloud) -> None:
    cloud.boot()
    cloud.boot("other", project=OTHER)
    rows = [each["resource"] for each in cloud.get("/os-hosts/cmp-1")["host"]]
    theirs = [each["resource"] for each in capture("host-show@2.1")["body"]["host"]]
    assert [list(row) for row in rows] == [list(theirs[0])] * 5
    assert [row["project"] for row in rows] == ["(total)", "(used_now)", "(used_max)", DEMO, OTHER]
    assert [row["cpu"] for row in rows] == [4, 0, 2, 1, 1]
    assert [row["memory_mb"] for row in rows] == [8192, 512, 1024, 512, 512]
    assert [row["disk_gb"] for row in rows] == [100, 0, 2, 1, 1]


def test_hosts_are_the_services_that_are_enabled(cloud: ApiCloud) -> None:
    cloud.add_host("cmp-2")
    assert cloud.get("/os-hosts?zone=nova")["hosts"] == [
        {"host_name": "cmp-1", "service": "compute", "zone": "nova"},
        {"host_name": "cmp-2", "service": "compute", "zone": "nova"},
    ]
    assert len(cloud.get("/os-hosts?zone=")["hosts"]) == 2
    cloud.call("PUT", "/os-services/disable", {"host": "cmp-1", "binary": "nova-compute"})
    assert [host["host_name"] for host in cloud.get("/os-hosts")["hosts"]] == ["cmp-2"]
    assert cloud.get("/os-hosts?zone=mars") == {"hosts": []}


@pytest.mark.parametrize("path", ["/os-hosts/x", "/os-hosts/x/reboot", "/os-hosts/x/shutdown", "/os-hosts/x/startup"])
def test_a_host_that_is_not_there_is_not_found(cloud: ApiCloud, path: str) -> None:
    assert _message(cloud.call("GET", path)) == (404, "Host 'x' is not mapped to any cell")


@pytest.mark.parametrize("verb", ["reboot", "shutdown", "startup"])
def test_the_power_of_hosts_is_nobodys_to_switch(cloud: ApiCloud, verb: str) -> None:
    assert _message(cloud.call("GET", f"/os-hosts/cmp-1/{verb}"))[0] == 501


def test_what_is_wanted_of_a_host_is_looked_at_before_it_is_refused(cloud: ApiCloud) -> None:
    assert cloud.call("PUT", "/os-hosts/cmp-1", {"maintenance_mode": "Enable"}).status_code == 501
    assert cloud.call("PUT", "/os-hosts/cmp-1", {"status": "eNable"}).status_code == 400
    code, text = _message(cloud.call("PUT", "/os-hosts/cmp-1", {}))
    assert (code, text.endswith("{} is not valid under any of the given schemas")) == (400, True)


def test_hosts_are_gone_from_2_43_on_and_administrators_only_before(cloud: ApiCloud) -> None:
    assert _message(cloud.call("GET", "/os-hosts", version="2.43")) == (404, "The resource could not be found.")
    assert cloud.call("GET", "/os-hosts/cmp-1", role="member").status_code == 403
