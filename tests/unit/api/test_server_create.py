"""``POST /servers``: what is taken at which microversion, and what is said to what is not (contract §6.1, §0.5)."""

from typing import Any

import pytest

from kilonova.network.embedded import FlatNetwork
from tests.unit.api.cloud import IMAGE_ID, ApiCloud, capture

WANTED = {"name": "web1", "flavorRef": "1", "imageRef": IMAGE_ID}


def _create(cloud: ApiCloud, version: str = "2.1", role: str = "member", **wanted: Any) -> Any:
    return cloud.call("POST", "/servers", {"server": {**WANTED, **wanted}}, version=version, role=role)


def _complaint(reply: Any) -> str:
    assert reply.status_code == 400, reply.text
    message: str = reply.json()["badRequest"]["message"]
    return message


def test_a_create_is_answered_as_a_real_nova_answers_it(cloud: ApiCloud) -> None:
    reply = _create(cloud, version="latest", networks="none")
    ours, theirs = reply.json()["server"], capture("server-create-nic-none@latest")["body"]["server"]
    assert (reply.status_code, list(ours)) == (202, list(theirs))
    assert ours["security_groups"] == theirs["security_groups"]
    assert reply.headers["location"] == f"http://127.0.0.1:18774/compute/v2.1/servers/{ours['id']}"
    assert len(ours["adminPass"]) == 12


def test_a_given_password_is_returned_and_none_is_kept(cloud: ApiCloud) -> None:
    reply = _create(cloud, adminPass="s3cret-of-mine")
    assert reply.json()["server"]["adminPass"] == "s3cret-of-mine"
    with cloud.database.read() as connection:
        dump = [str(row) for row in connection.connection.driver_connection.iterdump()]  # type: ignore[union-attr]
    assert not any("s3cret-of-mine" in line for line in dump)


@pytest.mark.parametrize("version", ["2.1", "latest"])
def test_a_bad_body_is_refused_with_a_real_novas_sentence(cloud: ApiCloud, version: str) -> None:
    wanted = capture(f"error-bad-body@{version}")
    reply = cloud.call("POST", "/servers", wanted["request"]["body"], version=version)
    assert (reply.status_code, reply.json()) == (400, wanted["body"])


@pytest.mark.parametrize(
    "change, text",
    [
        ({"name": " web1"}, "An invalid 'name' value was provided. The name must be: printable characters."),
        ({"name": ""}, "Invalid input for field/attribute name. Value: . '' should be non-empty"),
        ({"name": "x" * 256}, "is too long"),
        ({"name": 7}, "Invalid input for field/attribute name. Value: 7. 7 is not of type 'string'"),
        ({"imageRef": "nonsense"}, "Invalid input for field/attribute imageRef. Value: nonsense."),
        ({"metadata": {"a": 1}}, "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'"),
        ({"metadata": {"a/b": "x"}}, "does not match any of the regexes"),
        ({"user_data": "base 64?"}, "is not a 'base64'"),
        ({"user_data": "QUFB" * 16384}, "is too long"),
        ({"config_drive": "maybe"}, "'maybe' is not one of"),
        ({"min_count": 0}, "0 is less than the minimum of 1"),
        ({"accessIPv4": "::1"}, "is not a 'ipv4'"),
    ],
)
def test_a_value_that_does_not_fit_is_named(cloud: ApiCloud, change: dict[str, Any], text: str) -> None:
    assert text in _complaint(_create(cloud, **change))


@pytest.mark.parametrize(
    "key, value, since",
    [
        ("description", "words", "2.19"),
        ("networks", "none", "2.37"),
        ("tags", ["a"], "2.52"),
        ("host", "cmp-1", "2.74"),
        ("hostname", "web-1", "2.90"),
    ],
)
def test_a_field_is_taken_from_its_version_on(cloud: ApiCloud, key: str, value: Any, since: str) -> None:
    cloud.add_host("cmp-1")
    major, minor = since.split(".")
    fields = {"networks": "auto", key: value} if int(minor) >= 37 else {key: value}
    before = {key: value} if int(minor) <= 37 else fields
    assert _create(cloud, f"{major}.{int(minor) - 1}", "admin", **before).status_code == 400
    assert _create(cloud, since, "admin", **fields).status_code == 202


