"""The walk of the first day, with the real ``openstack`` command and real guests. The tests build on one another."""

import re
import stat
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from websockets.sync.client import connect

from tests.compat.cloud import StartedCloud
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CREATE = ("server", "create", "--flavor", "m1.tiny", "--image", "tiny", "--wait")


def _status(cloud: StartedCloud, name: str) -> str:
    return str(cloud.table("server", "show", name)["status"])


def _becomes(cloud: StartedCloud, name: str, status: str) -> None:
    wait_until(lambda: _status(cloud, name) == status, f"{name} to become {status}")


def test_the_account_is_in_a_file_that_only_its_owner_reads(cloud: StartedCloud) -> None:
    file = cloud.home / ".config/openstack/clouds.yaml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    entry = yaml.safe_load(file.read_text())["clouds"]["kilonova"]
    assert entry["auth"]["password"] in cloud.output
    assert entry["auth"]["password"] not in (cloud.state_dir / "kilonova.log").read_text()


def test_a_token_and_the_catalog(cloud: StartedCloud) -> None:
    assert cloud.table("token", "issue")["id"]
    services = {service["Type"] for service in cloud.table("catalog", "list")}
    assert {"compute", "identity", "image"} <= services


def test_flavors_and_images(cloud: StartedCloud) -> None:
    assert {"m1.tiny", "m1.small"} <= {flavor["Name"] for flavor in cloud.table("flavor", "list")}
    assert [(image["Name"], image["Status"]) for image in cloud.table("image", "list")] == [("tiny", "active")]


def test_a_server_with_no_word_about_networks_boots(cloud: StartedCloud) -> None:
    server: dict[str, Any] = cloud.table(*CREATE, "web1")
    assert server["status"] == "ACTIVE"
    assert "10.77." in str(server["addresses"])


def test_a_server_without_a_network_boots(cloud: StartedCloud) -> None:
    server = cloud.table(*CREATE, "--nic", "none", "web2")
    assert (server["status"], server["addresses"]) in [("ACTIVE", ""), ("ACTIVE", {})]


def test_the_console_shows_what_the_guest_wrote(cloud: StartedCloud) -> None:
    wait_until(
        lambda: "READY boots=1" in cloud.openstack("console", "log", "show", "web1"), "the guest's first boot message"
    )


def test_the_addresses_of_consoles_open_them(cloud: StartedCloud) -> None:
    page = cloud.table("console", "url", "show", "web1")["url"]
    serial = cloud.table("console", "url", "show", "--serial", "web1")["url"]
    (path,) = parse_qs(urlsplit(page).query)["path"]
    with connect(f"ws://{urlsplit(page).netloc}/{path}", proxy=None, open_timeout=60) as screen:
        assert screen.recv(timeout=60, decode=False).startswith(b"RFB 003.00")
    with connect(serial, proxy=None, open_timeout=60) as line:
        line.send(b"\x12")  # the tiny guest boots anew
        said = b""
        while b"READY boots=2" not in said:
            said += line.recv(timeout=60, decode=False)
    token = path.removeprefix("?token=")
    shown = cloud.table("console", "connection", "show", token)
    assert shown["instance_uuid"] == cloud.table("server", "show", "web1")["id"]
    assert token not in (cloud.state_dir / "kilonova.log").read_text()


def test_servers_are_listed(cloud: StartedCloud) -> None:
    listed = {server["Name"]: server["Status"] for server in cloud.table("server", "list")}
    assert listed == {"web1": "ACTIVE", "web2": "ACTIVE"}


