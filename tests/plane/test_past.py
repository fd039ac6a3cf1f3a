"""Time travel: what was, and what became of it."""

from typing import Any

from kilonova.domain.model import after
from kilonova.store.forgetting import forget
from kilonova.wire.times import zulu_micros
from tests.plane.house import House


def state(house: House, path: str, **who: str) -> Any:
    reply = house.call("GET", f"//state/v1{path}", **who)
    assert reply.status_code == 200, reply.text
    return reply.json()


def head(house: House) -> int:
    number: int = state(house, "/journal")["journal"]["head"]
    return number


def test_a_server_is_seen_as_it_stood_at_a_time_and_at_a_number(house: House) -> None:
    uuid = house.boot("web1")["id"]
    then, number = zulu_micros(house.at), head(house)
    house.at = after(house.at, 60)
    house.act(uuid, {"os-stop": None})
    house.settle()
    for point in (then, number):
        shown = state(house, f"/servers/{uuid}?as_of={point}")["server"]
        assert (shown["status"], shown["vm_state"], shown["display_name"]) == ("ACTIVE", "active", "web1")
        assert shown["metadata"] == {}
    now = state(house, f"/servers/{uuid}?as_of={zulu_micros(house.at)}")["server"]
    assert now["status"] == "SHUTOFF"
    early = zulu_micros(after(house.at, -9999))
    assert house.call("GET", f"//state/v1/servers/{uuid}?as_of={early}").status_code == 404
    assert house.call("GET", f"//state/v1/servers/{uuid}?as_of=yesterday").status_code == 400


def test_the_servers_of_a_time_are_listed_page_by_page(house: House) -> None:
    first = [house.boot(f"web{number}")["id"] for number in range(3)]
    number = head(house)
    house.call("DELETE", f"/servers/{first[0]}")
    house.settle()
    house.boot("later")
    page = state(house, f"/servers?as_of={number}&limit=2")
    rest = state(house, f"/servers?as_of={number}&limit=2&marker={page['next']}")
    assert [each["id"] for each in (*page["servers"], *rest["servers"])] == sorted(first)
    assert (rest["next"], rest["is_complete"]) == (None, True)
    names = {each["display_name"] for each in state(house, f"/servers?as_of={head(house)}")["servers"]}
    assert names == {"web1", "web2", "later"}


def test_the_difference_names_what_came_went_and_changed(house: House) -> None:
    gone, kept, quiet = (house.boot(name)["id"] for name in ("gone", "kept", "quiet"))
    began = head(house)
    house.call("DELETE", f"/servers/{gone}")
    house.act(kept, {"os-stop": None})
    house.settle()
    new = house.boot("new")["id"]
    passing = house.boot("passing")["id"]
    house.call("DELETE", f"/servers/{passing}")
    house.settle()
    found = {each["id"]: each for each in state(house, f"/diff?from={began}")["servers"]}
    assert {uuid: each["change"] for uuid, each in found.items()} == {
        gone: "deleted",
        kept: "changed",
        new: "created",
    }
    newest = {row["key"]: row["occurred_at"] for row in state(house, "/events?topic=instance&limit=1000")["events"]}
    told = {each["name"]: each["at"] for each in found.values()}
    assert told == {"gone": newest[gone], "kept": newest[kept], "new": newest[new]}
    assert quiet not in found
    assert found[kept]["fields"]["vm_state"] == {"before": "active", "after": "stopped"}
    assert "display_name" not in found[kept]["fields"]
    assert state(house, f"/diff?from={head(house)}")["servers"] == []
    assert house.call("GET", f"//state/v1/diff?from={head(house)}&to=1").status_code == 400


def test_a_tenant_travels_among_its_own_servers_and_sees_no_hosts(house: House) -> None:
    house.add_person("mara", "theirs", "member")
    ours = house.boot("ours")["id"]
    theirs = house.boot("theirs", user="mara", project="theirs")["id"]
    who = {"user": "mara", "project": "theirs"}
    number = head(house)
    (seen,) = state(house, f"/servers?as_of={number}", **who)["servers"]
    assert seen["id"] == theirs
    assert {"host", "node"} & seen.keys() == set()
    assert "host" in state(house, f"/servers/{theirs}?as_of={number}")["server"]
    assert house.call("GET", f"//state/v1/servers/{ours}?as_of={number}", **who).status_code == 404
    (change,) = state(house, "/diff?from=0", **who)["servers"]
    assert (change["id"], change["change"]) == (theirs, "created")
    assert house.call("GET", "//state/v1/journal", **who).status_code == 403


def test_a_past_that_was_forgotten_in_part_says_so(house: House) -> None:
    house.boot()
    number = head(house)
    house.boot("second")
    assert forget(house.cloud.database, before=None) > 0
    facts = state(house, "/journal")["journal"]
    assert facts["forgotten_up_to"] > number
    assert facts["rows"] == len(state(house, "/events?limit=1000")["events"])
    assert not state(house, f"/servers?as_of={number}")["is_complete"]
    assert state(house, f"/servers?as_of={head(house)}")["is_complete"]
    assert not state(house, f"/diff?from={number}")["is_complete"]
