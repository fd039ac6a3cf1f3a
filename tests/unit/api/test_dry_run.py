"""``POST /state/v1/decisions:dry-run``: would it fit, and where and why not."""

from typing import Any

import pytest

from kilonova.services import rehearsal
from kilonova.store import journal
from tests.unit.api.cloud import IMAGE_ID, ApiCloud


@pytest.fixture
def fleet(cloud: ApiCloud) -> ApiCloud:
    """Two hosts of 4 processors (16 with overcommit) and 7.5 GiB each."""
    cloud.add_host("cmp-1")
    cloud.add_host("cmp-2")
    return cloud


def _ask(cloud: ApiCloud, body: dict[str, Any], status: int = 200, **how: Any) -> Any:
    reply = cloud.call("POST", "//state/v1/decisions:dry-run", body, **how)
    assert reply.status_code == status, reply.text
    return reply.json()


def test_a_flavor_that_fits_names_its_host_to_the_administrator(fleet: ApiCloud) -> None:
    told = _ask(fleet, {"flavor": "1", "image": IMAGE_ID})
    assert (told["fits"], told["would_place"], told["hosts"]) == (True, 1, {"cmp-1": 1})
    assert told["document"]["weighed"][0]["host"] == "cmp-1"


def test_as_many_as_fit_are_spread_and_the_next_one_says_what_is_short(fleet: ApiCloud) -> None:
    told = _ask(fleet, {"flavor": "4", "count": 9})
    assert (told["fits"], told["would_place"], told["hosts"]) == (False, 0, {})
    told = _ask(fleet, {"flavor": "3", "count": 9})
    assert (told["fits"], told["would_place"], told["hosts"]) == (False, 2, {"cmp-1": 1, "cmp-2": 1})
    assert told["summary"] == "2 candidates: 2 short of memory (nearest: asked 4096 MiB, free 3584 MiB)"
    assert told["counts"] == [{"filter": "Capacity", "reason": "short of memory", "count": 2}]


def test_a_tenant_is_told_without_any_hosts_name(fleet: ApiCloud) -> None:
    told = _ask(fleet, {"flavor": "3", "count": 9}, role="reader")
    assert told["would_place"] == 2
    assert "cmp-" not in str(told)
    _ask(fleet, {"flavor": "1", "host": "cmp-1"}, 403, role="reader")


def test_a_group_keeps_its_members_apart_in_a_rehearsal_too(fleet: ApiCloud) -> None:
    wanted = {"server_group": {"name": "g", "policy": "anti-affinity"}}
    group = fleet.call("POST", "/os-server-groups", wanted, version="2.64").json()["server_group"]["id"]
    told = _ask(fleet, {"flavor": "1", "count": 5, "hints": {"group": group}})
    assert told["hosts"] == {"cmp-1": 1, "cmp-2": 1}
    assert "anti-affinity" in told["summary"]


def test_a_rehearsal_is_no_way_to_keep_the_cloud_busy(fleet: ApiCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "MOST_LOOKS", 10)
    assert _ask(fleet, {"flavor": "1", "count": 5})["would_place"] == 5
    told = _ask(fleet, {"flavor": "1", "count": 6}, 400)
    assert told["badRequest"]["message"] == ("In a fleet of 2 hosts, no more than 5 servers are rehearsed at once.")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"flavor": "none"},
        {"flavor": "1", "image": "11111111-1111-1111-1111-111111111111"},
        {"flavor": "1", "count": 0},
        {"flavor": "1", "hints": {"query": "nonsense"}},
        {"flavor": "1", "rack": 7},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(fleet: ApiCloud, body: dict[str, Any]) -> None:
    _ask(fleet, body, 400)


def test_a_rehearsal_leaves_no_trace(fleet: ApiCloud) -> None:
    with fleet.database.read() as connection:
        before = journal.pending(connection)
    _ask(fleet, {"flavor": "1", "count": 3})
    with fleet.database.read() as connection:
        assert journal.pending(connection) == before


def test_contradictory_hints_are_refused_and_leave_nothing(fleet: ApiCloud) -> None:
    uuid = fleet.boot()
    server = {"name": "web", "flavorRef": "1", "imageRef": IMAGE_ID, "networks": "auto"}
    for hints in (
        {"same_host": uuid, "different_host": [uuid]},
        {"query": "["},
        {"build_near_host_ip": "1.2.3.4", "cidr": "/99"},
    ):
        reply = fleet.call("POST", "/servers", {"server": server, "os:scheduler_hints": hints}, version="2.96")
        assert reply.status_code == 400, reply.text
    assert len(fleet.get("/servers")["servers"]) == 1
