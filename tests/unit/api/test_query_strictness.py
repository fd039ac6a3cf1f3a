"""From which microversion on an unknown parameter of a query is an error, for every endpoint (contract §0.7)."""

import pytest

from tests.unit.api.cloud import DEMO, IMAGE_ID, ApiCloud

SERVER = "/servers/{server}"
STRICT = {
    "2.53": ["/os-hypervisors", "/os-hypervisors/detail", "/os-hypervisors/{hypervisor}"],
    "2.58": [SERVER + "/os-instance-actions"],
    "2.59": ["/os-migrations"],
    "2.75": [
        *("/os-services", "/limits", f"/os-quota-sets/{DEMO}", f"/os-quota-sets/{DEMO}/detail"),
        *("PUT " + f"/os-quota-sets/{DEMO}", "DELETE " + f"/os-quota-sets/{DEMO}"),
        *("/os-keypairs", "/os-keypairs/{keypair}", "DELETE /os-keypairs/{keypair}", "/os-server-groups"),
        *("/flavors", "/flavors/detail", "/servers", "/servers/detail"),
        *("/os-simple-tenant-usage", f"/os-simple-tenant-usage/{DEMO}", SERVER + "/os-volume_attachments"),
        "DELETE /os-assisted-volume-snapshots/none",
    ],
    "2.97": [SERVER + "/shares"],
    "2.99": ["/os-console-auth-tokens/none"],
    "2.102": [
        *(SERVER, "/flavors/1", "/flavors/1/os-flavor-access", "/flavors/1/os-extra_specs"),
        *("/os-aggregates", "/os-aggregates/{aggregate}", "/os-availability-zone", "/os-availability-zone/detail"),
        *("/extensions", "/extensions/os-hosts", SERVER + "/os-instance-actions/{request}"),
        *("/os-instance_usage_audit_log", "/os-instance_usage_audit_log/2012-07-05 10:00:00"),
        *(SERVER + "/ips", SERVER + "/ips/private", SERVER + "/metadata", SERVER + "/metadata/foo"),
        *("/os-quota-class-sets/default", SERVER + "/diagnostics", "/os-server-groups/{group}"),
        *(SERVER + "/migrations", SERVER + "/os-interface", SERVER + "/os-server-password"),
        *(SERVER + "/os-security-groups", SERVER + "/topology"),
    ],
}
NEVER = [f"/os-quota-sets/{DEMO}/defaults", SERVER + "/tags", SERVER + "/os-volume_attachments/none"]
UNEXPECTED = "Additional properties are not allowed ('bogus' was unexpected)"


def _before(version: str) -> str:
    return f"2.{int(version.removeprefix('2.')) - 1}"


@pytest.fixture
def words(cloud: ApiCloud) -> dict[str, str]:
    """One of everything that a path names."""
    cloud.add_host()
    key = {"keypair": {"name": "mine", "public_key": "ssh-ed25519 " + KEY}}
    assert cloud.call("POST", "/os-keypairs", key, version="2.2").status_code == 201
    group = cloud.call("POST", "/os-server-groups", {"server_group": {"name": "g", "policies": ["affinity"]}}).json()
    aggregate = cloud.call("POST", "/os-aggregates", {"aggregate": {"name": "a"}}).json()["aggregate"]
    server = cloud.boot(metadata={"foo": "bar"})
    (action,) = cloud.get(f"/servers/{server}/os-instance-actions")["instanceActions"]
    return {
        "server": server,
        "keypair": "mine",
        "group": group["server_group"]["id"],
        "aggregate": str(aggregate["id"]),
        "hypervisor": cloud.get("/os-hypervisors", version="2.53")["hypervisors"][0]["id"],
        "request": action["request_id"],
    }


KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIFsp4l5S3vJpUqdPvQnSjPmZQnwVVpXKZkAaKgdu3JHi"


def _ask(cloud: ApiCloud, line: str, words: dict[str, str], version: str) -> tuple[int, str]:
    method, path = line.split(" ", 1) if " /" in line else ("GET", line)
    body = {"quota_set": {"cores": 3}} if method == "PUT" else None
    reply = cloud.call(method, path.format(**words) + "?bogus=1", body, version=version)
    return reply.status_code, reply.text


@pytest.mark.parametrize("since, line", [(since, line) for since, lines in STRICT.items() for line in lines])
def test_an_unknown_parameter_is_an_error_from_its_version_on_and_not_before(
    cloud: ApiCloud, words: dict[str, str], since: str, line: str
) -> None:
    status, text = _ask(cloud, line, words, since)
    assert (status, "Additional properties" in text or "does not match any of the regexes" in text) == (400, True)
    status, text = _ask(cloud, line, words, _before(since))
    assert status != 400 or "delete_info" in text, text


@pytest.mark.parametrize("line", NEVER)
def test_some_endpoints_never_mind(cloud: ApiCloud, words: dict[str, str], line: str) -> None:
    status, text = _ask(cloud, line, words, "2.104")
    assert status != 400, text


def test_an_unknown_filter_of_servers_is_told_in_words_of_its_own(cloud: ApiCloud) -> None:
    reply = cloud.call("GET", "/servers?foo=1", version="2.75")
    assert "'foo' does not match any of the regexes: '^_'" in reply.json()["badRequest"]["message"]
    reply = cloud.call("GET", "/flavors?bogus=1", version="2.75")
    assert reply.json()["badRequest"]["message"] == UNEXPECTED


PAGED = ["/servers", "/servers/detail", "/flavors", "/flavors/detail", f"/images?x={IMAGE_ID}"]


@pytest.mark.parametrize("path", PAGED)
@pytest.mark.parametrize(
    "limit, text", [("-1", "does not match"), ("", "should be non-empty"), ("x", "does not match")]
)
def test_a_limit_is_a_number(cloud: ApiCloud, path: str, limit: str, text: str) -> None:
    reply = cloud.call("GET", f"{path}{'&' if '?' in path else '?'}limit={limit}")
    assert (reply.status_code, text in reply.json()["badRequest"]["message"]) == (400, True), reply.text


def test_of_a_repeated_parameter_the_last_value_counts(cloud: ApiCloud) -> None:
    cloud.add_host("cmp-1")
    cloud.add_host("cmp-2")
    services = cloud.get("/os-services?host=cmp-1&host=cmp-2")["services"]
    assert [service["host"] for service in services] == ["cmp-2"]


def test_a_next_link_has_the_parameters_of_its_request_by_key_and_the_new_marker(cloud: ApiCloud) -> None:
    first = cloud.boot("a b")
    body = cloud.get("/servers?status=ACTIVE&name=a%20b&limit=1&all_tenants=1")
    address = "http://127.0.0.1:18774/compute/v2.1/servers"
    wanted = f"{address}?all_tenants=1&limit=1&marker={first}&name=a+b&status=ACTIVE"
    assert body["servers_links"] == [{"rel": "next", "href": wanted}]


def test_groups_are_cut_by_offset_and_limit(cloud: ApiCloud) -> None:
    for name in ("a", "b", "c"):
        cloud.call("POST", "/os-server-groups", {"server_group": {"name": name, "policies": ["affinity"]}})
    names = [each["name"] for each in cloud.get("/os-server-groups")["server_groups"]]
    assert [each["name"] for each in cloud.get("/os-server-groups?offset=1&limit=1")["server_groups"]] == names[1:2]
