"""Resize, cold migration, confirm and revert, through the API (contract §6.6, §7.6)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.model import after
from kilonova.domain.states import PowerState
from tests.plane.house import House, lived_in
from tests.plane.moving import (
    beat,
    claims,
    compare,
    guests_by_host,
    host_of,
    ledger,
    lose,
    migrations,
    state,
    sweep,
    told,
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A cloud with three simulated hosts."""
    with lived_in(tmp_path, simulate_hosts=3) as made:
        yield made


def test_a_server_is_migrated_to_another_host_and_confirmed(house: House) -> None:
    server = house.boot()["id"]
    before = host_of(house, server)
    assert house.act(server, {"migrate": None}).status_code == 202
    assert state(house, server) == ("RESIZE", "resize_prep", 1)
    house.settle()
    assert state(house, server) == ("VERIFY_RESIZE", None, 1)
    assert host_of(house, server) != before
    assert ledger(house, server) == (
        "migrate",
        [
            ("conductor_migrate_server", "Success"),
            ("cold_migrate", "Success"),
            ("compute_prep_resize", "Success"),
            ("compute_resize_instance", "Success"),
            ("compute_finish_resize", "Success"),
        ],
    )
    assert house.act(server, {"confirmResize": None}).status_code == 204
    house.settle()
    assert state(house, server) == ("ACTIVE", None, 1)
    assert ledger(house, server) == ("confirmResize", [("compute_confirm_resize", "Success")])
    assert house.driver(before).list_guests() == {}


def test_a_migrated_server_goes_back(house: House) -> None:
    server = house.boot()["id"]
    before = host_of(house, server)
    house.act(server, {"migrate": None})
    house.settle()
    assert house.act(server, {"revertResize": None}).status_code == 202
    assert state(house, server) == ("REVERT_RESIZE", "resize_reverting", 1)
    house.settle()
    assert state(house, server) == ("ACTIVE", None, 1)
    assert host_of(house, server) == before
    assert ledger(house, server) == (
        "revertResize",
        [("compute_revert_resize", "Success"), ("compute_finish_revert_resize", "Success")],
    )


def test_a_deleted_server_that_was_resized_is_confirmed_first(house: House) -> None:
    server = house.boot()["id"]
    house.act(server, {"migrate": None})
    house.settle()
    assert house.call("DELETE", f"/servers/{server}").status_code == 204
    house.settle()
    actions = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"]
    assert [(each["action"], each["message"]) for each in actions[:2]] == [("delete", None), ("confirmResize", None)]
    assert actions[0]["request_id"] == actions[1]["request_id"]
    assert house.guests() == {}
    assert claims(house) == []


def test_a_move_that_is_reset_leaves_one_claim_and_one_guest(house: House) -> None:
    server = house.boot()["id"]
    house.act(server, {"migrate": None})
    house.settle()
    house.act(server, {"os-resetState": {"state": "active"}})
    assert claims(house) == [(host_of(house, server), 1)]
    compare(house)
    assert guests_by_host(house) == {host_of(house, server): 1}
    assert told(house.act(server, {"confirmResize": None})) == (
        f"Cannot 'confirmResize' instance {server} while it is in vm_state active"
    )


# --- resize ------------------------------------------------------------------------------------------------


def _resize(house: House, server: str, flavor: str = "1", **how: Any) -> Any:
    return house.act(server, {"resize": {"flavorRef": flavor}}, **how)


def _resized(house: House, **wanted: Any) -> str:
    server: str = house.boot(**wanted)["id"]
    assert _resize(house, server).status_code == 202
    house.settle()
    assert state(house, server) == ("VERIFY_RESIZE", None, 1)
    return server


