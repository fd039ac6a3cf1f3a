"""An operator's day with the real ``openstack`` command: catalogue, fleet, quotas, moves, and what is typed wrongly.

On three simulated hosts, for what is tried is what the client asks and makes of the answers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.client import OpenStackClient
from tests.compat.cloud import StartedCloud, simulated_cloud
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SMALL = ("server", "create", "--flavor", "m1.tiny", "--image", "tiny", "--nic", "none", "--wait")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1p8x9mFsDUJ2e5yGg3gFtJm5mQn8m2s5uW9Y8bG0aS somebody"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedCloud]:
    """A cloud of three simulated hosts."""
    with simulated_cloud(tmp_path_factory.mktemp("home"), "--simulate-hosts", "3") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def fleet(started: StartedCloud) -> OpenStackClient:
    """The client of its administrator."""
    return OpenStackClient(started.state_dir / "clouds.yaml")


def _hosts(cloud: OpenStackClient) -> list[str]:
    listed = cloud.table("compute", "service", "list", "--service", "nova-compute")
    return sorted(service["Host"] for service in listed)


def _host_of(cloud: OpenStackClient, name: str) -> str:
    return str(cloud.table("server", "show", name)["OS-EXT-SRV-ATTR:host"])


def _becomes(cloud: OpenStackClient, name: str, status: str) -> None:
    wait_until(lambda: cloud.table("server", "show", name)["status"] == status, f"{name} to become {status}")


def test_a_flavor_is_made_changed_given_and_removed(fleet: OpenStackClient) -> None:
    sizes = ("--ram", "128", "--disk", "1", "--vcpus", "1", "--swap", "64", "--ephemeral", "1")
    made = fleet.table("flavor", "create", *sizes, "--private", "--property", "hw:cpu_policy=shared", "gold")
    assert (made["ram"], made["swap"], made["OS-FLV-EXT-DATA:ephemeral"]) == (128, 64, 1)
    assert made["os-flavor-access:is_public"] is False
    fleet.run("flavor", "set", "--project", "admin", "--description", "for a few", "gold")
    fleet.run("flavor", "set", "--property", "quota:cpu_shares=512", "gold")
    shown = fleet.table("flavor", "show", "gold")
    assert shown["description"] == "for a few"
    assert shown["properties"] == {"hw:cpu_policy": "shared", "quota:cpu_shares": "512"}
    assert len(shown["access_project_ids"]) == 1
    fleet.run("flavor", "unset", "--property", "hw:cpu_policy", "--project", "admin", "gold")
    listed = {each["Name"]: each for each in fleet.table("flavor", "list", "--all", "--long")}
    assert listed["gold"]["Properties"] == {"quota:cpu_shares": "512"}
    fleet.run("flavor", "delete", "gold")
    assert "gold" not in {each["Name"] for each in fleet.table("flavor", "list", "--all")}


def test_a_key_is_made_here_and_one_is_brought(fleet: OpenStackClient, tmp_path: Path) -> None:
    private, public = tmp_path / "private", tmp_path / "public"
    fleet.run("keypair", "create", "--private-key", str(private), "made")
    assert "PRIVATE KEY" in private.read_text()
    public.write_text(KEY)
    brought = fleet.table("keypair", "create", "--public-key", str(public), "brought")
    assert brought["type"] == "ssh"
    assert fleet.run("keypair", "show", "--public-key", "brought").strip() == KEY
    listed = {each["Name"]: each["Fingerprint"] for each in fleet.table("keypair", "list")}
    assert listed["brought"] == brought["fingerprint"]
    fleet.run("keypair", "delete", "made", "brought")
    assert fleet.table("keypair", "list") == []


def test_servers_of_a_group_stay_apart(fleet: OpenStackClient) -> None:
    group = fleet.table("server", "group", "create", "--policy", "anti-affinity", "apart")
    for name in ("one", "two", "three"):
        fleet.run(*SMALL, "--hint", f"group={group['id']}", name)
    assert sorted(_host_of(fleet, name) for name in ("one", "two", "three")) == _hosts(fleet)
    assert len(fleet.table("server", "group", "show", group["id"])["members"]) == 3
    assert [each["Name"] for each in fleet.table("server", "group", "list")] == ["apart"]
    complaint = fleet.run(*SMALL, "--hint", f"group={group['id']}", "four", fails=True)
    assert "four" in complaint
    assert "No valid host was found" in fleet.table("server", "show", "four")["fault"]["message"]
    fleet.run("server", "delete", "--wait", "one", "two", "three", "four")
    fleet.run("server", "group", "delete", group["id"])


def test_an_aggregate_makes_a_zone_for_those_who_ask_for_it(fleet: OpenStackClient) -> None:
    host = _hosts(fleet)[1]
    fleet.run("aggregate", "create", "--zone", "east", "--property", "disks=fast", "racks")
    fleet.run("aggregate", "add", "host", "racks", host)
    fleet.run("aggregate", "set", "--property", "floor=2", "racks")
    shown = fleet.table("aggregate", "show", "racks")
    assert (shown["hosts"], shown["properties"]) == ([host], {"disks": "fast", "floor": "2"})
    zones = {each["Zone Name"] for each in fleet.table("availability", "zone", "list", "--compute")}
    assert {"east", "nova"} <= zones
    fleet.run("aggregate", "cache", "image", "racks", "tiny")
    fleet.run(*SMALL, "--availability-zone", "east", "zoned")
    assert _host_of(fleet, "zoned") == host
    fleet.run("server", "delete", "--wait", "zoned")
    fleet.run("aggregate", "unset", "--property", "floor", "racks")
    fleet.run("aggregate", "remove", "host", "racks", host)
    fleet.run("aggregate", "delete", "racks")
    assert fleet.table("aggregate", "list", "--long") == []


def test_a_disabled_host_takes_no_server_until_it_is_enabled(fleet: OpenStackClient) -> None:
    first, *others = _hosts(fleet)
    for host in others:
        fleet.run("compute", "service", "set", "--disable", "--disable-reason", "new disks", host, "nova-compute")
    listed = fleet.table("compute", "service", "list", "--long", "--host", others[0])
    assert [(each["Status"], each["Disabled Reason"]) for each in listed] == [("disabled", "new disks")]
    fleet.run(*SMALL, "only")
    assert _host_of(fleet, "only") == first
    for host in others:
        fleet.run("compute", "service", "set", "--enable", host, "nova-compute")
    fleet.run("server", "delete", "--wait", "only")


def test_hypervisors_hosts_and_their_sums_agree(fleet: OpenStackClient, started: StartedCloud) -> None:
    hypervisors = fleet.table("hypervisor", "list", "--long")
    assert len(hypervisors) == 3
    assert {each["State"] for each in hypervisors} == {"up"}
    shown = fleet.table("hypervisor", "show", hypervisors[0]["Hypervisor Hostname"])
    assert shown["hypervisor_hostname"] == hypervisors[0]["Hypervisor Hostname"]
    old = ("--os-compute-api-version", "2.42")
    stats = started.table(*old, "hypervisor", "stats", "show")
    assert (stats["count"], stats["vcpus"]) == (
        3,
        sum(each["vCPUs"] for each in started.table(*old, "hypervisor", "list", "--long")),
    )
    assert {each["Host Name"] for each in started.table(*old, "host", "list")} >= set(_hosts(fleet))
    assert started.table(*old, "host", "show", _hosts(fleet)[0])[0]["Project"] == "(total)"


def test_a_quota_is_set_reached_and_forgotten(fleet: OpenStackClient, started: StartedCloud) -> None:
    fleet.run("project", "create", "narrow")
    fleet.run("quota", "set", "--instances", "1", "--cores", "3", "narrow")
    quotas = {each["Resource"]: each["Limit"] for each in fleet.table("quota", "show", "--compute", "narrow")}
    assert (quotas["instances"], quotas["cores"]) == (1, 3)
    fleet.run("role", "add", "--user", "admin", "--project", "narrow", "member")
    there = ("--os-project-name", "narrow")
    started.openstack(*there, *SMALL, "first")
    complaint = started.openstack(*there, *SMALL, "second", fails=True)
    assert "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances" in complaint
    limits = {each["Name"]: each["Value"] for each in started.table(*there, "limits", "show", "--absolute")}
    assert (limits["instances"], limits["instances_used"]) == (1, 1)
    started.openstack(*there, "server", "delete", "--wait", "first")
    fleet.run("quota", "delete", "--compute", "narrow")
    quotas = {each["Resource"]: each["Limit"] for each in fleet.table("quota", "show", "--compute", "narrow")}
    assert quotas["instances"] == 10


def test_usage_is_told_for_all_and_for_one(fleet: OpenStackClient) -> None:
    demo = fleet.table("project", "show", "demo")["id"]
    listed = {each["Project"]: each for each in fleet.table("usage", "list")}
    assert listed[demo]["CPU Hours"] > 0
    shown = fleet.table("usage", "show", "--project", "demo")
    assert shown["CPU Hours"] >= listed[demo]["CPU Hours"]


def test_a_server_is_moved_cold_and_live_and_each_move_is_told(fleet: OpenStackClient) -> None:
    fleet.run(*SMALL, "mover")
    first = _host_of(fleet, "mover")
    fleet.run("server", "migrate", "--wait", "mover")
    fleet.run("server", "migration", "confirm", "mover")
    _becomes(fleet, "mover", "ACTIVE")
    second = _host_of(fleet, "mover")
    assert second != first
    fleet.run("server", "migrate", "--live-migration", "--host", first, "--wait", "mover")
    assert _host_of(fleet, "mover") == first
    fleet.run("server", "resize", "--flavor", "m1.small", "--wait", "mover")
    fleet.run("server", "resize", "revert", "mover")
    _becomes(fleet, "mover", "ACTIVE")
    told = [(each["Type"], each["Status"]) for each in fleet.table("server", "migration", "list", "--server", "mover")]
    assert told == [("resize", "reverted"), ("live-migration", "completed"), ("migration", "confirmed")]
    actions = [each["Action"] for each in fleet.table("server", "event", "list", "mover")]
    assert actions == ["revertResize", "resize", "live-migration", "confirmResize", "migrate", "create"]
    request = fleet.table("server", "event", "list", "mover")[-1]["Request ID"]
    assert "compute__do_build_and_run_instance" in str(
        fleet.table("server", "event", "show", "mover", request)["events"]
    )


def test_what_is_done_to_a_server_shows(fleet: OpenStackClient) -> None:
    fleet.run("server", "lock", "--reason", "audit", "mover")
    shown = fleet.table("server", "show", "mover")
    assert (shown["locked"], shown["locked_reason"]) == (True, "audit")
    fleet.run("server", "unlock", "mover")
    fleet.run("server", "dump", "create", "mover")
    fleet.run("server", "set", "--name", "moved", "--description", "it was moved", "mover")
    fleet.run("server", "set", "--auto-approve", "--state", "error", "moved")
    assert fleet.table("server", "show", "moved")["status"] == "ERROR"
    fleet.run("server", "set", "--auto-approve", "--state", "active", "moved")
    assert fleet.table("server", "volume", "list", "moved") == []
    diagnostics = fleet.table("server", "show", "--diagnostics", "moved")
    assert diagnostics


def test_servers_are_found_by_what_an_operator_knows(fleet: OpenStackClient) -> None:
    host = _host_of(fleet, "moved")
    fleet.run(*SMALL, "--tag", "web", "--property", "made=here", "other")
    for wanted, found in (
        (("--host", host, "--all-projects", "--name", "^mov"), ["moved"]),
        (("--tags", "web"), ["other"]),
        (("--not-tags", "web"), ["moved"]),
        (("--status", "ERROR"), []),
        (("--flavor", "m1.tiny", "--sort-column", "Name"), ["moved", "other"]),
        (("--limit", "1"), ["other"]),
        (("--locked",), []),
    ):
        assert [each["Name"] for each in fleet.table("server", "list", *wanted)] == found, wanted
    fleet.run("server", "delete", "--wait", "other")
    deleted: list[dict[str, Any]] = fleet.table("server", "list", "--deleted", "--all-projects", "--long")
    assert "other" in {each["Name"] for each in deleted}


@pytest.mark.parametrize(
    "command, words",
    [
        ("server create --flavor none --image tiny x", "No Flavor found for none"),
        ("server create --flavor m1.tiny --image none x", "No Image found for none"),
        ("server create --flavor m1.tiny --image tiny --nic none --key-name none x", "Invalid key_name provided"),
        ("server create --flavor m1.tiny --image tiny --nic none --availability-zone none x", "availability zone"),
        ("server create --flavor m1.tiny --image tiny --nic none --host none x", "none could not be found"),
        ("server unpause moved", "Cannot 'unpause' instance"),
        ("server migration confirm moved", "Cannot 'confirmResize' instance"),
        ("server migration abort moved 4000", "Cannot 'abort live migration' instance"),
        ("server resize --flavor m1.tiny moved", "flavor"),
        ("server migrate --live-migration --host none moved", "none"),
        ("server evacuate moved", "is still in use"),
        ("server add volume moved none", "block-storage"),
        ("server list --changes-since nonsense", "Invalid changes-since value"),
        ("server list --marker 0ac7b8a4-3f1b-4ad0-8c1d-1f5a3c2b9e00", "No Server found"),
        ("flavor create --ram 0 --disk 1 --vcpus 1 x", "ram"),
        ("flavor create --ram 64 --disk 1 --vcpus 1 m1.tiny", "Flavor with name m1.tiny already exists"),
        ("aggregate add host none nowhere", "No Aggregate found for none"),
        ("aggregate create --zone a:b x", "Invalid input for field/attribute availability_zone"),
        ("compute service delete 1", "Invalid uuid 1"),
        ("compute service set --down none nova-compute", "none"),
        ("hypervisor show none", "none"),
        ("keypair show none", "none"),
        ("quota set --instances -5 admin", "-5 is less than the minimum of -1"),
        ("server event show moved req-0ac7b8a4-3f1b-4ad0-8c1d-1f5a3c2b9e00", "not found"),
        ("console connection show 0ac7b8a4-3f1b-4ad0-8c1d-1f5a3c2b9e00", "Token not found"),
    ],
)
def test_what_is_typed_wrongly_gets_a_clear_complaint(fleet: OpenStackClient, command: str, words: str) -> None:
    assert words.lower() in fleet.run(*command.split(), fails=True).lower()


def test_nothing_went_wrong_that_the_clients_did_not_hear_of(started: StartedCloud) -> None:
    assert "Traceback" not in (started.state_dir / "kilonova.log").read_text()
