"""Shelve, shelve offload and unshelve, through the API (contract §6.6.2)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.changes import Phase
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import after
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import GuestSpec
from kilonova.services.door import Failure, Work
from kilonova.store import fleet
from tests.plane.house import House, lived_in
from tests.plane.ledger import actions_of, courses_of, ledger_of, states_of, told
from tests.plane.moving import Run, beat, compare, lose, sweep


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[House]:
    """Three hosts, named h-1 to h-3."""
    with lived_in(tmp_path / "three", simulate_hosts=3, DEFAULT={"host": "h"}) as house:
        yield house


def _lasting(path: Path, seconds: int) -> Any:
    """A house in which shelved servers stay on their host for a while."""
    return lived_in(path / "lasting", DEFAULT={"shelved_offload_time": seconds})


def _did(house: House, server: str, action: dict[str, Any], **how: Any) -> None:
    reply = house.act(server, action, **how)
    assert reply.status_code == 202, reply.text
    house.settle()


def _state(house: House, server: str) -> tuple[str, str | None, int]:
    shown = house.show(server)
    return shown["status"], shown["OS-EXT-STS:task_state"], shown["OS-EXT-STS:power_state"]


def _images(house: House) -> list[str]:
    listed = house.call("GET", "//image/v2/images?limit=100").json()["images"]
    return [image["name"] for image in listed if image["name"] != "tiny"]


def _claimed(house: House) -> int:
    with house.cloud.database.read() as connection:
        nodes = fleet.list_nodes(connection)
        for node in nodes:
            claimed = fleet.claims_of(connection, node.uuid)
            assert (claimed.vcpus, claimed.memory_mb) == (node.vcpus_used, node.memory_mb_used)
        return sum(fleet.claims_of(connection, node.uuid).instances for node in nodes)


def test_a_shelved_server_leaves_its_host_and_keeps_its_disk_as_an_image(house: House) -> None:
    server = house.boot()["id"]
    assert house.act(server, {"shelve": None}).status_code == 202
    assert _state(house, server) == ("ACTIVE", "shelving", 1)
    assert _images(house) == ["web1-shelved"]
    house.settle()
    shown = house.show(server)
    assert _state(house, server) == ("SHELVED_OFFLOADED", None, 4)
    assert (shown["OS-EXT-SRV-ATTR:host"], shown["hostId"], shown["host_status"]) == (None, "", "")
    assert house.guests() == {}
    assert _claimed(house) == 0
    assert ledger_of(house, server) == ("shelve", [("compute_shelve_instance", "Success")])
    assert courses_of(house, server, "shelve") == [
        ("shelving", "active"),
        ("shelving_image_pending_upload", "active"),
        ("shelving_image_uploading", "active"),
        ("shelving_offloading", "shelved"),
        (None, "shelved_offloaded"),
    ]


def test_an_unshelved_server_is_placed_anew_and_its_image_is_gone(house: House) -> None:
    booted = house.boot(networks="auto")
    server = booted["id"]
    _did(house, server, {"shelve": None})
    assert house.act(server, {"unshelve": None}).status_code == 202
    assert _state(house, server) == ("SHELVED_OFFLOADED", "unshelving", 4)
    house.settle()
    assert _state(house, server) == ("ACTIVE", None, 1)
    shown = house.show(server)
    assert shown["OS-EXT-SRV-ATTR:host"] == booted["OS-EXT-SRV-ATTR:host"]
    assert (shown["addresses"], shown["image"]) == (booted["addresses"], booted["image"])
    assert shown["OS-SRV-USG:launched_at"] > booted["OS-SRV-USG:launched_at"]
    assert house.guests() == {server: PowerState.RUNNING}
    assert _claimed(house) == 1
    assert _images(house) == []
    events = ["get_image_info", "schedule_instances", "compute_unshelve_instance"]
    assert ledger_of(house, server) == ("unshelve", [(event, "Success") for event in events])
    assert states_of(house, server, "unshelve") == ["unshelving", "spawning", None]


@pytest.mark.parametrize("verb", ["os-stop", "pause", "suspend"])
def test_a_server_that_does_not_run_can_be_shelved_and_runs_when_it_is_unshelved(house: House, verb: str) -> None:
    server = house.boot()["id"]
    _did(house, server, {verb: None})
    _did(house, server, {"shelve": None})
    assert _state(house, server)[0] == "SHELVED_OFFLOADED"
    _did(house, server, {"unshelve": None})
    assert _state(house, server) == ("ACTIVE", None, 1)


def test_a_server_that_was_offloaded_is_not_started_but_deleted_without_a_host(house: House) -> None:
    server = house.boot()["id"]
    _did(house, server, {"shelve": None})
    reply = house.act(server, {"os-start": None})
    assert (reply.status_code, told(reply)) == (409, f"Instance {server} is not ready")
    assert house.call("DELETE", f"/servers/{server}").status_code == 204
    assert house.call("GET", f"/servers/{server}").status_code == 404
    assert _images(house) == []


def test_only_a_shelved_server_is_unshelved_or_offloaded(house: House) -> None:
    server = house.boot()["id"]
    for key in ("unshelve", "shelveOffload"):
        reply = house.act(server, {key: None})
        assert (reply.status_code, told(reply)) == (
            409,
            f"Cannot '{key}' instance {server} while it is in vm_state active",
        )


# --- a while on the host -----------------------------------------------------------------------------------


def test_a_shelved_server_may_stay_on_its_host_and_be_unshelved_there(tmp_path: Path) -> None:
    with _lasting(tmp_path, -1) as house:
        server = house.boot()["id"]
        _did(house, server, {"shelve": None})
        assert _state(house, server) == ("SHELVED", None, 4)
        assert house.guests() == {server: PowerState.SHUTDOWN}
        assert _claimed(house) == 1
        house.at = after(house.at, 10_000_000)
        house.tidy()
        house.settle()
        assert _state(house, server)[0] == "SHELVED"


def test_a_server_that_stayed_goes_on_from_its_own_disk(tmp_path: Path) -> None:
    with _lasting(tmp_path, -1) as house:
        server = house.boot()["id"]
        _did(house, server, {"shelve": None})
        _did(house, server, {"unshelve": None})
        assert _state(house, server) == ("ACTIVE", None, 1)
        assert "READY boots=2" in house.console(server)
        assert _claimed(house) == 1
        assert _images(house) == []


def test_a_server_that_stayed_is_offloaded_by_an_administrator(tmp_path: Path) -> None:
    with _lasting(tmp_path, -1) as house:
        house.add_person("member", "demo", "member")
        server = house.boot(user="member")["id"]
        _did(house, server, {"shelve": None}, user="member")
        assert house.act(server, {"shelveOffload": None}, user="member").status_code == 403
        _did(house, server, {"shelveOffload": None})
        assert _state(house, server) == ("SHELVED_OFFLOADED", None, 4)
        assert ledger_of(house, server) == ("shelveOffload", [("compute_shelve_offload_instance", "Success")])
        assert (house.guests(), _claimed(house)) == ({}, 0)
        _did(house, server, {"unshelve": None}, user="member")
        assert _state(house, server) == ("ACTIVE", None, 1)


def test_a_server_that_stayed_long_enough_is_offloaded_by_itself(tmp_path: Path) -> None:
    with _lasting(tmp_path, 600) as house:
        server = house.boot()["id"]
        _did(house, server, {"shelve": None})
        house.at = after(house.at, 500)
        house.tidy()
        house.settle()
        assert _state(house, server)[0] == "SHELVED"
        house.at = after(house.at, 101)
        house.tidy()
        house.settle()
        assert _state(house, server)[0] == "SHELVED_OFFLOADED"
        assert actions_of(house, server) == ["shelveOffload", "shelve", "create"]


def test_a_zone_is_for_a_server_that_has_left_its_host(tmp_path: Path) -> None:
    with _lasting(tmp_path, -1) as house:
        server = house.boot()["id"]
        _did(house, server, {"shelve": None})
        reply = house.act(server, {"unshelve": {"availability_zone": "nova"}})
        text = (
            f'Specifying an availability zone or a host when unshelving server "{server}" with status "shelved" '
            "is not supported. The server status must be SHELVED_OFFLOADED."
        )
        assert (reply.status_code, told(reply)) == (409, text)


# --- zones and hosts ---------------------------------------------------------------------------------------


def _zone(house: House, name: str, host: str) -> None:
    body = {"aggregate": {"name": name, "availability_zone": name}}
    aggregate = house.call("POST", "/os-aggregates", body).json()["aggregate"]["id"]
    house.call("POST", f"/os-aggregates/{aggregate}/action", {"add_host": {"host": host}})


def _offloaded(house: House, **wanted: Any) -> str:
    server: str = house.boot(**wanted)["id"]
    _did(house, server, {"shelve": None})
    return server


def test_a_server_is_unshelved_to_a_zone_and_stays_pinned_to_it(hosts: House) -> None:
    _zone(hosts, "west", "h-3")
    server = _offloaded(hosts)
    _did(hosts, server, {"unshelve": {"availability_zone": "west"}}, version="2.77")
    shown = hosts.show(server)
    assert (shown["OS-EXT-SRV-ATTR:host"], shown["pinned_availability_zone"]) == ("h-3", "west")


def test_a_server_is_unshelved_to_a_host_and_out_of_its_zone(hosts: House) -> None:
    _zone(hosts, "west", "h-3")
    server = _offloaded(hosts, availability_zone="west")
    refused = hosts.act(server, {"unshelve": {"host": "h-2"}})
    text = 'Host "h-2" is not in the availability zone "west".'
    assert (refused.status_code, told(refused)) == (409, text)
    _did(hosts, server, {"unshelve": {"host": "h-2", "availability_zone": None}})
    shown = hosts.show(server)
    assert (shown["OS-EXT-SRV-ATTR:host"], shown["pinned_availability_zone"]) == ("h-2", None)


@pytest.mark.parametrize(
    "wanted, text",
    [
        ({"availability_zone": "nowhere"}, "The requested availability zone is not available"),
        ({"host": "nobody"}, "Compute host nobody could not be found."),
    ],
)
def test_a_server_is_unshelved_only_to_what_is_there(hosts: House, wanted: dict[str, str], text: str) -> None:
    server = _offloaded(hosts)
    reply = hosts.act(server, {"unshelve": wanted})
    assert (reply.status_code, told(reply)) == (400, text)
    assert _state(hosts, server) == ("SHELVED_OFFLOADED", None, 4)


def test_only_administrators_choose_the_host(hosts: House) -> None:
    hosts.add_person("member", "demo", "member")
    server = _offloaded(hosts)
    assert hosts.act(server, {"unshelve": {"host": "h-2"}}, user="member").status_code == 403
    assert hosts.act(server, {"unshelve": {"availability_zone": "nova"}}, user="member").status_code == 202


@pytest.mark.parametrize(
    "version, body, code",
    [
        ("2.76", {"availability_zone": "nowhere"}, 202),
        ("2.77", {}, 400),
        ("2.77", {"availability_zone": None}, 400),
        ("2.77", {"host": "h-1"}, 400),
        ("2.90", {"host": "h-1"}, 400),
        ("2.91", {}, 202),
        ("2.91", {"availability_zone": None}, 202),
        ("2.91", None, 202),
    ],
)
def test_what_may_be_asked_for_grows_with_the_version(hosts: House, version: str, body: Any, code: int) -> None:
    server = _offloaded(hosts)
    assert hosts.act(server, {"unshelve": body}, version=version).status_code == code


# --- what goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [None, "pause", "os-stop"])
def test_a_server_that_cannot_be_shelved_is_as_it_was(house: House, before: str | None) -> None:
    server = house.boot(metadata={"sim:fail": "snapshot:disk_full"})["id"]
    if before:
        _did(house, server, {before: None})
    was = _state(house, server)
    _did(house, server, {"shelve": None})
    assert _state(house, server) == was
    assert house.guests() == {server: PowerState(was[2])}
    assert ledger_of(house, server) == ("shelve", [("compute_shelve_instance", "Error")])
    assert (_images(house), _claimed(house)) == ([], 1)


def test_a_server_that_cannot_leave_its_host_stays_shelved_there(house: House) -> None:
    server = house.boot(metadata={"sim:fail": "destroy"})["id"]
    _did(house, server, {"shelve": None})
    assert _state(house, server) == ("SHELVED", None, 4)
    assert (_images(house), _claimed(house)) == (["web1-shelved"], 1)
    _did(house, server, {"shelveOffload": None})
    assert _state(house, server)[0] == "SHELVED_OFFLOADED"
    _did(house, server, {"unshelve": None})
    assert _state(house, server)[0] == "ACTIVE"


def test_a_server_for_which_no_host_has_room_stays_offloaded(hosts: House) -> None:
    server = _offloaded(hosts)
    for service in hosts.call("GET", "/os-services?binary=nova-compute").json()["services"]:
        hosts.call("PUT", f"/os-services/{service['id']}", {"status": "disabled"})
    _did(hosts, server, {"unshelve": None})
    assert _state(hosts, server) == ("SHELVED_OFFLOADED", None, 4)
    assert ledger_of(hosts, server) == ("unshelve", [("get_image_info", "Success"), ("schedule_instances", "Error")])
    assert (_images(hosts), _claimed(hosts)) == (["web1-shelved"], 0)


def test_a_server_that_cannot_be_made_anew_stays_offloaded_and_can_be_tried_again(house: House) -> None:
    server = _offloaded(house)
    house.call("POST", f"/servers/{server}/metadata", {"metadata": {}})
    unlucky = house.boot("unlucky")["id"]
    with house.failing("spawn"):
        _did(house, server, {"unshelve": None})
    assert _state(house, server) == ("SHELVED_OFFLOADED", None, 4)
    assert ledger_of(house, server)[1][-1] == ("compute_unshelve_instance", "Error")
    assert set(house.guests()) == {unlucky}
    assert _claimed(house) == 1
    assert _images(house) == ["web1-shelved"]
    _did(house, server, {"unshelve": None})
    assert _state(house, server) == ("ACTIVE", None, 1)


def test_a_server_whose_new_host_is_lost_before_it_could_say_so_still_has_its_image(hosts: House) -> None:
    server, run = _offloaded(hosts), Run(hosts)
    assert hosts.act(server, {"unshelve": None}).status_code == 202
    left: list[tuple[str, Work]] = []

    def die(host: str, work: Work) -> None:
        run.do(host, work)
        left.append((host, work))

    run.until(server, "spawn", die)
    ((lost, _),) = left
    lose(hosts, lost)
    hosts.at = after(hosts.at, 100)
    beat(hosts)
    sweep(hosts)
    sweep(hosts)
    assert _state(hosts, server) == ("SHELVED_OFFLOADED", None, 4)
    assert _images(hosts) == ["web1-shelved"]
    _did(hosts, server, {"unshelve": None})
    assert _state(hosts, server) == ("ACTIVE", None, 1)
    assert hosts.show(server)["OS-EXT-SRV-ATTR:host"] != lost
    assert (_images(hosts), _claimed(hosts)) == ([], 1)


def test_a_guest_that_went_with_an_offload_that_never_ended_is_made_of_what_was_kept(tmp_path: Path) -> None:
    with _lasting(tmp_path, 10**6) as house, pytest.MonkeyPatch.context() as patch:
        server, run = house.boot()["id"], Run(house)
        _did(house, server, {"shelve": None})
        house.act(server, {"shelveOffload": None})
        run.until(server, "offload", run.do)
        house.at = after(house.at, 3600)
        beat(house)
        sweep(house)
        assert (_state(house, server)[0], house.guests()) == ("SHELVED", {})
        images = house.call("GET", "//image/v2/images").json()["images"]
        made: list[str | None] = []
        driver = house.driver()
        spawn = driver.spawn

        def noted(guest: GuestSpec) -> None:
            made.append(guest.image.image_id if guest.image else None)
            spawn(guest)

        patch.setattr(driver, "spawn", noted)
        _did(house, server, {"unshelve": None})
        assert _state(house, server) == ("ACTIVE", None, 1)
        assert made == [image["id"] for image in images if image["name"] != "tiny"]


def test_a_guest_that_comes_too_late_is_removed_while_its_server_is_shelved(hosts: House) -> None:
    server, run = _offloaded(hosts), Run(hosts)
    hosts.act(server, {"unshelve": None})
    left: list[tuple[str, Work]] = []
    run.until(server, "spawn", lambda host, work: left.append((host, work)))
    ((host, work),) = left
    failure = Failure(cause=FaultCause.DRIVER_ERROR, message="It failed.", detail="", traceback="")
    run.say(host, work, Phase.ERROR, failure=failure)
    hosts.settle()
    run.do(host, work)
    assert (_state(hosts, server)[0], len(hosts.guests())) == ("SHELVED_OFFLOADED", 1)
    compare(hosts)
    assert hosts.guests() == {}


def test_a_server_is_deleted_while_it_is_being_shelved(house: House) -> None:
    server = house.boot()["id"]
    house.act(server, {"shelve": None})
    assert house.call("DELETE", f"/servers/{server}").status_code == 204
    house.settle()
    house.tidy()
    assert house.call("GET", f"/servers/{server}").status_code == 404
    assert (house.guests(), _claimed(house)) == ({}, 0)