def test_a_resized_server_has_its_new_flavor_and_claims_both_until_it_is_confirmed(house: House) -> None:
    server = house.boot()["id"]
    before = host_of(house, server)
    assert _resize(house, server, "2").status_code == 202
    house.settle()
    after = host_of(house, server)
    assert house.show(server)["flavor"]["original_name"] == "m1.small"
    assert claims(house) == sorted([(before, 1), (after, 1)])
    (migration,) = migrations(house)
    assert (migration["migration_type"], migration["status"]) == ("resize", "finished")
    assert migration["old_instance_type_id"] != migration["new_instance_type_id"]
    house.act(server, {"confirmResize": None})
    house.settle()
    assert (claims(house), guests_by_host(house)) == ([(after, 1)], {after: 1})
    assert migrations(house)[0]["status"] == "confirmed"
    used = house.call("GET", "/limits").json()["limits"]["absolute"]["totalRAMUsed"]
    assert used == 2048


def test_a_reverted_server_has_its_old_flavor_again(house: House) -> None:
    server = _resized(house)
    house.act(server, {"revertResize": None})
    house.settle()
    assert house.show(server)["flavor"]["original_name"] == "m1.nano"
    here = host_of(house, server)
    assert (claims(house), guests_by_host(house)) == ([(here, 1)], {here: 1})
    assert migrations(house)[0]["status"] == "reverted"
    assert house.console(server).count("READY boots=") == 2


@pytest.mark.parametrize("way", ["confirmResize", "revertResize"])
def test_a_stopped_server_stays_stopped_through_a_resize(house: House, way: str) -> None:
    server = house.boot()["id"]
    house.act(server, {"os-stop": None})
    house.settle()
    _resize(house, server)
    assert state(house, server) == ("RESIZE", "resize_prep", 4)
    house.settle()
    assert state(house, server) == ("VERIFY_RESIZE", None, 4)
    house.act(server, {way: None})
    house.settle()
    assert state(house, server) == ("SHUTOFF", None, 4)
    assert set(house.guests().values()) == {PowerState.SHUTDOWN}


@pytest.mark.parametrize(
    "flavor, text",
    [
        ("42", "When resizing, instances must change flavor!"),
        ("no-such", "Flavor no-such could not be found."),
    ],
)
def test_a_resize_to_what_is_no_other_flavor_is_refused(house: House, flavor: str, text: str) -> None:
    reply = _resize(house, house.boot()["id"], flavor)
    assert (reply.status_code, told(reply)) == (400, text)


def test_a_resize_that_would_shrink_the_disk_leaves_the_server_as_it_was(house: House) -> None:
    server = house.boot(flavorRef="2")["id"]
    before = host_of(house, server)
    _resize(house, server, "1")
    house.settle()
    assert state(house, server) == ("ACTIVE", None, 1)
    assert (host_of(house, server), claims(house), guests_by_host(house)) == (before, [(before, 1)], {before: 1})
    assert house.show(server)["flavor"]["original_name"] == "m1.small"


def test_a_resize_beyond_the_quota_is_refused_and_counts_those_under_way(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=3, quota={"cores": 5}) as house:
        first, second = house.boot()["id"], house.boot()["id"]
        assert _resize(house, first, "3").status_code == 202
        reply = _resize(house, second, "4")
        text = "Quota exceeded for cores: Requested 3, but already used 3 of 5 cores"
        assert (reply.status_code, told(reply)) == (403, text)
        assert state(house, second) == ("ACTIVE", None, 1)
        assert _resize(house, second, "3").status_code == 202


def test_a_resize_that_finds_no_host_says_so_in_the_ledger_and_changes_nothing(tmp_path: Path) -> None:
    with lived_in(tmp_path) as house:
        server = house.boot()["id"]
        _resize(house, server)
        house.settle()
        assert state(house, server) == ("ACTIVE", None, 1)
        assert ledger(house, server) == (
            "resize",
            [("conductor_migrate_server", "Error"), ("cold_migrate", "Error")],
        )
        assert [each["status"] for each in migrations(house)] == ["error"]
        assert "fault" not in house.show(server)