@pytest.mark.parametrize(
    "operation, status",
    [
        (("stop",), "SHUTOFF"),
        (("start",), "ACTIVE"),
        (("pause",), "PAUSED"),
        (("unpause",), "ACTIVE"),
        (("reboot", "--wait"), "ACTIVE"),
        (("reboot", "--hard", "--wait"), "ACTIVE"),
        (("suspend",), "SUSPENDED"),
        (("resume",), "ACTIVE"),
        (("rescue",), "RESCUE"),
        (("unrescue",), "ACTIVE"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_an_operation_ends_as_it_should(cloud: StartedCloud, operation: tuple[str, ...], status: str) -> None:
    cloud.openstack("server", *operation, "web1")
    _becomes(cloud, "web1", status)


def test_the_guest_remembers_its_boots_on_its_disk(cloud: StartedCloud) -> None:
    wait_until(
        lambda: re.search(r"READY boots=[4-9]", cloud.openstack("console", "log", "show", "web1")),
        "the boots after a start and two reboots",
    )


def test_every_operation_is_in_the_ledger(cloud: StartedCloud) -> None:
    events = cloud.table("server", "event", "list", "web1")
    assert [event["Action"] for event in reversed(events)] == [
        "create",
        "stop",
        "start",
        "pause",
        "unpause",
        "reboot",
        "reboot",
        "suspend",
        "resume",
        "rescue",
        "unrescue",
    ]
    shown = cloud.table("server", "event", "show", "web1", events[-1]["Request ID"])
    assert shown["action"] == "create"
    assert "compute__do_build_and_run_instance" in str(shown["events"])


def test_a_rebuilt_server_has_a_new_disk(cloud: StartedCloud) -> None:
    cloud.openstack("server", "rebuild", "--image", "tiny", "--property", "made=anew", "--wait", "web2")
    _becomes(cloud, "web2", "ACTIVE")
    assert cloud.table("server", "show", "web2")["properties"] == {"made": "anew"}
    wait_until(
        lambda: "READY boots=1" in cloud.openstack("console", "log", "show", "web2"), "the first boot of the new disk"
    )


def test_an_image_and_a_backup_are_made_of_a_running_server(cloud: StartedCloud) -> None:
    cloud.openstack("server", "image", "create", "--name", "snap", "--wait", "web2")
    cloud.openstack("server", "backup", "create", "--name", "day", "--type", "daily", "--rotate", "1", "--wait", "web2")
    listed = {image["Name"]: image["Status"] for image in cloud.table("image", "list")}
    assert listed == {"tiny": "active", "snap": "active", "day": "active"}
    _becomes(cloud, "web2", "ACTIVE")
    cloud.openstack("image", "delete", "snap", "day")


def test_a_server_is_shelved_and_goes_on_from_its_image(cloud: StartedCloud) -> None:
    cloud.openstack("server", "shelve", "web2")
    _becomes(cloud, "web2", "SHELVED_OFFLOADED")
    assert "web2-shelved" in [image["Name"] for image in cloud.table("image", "list")]
    cloud.openstack("server", "unshelve", "web2")
    _becomes(cloud, "web2", "ACTIVE")
    wait_until(
        lambda: "READY boots=2" in cloud.openstack("console", "log", "show", "web2"), "the second boot of the same disk"
    )
    assert "web2-shelved" not in [image["Name"] for image in cloud.table("image", "list")]


def test_properties_and_tags_are_set_and_unset(cloud: StartedCloud) -> None:
    cloud.openstack("server", "set", "--property", "color=blue", "--tag", "one", "--tag", "two", "web2")
    cloud.openstack("server", "unset", "--property", "made", "--tag", "one", "web2")
    shown = cloud.table("server", "show", "web2")
    assert (shown["properties"], shown["tags"]) == ({"color": "blue"}, ["two"])


def test_a_password_that_no_guest_can_take_is_a_clear_error(cloud: StartedCloud) -> None:
    complaint = cloud.openstack("server", "set", "--password", "word", "web2", fails=True)
    assert "QEMU guest agent is not enabled" in complaint


def test_services_hypervisors_and_limits(cloud: StartedCloud) -> None:
    services = {(one["Binary"], one["State"]) for one in cloud.table("compute", "service", "list")}
    assert services == {("nova-compute", "up"), ("nova-conductor", "up"), ("nova-scheduler", "up")}
    (hypervisor,) = cloud.table("hypervisor", "list")
    assert hypervisor["State"] == "up"
    limits = {one["Name"]: one["Value"] for one in cloud.table("limits", "show", "--absolute")}
    assert limits["total_instances_used" if "total_instances_used" in limits else "totalInstancesUsed"] == 2


def test_the_openstack_client_has_the_commands_that_explain(cloud: StartedCloud) -> None:
    (why,) = cloud.table("kilonova", "explain", "web1")
    assert why["kind"] == "server"
    assert "web1" in why["sentence"]
    (made,) = cloud.table("kilonova", "events", "--topic", "instance.create.end", "--server", "web1")
    assert made["of"] == "web1"
    assert {"demo"} == {row["project"] for row in cloud.table("kilonova", "usage")}
    assert "no server, host or request 'nobody'" in cloud.openstack("kilonova", "explain", "nobody", fails=True)


def _addresses(cloud: StartedCloud, name: str) -> list[str]:
    found: list[str] = cloud.table("server", "show", name)["addresses"].get("private", [])
    return found


def _becomes_plugged(cloud: StartedCloud, name: str, addresses: list[str], *, gone: int) -> None:
    """The server has these addresses, and its guest let go of so many cards up to now."""
    wait_until(lambda: _addresses(cloud, name) == addresses, f"{name} to have {addresses}")
    line = "kilonova-tiny: let a card go"
    wait_until(lambda: cloud.openstack("console", "log", "show", name).count(line) == gone, f"{gone} cards to go")


def test_networks_ports_and_addresses_come_and_go_in_a_running_guest(cloud: StartedCloud) -> None:
    wait_until(lambda: "READY" in cloud.openstack("console", "log", "show", "web2"), "the guest to boot")
    cloud.openstack("server", "add", "network", "web2", "private")
    (first,) = wait_until(lambda: _addresses(cloud, "web2"), "an address of the network")
    port = cloud.table("port", "create", "--network", "private", "--fixed-ip", "ip-address=10.77.9.9", "front")
    cloud.openstack("server", "add", "port", "web2", "front")
    _becomes_plugged(cloud, "web2", [first, "10.77.9.9"], gone=0)
    wait_until(lambda: cloud.table("port", "show", "front")["status"] == "ACTIVE", "the port to be plugged into")
    cloud.openstack("server", "remove", "port", "web2", "front")
    _becomes_plugged(cloud, "web2", [first], gone=1)
    assert cloud.table("port", "show", port["id"])["device_id"] == ""
    cloud.openstack("server", "add", "fixed", "ip", "--fixed-ip-address", "10.77.9.10", "web2", "private")
    _becomes_plugged(cloud, "web2", [first, "10.77.9.10"], gone=1)
    cloud.openstack("--os-compute-api-version", "2.43", "server", "remove", "fixed", "ip", "web2", "10.77.9.10")
    _becomes_plugged(cloud, "web2", [first], gone=1)
    cloud.openstack("server", "remove", "network", "web2", "private")
    _becomes_plugged(cloud, "web2", [], gone=3)
    assert cloud.table("server", "show", "web2")["status"] == "ACTIVE"


def test_what_fits_nowhere_ends_in_error_and_says_why(cloud: StartedCloud) -> None:
    cloud.openstack("flavor", "create", "--vcpus", "1", "--ram", "40000000", "--disk", "1", "colossal")
    complaint = cloud.openstack(
        "server", "create", "--flavor", "colossal", "--image", "tiny", "--nic", "none", "big", fails=True
    )
    assert "Quota exceeded for ram" in complaint


def test_a_server_and_its_guest_are_deleted(cloud: StartedCloud) -> None:
    cloud.openstack("server", "delete", "--wait", "web1", "web2")
    assert cloud.table("server", "list") == []


def test_an_unknown_server_is_a_clear_error(cloud: StartedCloud) -> None:
    assert "No Server found for nothing" in cloud.openstack("server", "show", "nothing", fails=True)
