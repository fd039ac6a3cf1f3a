"""Aggregates, and the zones that come of them."""

from typing import Any

import pytest

from kilonova.domain.states import VmState
from kilonova.store import journal
from tests.unit.api.cloud import IMAGE_ID, ApiCloud, capture


@pytest.fixture(autouse=True)
def _hosts(cloud: ApiCloud) -> None:
    cloud.add_host()
    cloud.add_host("cmp-2")


def _message(reply: Any) -> tuple[int, str]:
    (fault,) = reply.json().values()
    return reply.status_code, fault["message"]


def _make(cloud: ApiCloud, name: str = "racks", zone: str | None = None) -> int:
    wanted = {"name": name, "availability_zone": zone}
    reply = cloud.call("POST", "/os-aggregates", {"aggregate": wanted}, version="2.90")
    assert reply.status_code == 200, reply.text
    return int(reply.json()["aggregate"]["id"])


def _act(cloud: ApiCloud, id: int, **action: Any) -> Any:
    return cloud.call("POST", f"/os-aggregates/{id}/action", action, version="2.90")


def _add(cloud: ApiCloud, id: int, host: str = "cmp-1") -> Any:
    return _act(cloud, id, add_host={"host": host})


def _zone_of(cloud: ApiCloud, host: str = "cmp-1") -> str:
    return str(cloud.get(f"/os-services?host={host}")["services"][0]["zone"])


@pytest.mark.parametrize("version", ["2.1", "2.53", "latest"])
def test_an_aggregate_has_the_form_of_a_real_novas_answer(cloud: ApiCloud, version: str) -> None:
    id = _make(cloud)
    _add(cloud, id)
    ours = cloud.get(f"/os-aggregates/{id}", version=version)["aggregate"]
    assert set(ours) == set(capture(f"aggregate-show@{version}")["body"]["aggregate"])
    assert cloud.get("/os-aggregates", version=version) == {"aggregates": [ours]}
    assert (ours["hosts"], ours["metadata"], ours["updated_at"]) == (["cmp-1"], {}, None)


def test_a_new_aggregate_tells_neither_hosts_nor_metadata(cloud: ApiCloud) -> None:
    wanted = {"aggregate": {"name": "racks", "availability_zone": "east"}}
    made = cloud.call("POST", "/os-aggregates", wanted, version="2.41").json()["aggregate"]
    assert set(made) == set(capture("aggregate-create@latest")["body"]["aggregate"])
    assert made["availability_zone"] == "east"
    assert cloud.get(f"/os-aggregates/{made['id']}")["aggregate"]["metadata"] == {"availability_zone": "east"}


def test_metadata_is_merged_and_null_removes_an_item(cloud: ApiCloud) -> None:
    id = _make(cloud, zone="east")
    _act(cloud, id, set_metadata={"metadata": {"ssd": "true", "rack": "7"}})
    shown = _act(cloud, id, set_metadata={"metadata": {"rack": None, "availability_zone": "west"}}).json()["aggregate"]
    assert shown["metadata"] == {"ssd": "true", "availability_zone": "west"}
    assert shown["availability_zone"] == "west"
    assert shown["updated_at"] is not None


def test_names_are_there_once(cloud: ApiCloud) -> None:
    _make(cloud)
    second = _make(cloud, "second")
    taken = (409, "Aggregate racks already exists.")
    assert _message(cloud.call("POST", "/os-aggregates", {"aggregate": {"name": "racks"}})) == taken
    assert _message(cloud.call("PUT", f"/os-aggregates/{second}", {"aggregate": {"name": "racks"}})) == taken
    reply = cloud.call("PUT", f"/os-aggregates/{second}", {"aggregate": {"name": "third"}})
    assert reply.json()["aggregate"]["name"] == "third"


def test_an_aggregate_goes_when_it_is_empty_and_its_number_is_not_used_again(cloud: ApiCloud) -> None:
    id = _make(cloud)
    _add(cloud, id)
    text = f"Cannot remove host from aggregate {id}. Reason: Host aggregate is not empty."
    assert _message(cloud.call("DELETE", f"/os-aggregates/{id}")) == (400, text)
    assert _act(cloud, id, remove_host={"host": "cmp-1"}).json()["aggregate"]["hosts"] == []
    reply = cloud.call("DELETE", f"/os-aggregates/{id}")
    assert (reply.status_code, reply.content) == (200, b"")
    assert _message(cloud.call("DELETE", f"/os-aggregates/{id}")) == (404, f"Aggregate {id} could not be found.")
    assert _make(cloud) > id


def test_a_host_is_in_one_zone_and_in_any_number_of_aggregates(cloud: ApiCloud) -> None:
    east, west, plain, again = (_make(cloud, *each) for each in (("e", "A"), ("w", "B"), ("p", None), ("e2", "A")))
    assert _add(cloud, east).status_code == _add(cloud, plain).status_code == _add(cloud, again).status_code == 200
    reason = "Reason: One or more hosts already in availability zone(s) ['A', 'A']."
    assert _message(_add(cloud, west)) == (409, f"Cannot add host to aggregate {west}. {reason}")
    wanted = {"availability_zone": "B"}
    assert _message(cloud.call("PUT", f"/os-aggregates/{plain}", {"aggregate": {"name": "q", **wanted}})) == (
        400,
        f"Cannot update aggregate {plain}. {reason}",
    )
    assert cloud.get(f"/os-aggregates/{plain}")["aggregate"]["name"] == "q"
    text = f"Cannot update metadata of aggregate {plain}. {reason}"
    assert _message(_act(cloud, plain, set_metadata={"metadata": wanted})) == (400, text)
    assert _message(_add(cloud, east)) == (409, f"Aggregate {east} already has host cmp-1.")