def test_a_resize_may_stay_on_its_host_where_that_is_allowed(tmp_path: Path) -> None:
    with lived_in(tmp_path, DEFAULT={"allow_resize_to_same_host": True}) as house:
        server = house.boot()["id"]
        _resize(house, server)
        house.settle()
        here = host_of(house, server)
        assert (state(house, server), claims(house)) == (("VERIFY_RESIZE", None, 1), [(here, 2)])
        house.act(server, {"revertResize": None})
        house.settle()
        assert (state(house, server), claims(house)) == (("ACTIVE", None, 1), [(here, 1)])
        _resize(house, server)
        house.settle()
        house.act(server, {"confirmResize": None})
        house.settle()
        assert (state(house, server), claims(house)) == (("ACTIVE", None, 1), [(here, 1)])
        assert house.show(server)["flavor"]["original_name"] == "m1.tiny"


def test_a_resize_confirms_itself_after_its_window(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=2, DEFAULT={"resize_confirm_window": 60}) as house:
        server = _resized(house)
        sweep(house)
        assert state(house, server)[0] == "VERIFY_RESIZE"
        house.at = after(house.at, 61)
        beat(house)
        sweep(house)
        assert state(house, server) == ("ACTIVE", None, 1)
        action = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]
        assert (action["action"], action["user_id"]) == ("confirmResize", None)


def test_a_resize_of_a_server_whose_host_is_down_is_refused(house: House) -> None:
    server = house.boot()["id"]
    lose(house, host_of(house, server))
    for action in ({"migrate": None}, {"resize": {"flavorRef": "1"}}):
        reply = house.act(server, action)
        assert (reply.status_code, told(reply)) == (409, "Service is unavailable at this time.")


def test_an_administrator_names_the_host_of_a_migration(house: House) -> None:
    server = house.boot()["id"]
    here = host_of(house, server)
    other = next(agent.host for agent in house.cloud.plane.agents if agent.host != here)
    same = house.act(server, {"migrate": {"host": here}})
    assert (same.status_code, told(same)) == (400, "Cannot migrate to the host where the server exists.")
    unknown = house.act(server, {"migrate": {"host": "nowhere"}})
    assert (unknown.status_code, told(unknown)) == (400, "Compute host nowhere could not be found.")
    assert house.act(server, {"migrate": {"host": other}}).status_code == 202
    house.settle()
    assert host_of(house, server) == other


def test_a_host_that_cannot_take_the_server_is_followed_by_another(house: House) -> None:
    server = house.boot(metadata={"sim:fail": "prepare_move"})["id"]
    house.act(server, {"migrate": None})
    house.settle()
    assert state(house, server) == ("ACTIVE", None, 1)
    assert [each["status"] for each in migrations(house)] == ["error", "error", "error"]
    tried = {each["dest_compute"] for each in migrations(house)} - {None}
    assert len(tried) == 2
    assert host_of(house, server) not in tried


# --- what goes wrong on the way ----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["migrate_out", "take_in"])
def test_a_move_that_fails_on_a_host_is_undone_and_the_server_shows_why(house: House, verb: str) -> None:
    server = house.boot(metadata={"sim:fail": f"{verb}:disk_full"})["id"]
    before = host_of(house, server)
    _resize(house, server)
    house.settle()
    shown = house.show(server)
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ERROR", None)
    assert shown["fault"]["message"] == "simulated: the host's disk is full"
    assert (shown["flavor"]["original_name"], host_of(house, server)) == ("m1.nano", before)
    assert (claims(house), guests_by_host(house)) == ([(before, 1)], {before: 1})
    assert set(house.guests().values()) == {PowerState.RUNNING}
    assert migrations(house)[0]["status"] == "error"
    assert all(result for _, result in ledger(house, server)[1])


@pytest.mark.parametrize(
    "verb, way", [("confirm_move", "confirmResize"), ("drop_moved", "revertResize"), ("revert_move", "revertResize")]
)
def test_a_confirmation_or_reversion_that_fails_leaves_the_server_in_error_with_one_claim(
    house: House, verb: str, way: str
) -> None:
    server = _resized(house, metadata={"sim:fail": verb})
    house.act(server, {way: None})
    house.settle()
    assert state(house, server)[:2] == ("ERROR", None)
    assert claims(house) == [(host_of(house, server), 1)]
    assert migrations(house)[0]["status"] == "error"
    compare(house)
    assert guests_by_host(house) == {host_of(house, server): 1}