def test_networks_must_be_named_from_2_37_on(cloud: ApiCloud) -> None:
    assert "'networks' is a required property" in _complaint(_create(cloud, "2.37"))


def test_a_host_name_may_be_a_full_one_from_2_94_on(cloud: ApiCloud) -> None:
    wanted = {"hostname": "web1.example.org", "networks": "none"}
    assert [_create(cloud, version, **wanted).status_code for version in ("2.93", "2.94")] == [400, 202]


@pytest.mark.parametrize(
    "change, text",
    [
        ({"flavorRef": "none-such"}, "Flavor none-such could not be found."),
        ({"imageRef": "00000000-0000-0000-0000-000000000000"}, "could not be found"),
        ({"imageRef": ""}, "Missing imageRef attribute"),
        ({"key_name": "mine"}, "Invalid key_name provided."),
        ({"min_count": 3, "max_count": 2}, "min_count must be <= max_count"),
        ({"availability_zone": "a:b:c:d"}, "Invalid availability zone"),
    ],
)
def test_what_cannot_be_is_refused(cloud: ApiCloud, change: dict[str, Any], text: str) -> None:
    assert text in _complaint(_create(cloud, role="admin", **change))


@pytest.mark.parametrize("key", ["block_device_mapping", "block_device_mapping_v2"])
def test_what_kilonova_does_not_do_is_said_and_not_ignored(cloud: ApiCloud, key: str) -> None:
    wanted: dict[str, Any] = {key: [{}]}
    assert _create(cloud, **wanted).status_code == 501


@pytest.mark.parametrize(
    "networks,status",
    [
        ([], 202),
        ([{}], 400),
        ([{"uuid": FlatNetwork.id}], 202),
        ([{"uuid": IMAGE_ID}], 400),
        ([{"port": IMAGE_ID}], 400),
        ([{"uuid": "no uuid"}], 400),
        ([{"uuid": FlatNetwork.id, "fixed_ip": "10.0.0.9"}], 400),
        ([{"uuid": FlatNetwork.id, "fixed_ip": "10.77.0.99"}], 202),
        ([{"uuid": FlatNetwork.id}, {"uuid": FlatNetwork.id}], 202),
    ],
)
def test_there_is_one_network_and_its_addresses_may_be_chosen(cloud: ApiCloud, networks: Any, status: int) -> None:
    assert _create(cloud, networks=networks).status_code == status


def test_there_is_one_security_group(cloud: ApiCloud) -> None:
    assert _create(cloud, security_groups=[{"name": "default"}]).status_code == 202
    text = "Security group web not found for project 218d2ed7c22841aca99c50084e3cd349."
    assert _complaint(_create(cloud, security_groups=[{"name": "web"}])) == text


def test_a_flavor_is_named_by_its_id_which_may_be_a_number_or_by_its_url(cloud: ApiCloud) -> None:
    assert _create(cloud, flavorRef=1).status_code == 202
    assert _create(cloud, flavorRef="http://x/flavors/1").status_code == 202
    assert "Flavor nine could not be found." in _complaint(_create(cloud, flavorRef="http://x/flavors/nine"))


def test_what_base_64_does_not_know_is_passed_over(cloud: ApiCloud) -> None:
    assert _create(cloud, user_data="I2Ns b3Vk\nLWNv bmZpZwo=").status_code == 202


def test_only_an_administrator_forces_a_host(cloud: ApiCloud) -> None:
    forced = _create(cloud, availability_zone="nova:cmp-1")
    rule = "Policy doesn't allow os_compute_api:servers:create:forced_host to be performed."
    assert (forced.status_code, forced.json()["forbidden"]["message"]) == (403, rule)
    assert _create(cloud, role="admin", availability_zone="nova:cmp-1").status_code == 202


def test_a_reader_creates_nothing(cloud: ApiCloud) -> None:
    assert _create(cloud, role="reader").status_code == 403


def test_the_quota_is_told_with_its_numbers(cloud: ApiCloud) -> None:
    reply = _create(cloud, flavorRef="5", min_count=3)
    text = "Quota exceeded for cores: Requested 24, but already used 0 of 20 cores"
    assert (reply.status_code, reply.json()["forbidden"]["message"]) == (403, text)


