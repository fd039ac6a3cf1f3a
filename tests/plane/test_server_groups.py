"""Server groups: made, joined, and minded when servers are placed."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plane.house import House, lived_in


@pytest.fixture
def street(tmp_path: Path) -> Iterator[House]:
    """A cloud with three hosts."""
    with lived_in(tmp_path, simulate_hosts=3) as made:
        yield made


def _group(house: House, policy: str, *, version: str = "2.64", rules: dict[str, Any] | None = None) -> str:
    wanted = {"name": "g", "policy": policy, **({"rules": rules} if rules else {})}
    reply = house.call("POST", "/os-server-groups", {"server_group": wanted}, version=version)
    assert reply.status_code == 200, reply.text
    found: str = reply.json()["server_group"]["id"]
    return found


def _order(house: House, group: str | None, *, version: str = "2.96", **wanted: Any) -> Any:
    server = {"name": "s", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none", **wanted}
    hints = {"os:scheduler_hints": {"group": group}} if group else {}
    return house.call("POST", "/servers", {"server": server, **hints}, version=version)


def _hosts(house: House) -> Counter[str | None]:
    found = house.call("GET", "/servers/detail").json()["servers"]
    return Counter(server["OS-EXT-SRV-ATTR:host"] for server in found if server["status"] == "ACTIVE")


def _message(reply: Any) -> tuple[int, str]:
    (fault,) = reply.json().values()
    return reply.status_code, fault["message"]


def test_members_that_must_be_apart_never_share_a_host(street: House) -> None:
    group = _group(street, "anti-affinity")
    assert _order(street, group, max_count=4).status_code == 202
    street.settle()
    assert sorted(_hosts(street).values()) == [1, 1, 1]
    (failed,) = street.call("GET", "/servers/detail?status=ERROR").json()["servers"]
    assert failed["fault"]["message"].endswith("3 candidates: 3 taken by members of an anti-affinity group")


def test_a_host_has_as_many_members_as_the_rule_lets_it(street: House) -> None:
    group = _group(street, "anti-affinity", rules={"max_server_per_host": 2})
    _order(street, group, max_count=7)
    street.settle()
    assert sorted(_hosts(street).values()) == [2, 2, 2]


def test_two_members_that_move_at_once_do_not_meet(street: House) -> None:
    group = _group(street, "anti-affinity")
    _order(street, group, max_count=2)
    street.settle()
    servers = [server["id"] for server in street.call("GET", "/servers").json()["servers"]]
    for server in servers:
        assert street.act(server, {"migrate": None}).status_code == 202
    street.cloud.plane.conductor.step()  # both find their hosts before either has left its own
    street.settle()
    shown = [street.show(server) for server in servers]
    assert sorted(server["status"] for server in shown) == ["ACTIVE", "VERIFY_RESIZE"]
    assert len({server["OS-EXT-SRV-ATTR:host"] for server in shown}) == 2


def test_a_member_that_may_come_back_keeps_its_place(street: House) -> None:
    group = _group(street, "anti-affinity")
    _order(street, group)
    street.settle()
    (server,) = [each["id"] for each in street.call("GET", "/servers").json()["servers"]]
    street.act(server, {"migrate": None})
    street.settle()
    _order(street, group, max_count=2)
    street.settle()
    assert sorted(each["status"] for each in street.call("GET", "/servers/detail").json()["servers"]) == [
        "ACTIVE",
        "ERROR",
        "VERIFY_RESIZE",
    ]
    street.act(server, {"revertResize": None})
    street.settle()
    assert sorted(_hosts(street).values()) == [1, 1]


def test_members_that_must_be_together_follow_one_that_moved(street: House) -> None:
    group = _group(street, "affinity")
    _order(street, group)
    street.settle()
    (server,) = [each["id"] for each in street.call("GET", "/servers").json()["servers"]]
    street.act(server, {"migrate": None})
    street.settle()
    _order(street, group)
    street.settle()
    shown = street.call("GET", "/servers/detail").json()["servers"]
    assert sorted(each["status"] for each in shown) == ["ACTIVE", "VERIFY_RESIZE"]
    assert len({each["OS-EXT-SRV-ATTR:host"] for each in shown}) == 1


def test_members_that_must_be_together_share_a_host(street: House) -> None:
    group = _group(street, "affinity")
    for _ in range(2):
        _order(street, group, max_count=2)
        street.settle()
    assert list(_hosts(street).values()) == [4]


def test_members_that_would_like_to_be_apart_share_hosts_where_they_must(street: House) -> None:
    _order(street, _group(street, "soft-anti-affinity"), max_count=7)
    street.settle()
    assert sorted(_hosts(street).values()) == [2, 2, 3]


def test_members_that_would_like_to_be_together_are(street: House) -> None:
    _order(street, _group(street, "soft-affinity"), max_count=3)
    street.settle()
    assert list(_hosts(street).values()) == [3]


def test_a_server_tells_its_group_when_shown_and_never_in_a_list(house: House) -> None:
    group = _group(house, "affinity")
    server = _order(house, group).json()["server"]["id"]
    house.settle()
    assert house.show(server, version="2.71")["server_groups"] == [group]
    assert "server_groups" not in house.show(server, version="2.70")
    assert "server_groups" not in house.call("GET", "/servers/detail", version="2.71").json()["servers"][0]
    assert house.show(server, version="2.100")["scheduler_hints"] == {"group": [group]}
    assert house.call("GET", f"/os-server-groups/{group}").json()["server_group"]["members"] == [server]


def test_a_deleted_server_is_no_member_any_more(house: House) -> None:
    group = _group(house, "anti-affinity")
    server = _order(house, group).json()["server"]["id"]
    house.settle()
    house.call("DELETE", f"/servers/{server}")
    house.settle()
    assert house.call("GET", f"/os-server-groups/{group}").json()["server_group"]["members"] == []
    assert house.boot()["status"] == "ACTIVE"
    assert _order(house, group).status_code == 202
    house.settle()
    assert sorted(_hosts(house).values()) == [2]


def test_the_servers_of_a_removed_group_stay(house: House) -> None:
    group = _group(house, "affinity")
    server = _order(house, group).json()["server"]["id"]
    house.settle()
    assert house.call("DELETE", f"/os-server-groups/{group}").status_code == 204
    assert house.show(server, version="2.71")["server_groups"] == []
    text = f"Instance group {group} could not be found."
    for method in ("GET", "DELETE"):
        assert _message(house.call(method, f"/os-server-groups/{group}")) == (404, text)
    assert _message(_order(house, group)) == (400, text)


def test_a_group_has_the_keys_of_the_version(house: House) -> None:
    old = {"server_group": {"name": "old", "policies": ["anti-affinity"]}}
    made = house.call("POST", "/os-server-groups", old, version="2.1").json()["server_group"]
    assert list(made) == ["id", "name", "policies", "metadata", "members"]
    assert (made["policies"], made["metadata"], made["members"]) == (["anti-affinity"], {}, [])
    shown = house.call("GET", f"/os-server-groups/{made['id']}", version="2.13").json()["server_group"]
    assert list(shown)[-2:] == ["project_id", "user_id"]
    latest = house.call("GET", "/os-server-groups", version="2.64").json()["server_groups"][0]
    assert list(latest) == ["id", "name", "policy", "rules", "members", "project_id", "user_id"]


@pytest.mark.parametrize(
    "version, wanted",
    [
        ("2.1", {"name": "g", "policies": ["soft-affinity"]}),
        ("2.1", {"name": "g", "policies": []}),
        ("2.1", {"name": "g", "policies": ["affinity", "anti-affinity"]}),
        ("2.63", {"name": "g", "policy": "affinity"}),
        ("2.64", {"name": "g", "policies": ["affinity"]}),
        ("2.64", {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
        ("2.64", {"name": "g", "policy": "anti-affinity", "rules": {"other": 1}}),
        ("2.64", {"name": "", "policy": "affinity"}),
    ],
)
def test_a_group_that_makes_no_sense_is_refused(house: House, version: str, wanted: dict[str, Any]) -> None:
    assert house.call("POST", "/os-server-groups", {"server_group": wanted}, version=version).status_code == 400


def test_only_members_that_are_apart_can_be_counted_on_a_host(house: House) -> None:
    wanted = {"name": "g", "policy": "affinity", "rules": {"max_server_per_host": 2}}
    reply = house.call("POST", "/os-server-groups", {"server_group": wanted})
    assert _message(reply) == (400, "Only anti-affinity policy supports rules.")


def test_a_project_has_so_many_groups_and_a_group_so_many_servers(house: House) -> None:
    group = _group(house, "soft-anti-affinity")
    assert _order(house, group, max_count=10).status_code == 202
    house.settle()
    for server in house.call("GET", "/servers").json()["servers"][:1]:
        house.call("DELETE", f"/servers/{server['id']}")
    house.settle()
    _order(house, group)
    house.settle()
    assert len(house.call("GET", f"/os-server-groups/{group}").json()["server_group"]["members"]) == 10
    for _ in range(9):
        _group(house, "affinity")
    reply = house.call("POST", "/os-server-groups", {"server_group": {"name": "g", "policy": "affinity"}})
    assert _message(reply) == (403, "Quota exceeded, too many server groups.")
    assert house.call("GET", "/limits").json()["limits"]["absolute"]["totalServerGroupsUsed"] == 10


def test_groups_of_other_projects_are_for_administrators_who_ask(house: House) -> None:
    house.add_person("eva", "other", "member")
    group = _group(house, "affinity")
    other = {"user": "eva", "project": "other"}
    assert house.call("GET", "/os-server-groups?all_projects=1", **other).json()["server_groups"] == []
    rule = "Policy doesn't allow os_compute_api:os-server-groups:show to be performed."
    assert _message(house.call("GET", f"/os-server-groups/{group}", **other)) == (403, rule)
    assert house.call("DELETE", f"/os-server-groups/{group}", **other).status_code == 403
    wanted = {"server_group": {"name": "theirs", "policy": "affinity"}}
    assert house.call("POST", "/os-server-groups", wanted, **other).status_code == 200
    assert len(house.call("GET", "/os-server-groups").json()["server_groups"]) == 1
    everyone = house.call("GET", "/os-server-groups?all_projects=True&limit=1&offset=1").json()["server_groups"]
    assert [each["name"] for each in everyone] == ["theirs"]