@pytest.mark.parametrize("zone", [None, ""])
def test_a_zone_is_never_taken_away(cloud: ApiCloud, zone: str | None) -> None:
    id = _make(cloud, zone="east")
    reason = "Reason: Aggregate racks does not support empty named availability zone."
    refused = _message(_act(cloud, id, set_metadata={"metadata": {"availability_zone": zone}}))
    assert refused == (400, f"Cannot update metadata of aggregate {id}. {reason}")


def test_servers_keep_their_host_in_its_zone(cloud: ApiCloud) -> None:
    id, plain = _make(cloud, zone="east"), _make(cloud, "plain")
    server = cloud.boot()
    code, text = _message(_add(cloud, id))
    assert code == 409
    assert "1 instance(s) in availability zone nova, which would then be in east" in text
    assert _add(cloud, plain).status_code == 200
    assert _message(cloud.call("PUT", f"/os-aggregates/{plain}", {"aggregate": {"availability_zone": "x"}})) == (
        400,
        f"Cannot update aggregate {plain}. Reason: One or more hosts contain instances in this zone.",
    )
    now = cloud.plane.at
    cloud.move(server, vm_state=VmState.DELETED, task_state=None, deleted_at=now, terminated_at=now)
    assert _add(cloud, id).status_code == 200
    cloud.boot("second")
    assert _message(_act(cloud, id, remove_host={"host": "cmp-1"}))[0] == 409
    assert _zone_of(cloud) == "east"


def test_unknown_hosts_and_aggregates_are_not_found(cloud: ApiCloud) -> None:
    id = _make(cloud)
    assert _message(_add(cloud, id, "mars")) == (404, "Compute host mars could not be found.")
    assert _message(_add(cloud, 77)) == (404, "Aggregate 77 could not be found.")
    missing = _message(_act(cloud, id, remove_host={"host": "cmp-1"}))
    assert missing == (404, f"Cannot remove host cmp-1 in aggregate {id}")
    for path, wanted in (("x", 400), ("77", 404), ("9" * 30, 404)):
        assert cloud.call("GET", f"/os-aggregates/{path}").status_code == wanted
    assert _message(cloud.call("GET", "/os-aggregates/x"))[1] == "Invalid input received: id must be an integer"


@pytest.mark.parametrize(
    "wanted",
    [{}, {"name": ""}, {"name": "a", "availability_zone": "a:b"}, {"name": "a", "availability_zone": ""}, {"name": 1}],
)
def test_a_malformed_aggregate_is_refused(cloud: ApiCloud, wanted: dict[str, Any]) -> None:
    assert cloud.call("POST", "/os-aggregates", {"aggregate": wanted}).status_code == 400
    assert cloud.call("PUT", f"/os-aggregates/{_make(cloud)}", {"aggregate": wanted}).status_code == 400


def test_nobody_but_administrators_sees_aggregates(cloud: ApiCloud) -> None:
    assert cloud.call("GET", "/os-aggregates", role="member").status_code == 403
    assert cloud.call("POST", "/os-aggregates", {"aggregate": {"name": "a"}}, role="member").status_code == 403


def test_zones_of_aggregates_are_shown_wherever_zones_are(cloud: ApiCloud) -> None:
    _add(cloud, _make(cloud, zone="east"))
    assert (_zone_of(cloud), _zone_of(cloud, "cmp-2")) == ("east", "nova")
    zones = cloud.get("/os-availability-zone")["availabilityZoneInfo"]
    assert [zone["zoneName"] for zone in zones] == ["east", "nova"]
    assert [host["host_name"] for host in cloud.get("/os-hosts?zone=east")["hosts"]] == ["cmp-1"]
    server = cloud.boot()
    assert cloud.get(f"/servers/{server}")["server"]["OS-EXT-AZ:availability_zone"] == "east"
    assert cloud.get("/servers/detail")["servers"][0]["OS-EXT-AZ:availability_zone"] == "east"


def test_a_server_may_ask_for_a_zone_that_has_hosts(cloud: ApiCloud) -> None:
    _add(cloud, _make(cloud, zone="east"))
    _make(cloud, "empty", "west")
    server = {"name": "s", "flavorRef": "1", "imageRef": IMAGE_ID, "networks": "none"}
    codes = {
        zone: cloud.call("POST", "/servers", {"server": {**server, "availability_zone": zone}}, version="2.96")
        for zone in ("east", "nova", "west")
    }
    assert {zone: reply.status_code for zone, reply in codes.items()} == {"east": 202, "nova": 202, "west": 400}


def test_a_host_that_is_removed_leaves_its_aggregates(cloud: ApiCloud) -> None:
    id = _make(cloud)
    _add(cloud, id)
    number = cloud.get("/os-services?host=cmp-1")["services"][0]["id"]
    assert cloud.call("DELETE", f"/os-services/{number}").status_code == 204
    assert cloud.get(f"/os-aggregates/{id}")["aggregate"]["hosts"] == []


def test_every_change_of_an_aggregate_is_told(cloud: ApiCloud) -> None:
    id = _make(cloud)
    _add(cloud, id)
    cloud.call("PUT", f"/os-aggregates/{id}", {"aggregate": {"name": "n", "availability_zone": "z"}})
    _act(cloud, id, remove_host={"host": "cmp-1"})
    cloud.call("DELETE", f"/os-aggregates/{id}")
    journal.sequence(cloud.database)
    with cloud.database.read() as connection:
        told = journal.list_entries(connection, after_seq=0, limit=100, kind="aggregate")
    operations = ["create", "add_host", "update_prop", "update_metadata", "remove_host", "delete"]
    assert [entry.operation for entry in told] == operations
    assert told[-1].snapshot["metadata"] == {"availability_zone": "z"}