def test_too_much_metadata_exceeds_a_quota(cloud: ApiCloud) -> None:
    reply = _create(cloud, metadata={f"k{number}": "v" for number in range(129)})
    assert reply.status_code == 403


def test_several_servers_answer_with_their_reservation_when_asked(cloud: ApiCloud) -> None:
    reply = _create(cloud, min_count=2, return_reservation_id=True)
    assert list(reply.json()) == ["reservation_id"]
    assert len(cloud.get("/servers")["servers"]) == 2


def test_hints_are_kept_and_shown_as_lists(cloud: ApiCloud) -> None:
    body = {"server": {**WANTED, "networks": "none"}, "os:scheduler_hints": {"query": '["=","$x",1]'}}
    uuid = cloud.call("POST", "/servers", body, version="2.100").json()["server"]["id"]
    shown = cloud.get(f"/servers/{uuid}", version="2.100")["server"]
    assert shown["scheduler_hints"] == {"query": ['["=","$x",1]']}


def test_a_zone_that_is_not_there_is_refused_in_novas_words(cloud: ApiCloud) -> None:
    assert _complaint(_create(cloud, availability_zone="atlantis")) == (
        "The requested availability zone is not available"
    )
    assert _create(cloud, availability_zone="nova").status_code == 202


def test_a_host_that_is_not_there_is_refused_unless_it_is_forced(cloud: ApiCloud) -> None:
    cloud.add_host("cmp-1")
    how: dict[str, Any] = {"role": "admin", "version": "2.96", "networks": "none"}
    for wanted in (
        {"host": "cmp-9"},
        {"hypervisor_hostname": "cmp-9"},
        {"host": "cmp-1", "hypervisor_hostname": "cmp-9"},
    ):
        assert _complaint(_create(cloud, **how, **wanted)) == "Compute host cmp-9 could not be found."
    assert _create(cloud, **how, host="cmp-1", hypervisor_hostname="cmp-1").status_code == 202
    assert _create(cloud, **how, availability_zone="nova:cmp-9").status_code == 202


def test_as_many_servers_are_made_as_the_quota_allows(cloud: ApiCloud) -> None:
    assert _create(cloud, min_count=2, max_count=12).status_code == 202
    names = [server["name"] for server in cloud.get("/servers")["servers"]]
    assert sorted(names) == sorted(f"web1-{number}" for number in range(1, 11))
    told = _create(cloud, min_count=1, max_count=2).json()["forbidden"]["message"]
    assert told == "Quota exceeded for instances: Requested 1-2, but already used 10 of 10 instances"


def test_an_error_that_nobody_foresaw_leaves_no_user_data_in_the_log(
    cloud: ApiCloud, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "I2Nsb3VkLWNvbmZpZwpwYXNzd29yZDogaHVudGVyMgo="
    trigger = "CREATE TRIGGER odd BEFORE INSERT ON instances BEGIN SELECT RAISE(ABORT, 'of nobody''s making'); END"
    with cloud.database.transaction() as tx:
        tx.connection.exec_driver_sql(trigger)
    assert _create(cloud, user_data=secret).status_code == 500
    assert "of nobody's making" in caplog.text
    assert secret not in caplog.text


def test_a_flavor_without_a_disk_is_for_administrators(cloud: ApiCloud) -> None:
    flavor = {"name": "diskless", "id": "diskless", "ram": 64, "vcpus": 1, "disk": 0}
    assert cloud.call("POST", "/flavors", {"flavor": flavor}, role="admin").status_code == 200
    reply = _create(cloud, flavorRef="diskless")
    assert reply.status_code == 403
    said = reply.json()["forbidden"]["message"]
    assert said == "Only volume-backed servers are allowed for flavors with zero disk."
    assert _create(cloud, role="admin", flavorRef="diskless").status_code == 202


@pytest.mark.parametrize("changes", [{"vcpus": 0}, {"ram": 0}, {"disk": -1}, {"swap": -1}, {"ram": 2**31}])
def test_a_flavor_of_nothing_is_refused(cloud: ApiCloud, changes: dict[str, int]) -> None:
    flavor = {"name": "nothing", "ram": 64, "vcpus": 1, "disk": 1, **changes}
    assert cloud.call("POST", "/flavors", {"flavor": flavor}, role="admin").status_code == 400
