"""Live migration and evacuation, through the API (contract §6.6, §7.6, §11.4)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.domain.changes import Phase
from kilonova.services.door import PhaseReport, Work
from tests.plane.house import House, lived_in
from tests.plane.moving import claims, compare, guests_by_host, host_of, ledger, lose, migrations, state, told

LIVE = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
EVENTS = [
    "conductor_live_migrate_instance",
    "compute_check_can_live_migrate_destination",
    "compute_check_can_live_migrate_source",
    "compute_live_migration",
    "compute_pre_live_migration",
    "compute_post_live_migration_at_destination",
]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A cloud with three simulated hosts."""
    with lived_in(tmp_path, simulate_hosts=3) as made:
        yield made


def test_a_running_server_moves_without_a_reboot(house: House) -> None:
    server = house.boot()["id"]
    before = host_of(house, server)
    assert house.act(server, LIVE).status_code == 202
    assert state(house, server) == ("MIGRATING", "migrating", 1)
    house.settle()
    assert state(house, server) == ("ACTIVE", None, 1)
    after = host_of(house, server)
    assert after != before
    assert ledger(house, server) == ("live-migration", [(event, "Success") for event in EVENTS])
    assert house.console(server).count("READY boots=") == 1
    assert (claims(house), guests_by_host(house)) == ([(after, 1)], {after: 1})
    (migration,) = migrations(house)
    assert (migration["migration_type"], migration["status"]) == ("live-migration", "completed")
    assert (migration["source_compute"], migration["dest_compute"]) == (before, after)
    assert (migration["old_instance_type_id"], migration["new_instance_type_id"]) == (None, None)


def test_a_paused_server_stays_paused_on_its_new_host(house: House) -> None:
    server = house.boot()["id"]
    house.act(server, {"pause": None})
    house.settle()
    house.act(server, LIVE)
    house.settle()
    assert state(house, server) == ("PAUSED", None, 3)
    compare(house)
    assert state(house, server) == ("PAUSED", None, 3)


@pytest.mark.parametrize(
    "verb, status, failed",
    [
        ("check_live_destination", "error", "compute_check_can_live_migrate_destination"),
        ("check_live_source", "error", "compute_check_can_live_migrate_source"),
        ("prepare_live", "error", "compute_pre_live_migration"),
        ("live_migrate", "failed", "compute_live_migration"),
    ],
)
def test_a_server_that_cannot_move_stays_as_it_was(house: House, verb: str, status: str, failed: str) -> None:
    server = house.boot(metadata={"sim:fail": verb})["id"]
    before = host_of(house, server)
    house.act(server, LIVE)
    house.settle()
    assert state(house, server) == ("ACTIVE", None, 1)
    assert (claims(house), guests_by_host(house)) == ([(before, 1)], {before: 1})
    assert migrations(house)[0]["status"] == status
    assert (failed, "Error") in ledger(house, server)[1]
    assert all(result for _, result in ledger(house, server)[1])


def _hand(house: House, host: str, server: str) -> Work:
    """What the agent of the host has to do next, taken by a hand-made run of it."""
    (work,) = house.cloud.plane.conductor.next_work(host, f"run of {host}", limit=1)
    assert work.instance.uuid == server
    return work


def _say(house: House, host: str, work: Work, phase: Phase) -> None:
    report = PhaseReport(action_id=work.action_id, host=host, run_id=f"run of {host}", phase=phase, leg=work.leg)
    assert house.cloud.plane.conductor.report(report)


def _until_it_runs(house: House, server: str) -> tuple[str, Work]:
    """Bring a live migration to where its memory is under way, by hand."""
    source = host_of(house, server)
    house.act(server, LIVE)
    house.cloud.plane.conductor.step()
    destination = migrations(house)[0]["dest_compute"]
    for host in (destination, source, destination):
        work = _hand(house, host, server)
        for phase in (Phase.START, Phase.END):
            _say(house, host, work, phase)
    work = _hand(house, source, server)
    _say(house, source, work, Phase.START)
    return source, work


def test_a_live_migration_is_shown_while_it_runs(house: House) -> None:
    server = house.boot()["id"]
    _until_it_runs(house, server)
    (listed,) = house.call("GET", f"/servers/{server}/migrations").json()["migrations"]
    shown = house.call("GET", f"/servers/{server}/migrations/{listed['id']}").json()["migration"]
    assert (shown["status"], shown["server_uuid"]) == ("running", server)
    (link, _) = migrations(house)[0]["links"]
    assert link["href"].endswith(f"/servers/{server}/migrations/{listed['id']}")


def test_a_live_migration_that_is_over_is_not_shown_with_its_server(house: House) -> None:
    server = house.boot()["id"]
    house.act(server, LIVE)
    house.settle()
    number = migrations(house)[0]["id"]
    assert house.call("GET", f"/servers/{server}/migrations").json() == {"migrations": []}
    reply = house.call("GET", f"/servers/{server}/migrations/{number}")
    assert (reply.status_code, told(reply)) == (
        404,
        f"Live migration {number} for server {server} is not in progress.",
    )


def test_a_live_migration_is_called_off_before_its_memory_moves(house: House) -> None:
    server = house.boot()["id"]
    before = host_of(house, server)
    house.act(server, LIVE)
    house.cloud.plane.conductor.step()
    number = migrations(house)[0]["id"]
    refused = house.call("DELETE", f"/servers/{server}/migrations/{number}", version="2.64")
    assert refused.status_code == 400
    assert house.call("DELETE", f"/servers/{server}/migrations/{number}").status_code == 202
    house.settle()
    assert state(house, server) == ("ACTIVE", None, 1)
    assert (migrations(house)[0]["status"], host_of(house, server)) == ("cancelled", before)
    assert (claims(house), guests_by_host(house)) == ([(before, 1)], {before: 1})
    assert ledger(house, server) == ("live_migration_cancel", [("compute_live_migration_abort", "Success")])


def test_a_migration_is_not_called_off_of_a_server_that_does_not_move(house: House) -> None:
    server = house.boot()["id"]
    reply = house.call("DELETE", f"/servers/{server}/migrations/1")
    text = f"Cannot 'abort live migration' instance {server} while it is in task_state None"
    assert (reply.status_code, told(reply)) == (409, text)


def test_a_live_migration_is_forced_to_its_end(house: House) -> None:
    server = house.boot()["id"]
    source, _ = _until_it_runs(house, server)
    number = migrations(house)[0]["id"]
    path = f"/servers/{server}/migrations/{number}/action"
    assert house.call("POST", path, {"force_complete": None}).status_code == 202
    assert state(house, server) == ("MIGRATING", "migrating", 1)
    forcing = _hand(house, source, server)
    assert forcing.verb == "force_complete_live_migration"
    for phase in (Phase.START, Phase.END):
        _say(house, source, forcing, phase)
    assert state(house, server) == ("MIGRATING", "migrating", 1)
    assert ledger(house, server) == (
        "live_migration_force_complete",
        [("compute_live_migration_force_complete", "Success")],
    )


# --- evacuation --------------------------------------------------------------------------------------------


def test_a_server_of_a_lost_host_is_made_anew_on_another(house: House) -> None:
    server = house.boot()["id"]
    lost = host_of(house, server)
    refused = house.act(server, {"evacuate": {}})
    assert (refused.status_code, told(refused)) == (400, f"Compute service of {lost} is still in use.")
    lose(house, lost)
    reply = house.act(server, {"evacuate": {"adminPass": "x"}}, version="2.13")
    assert reply.status_code == 400, "onSharedStorage is required up to 2.13"
    assert house.act(server, {"evacuate": {}}, version="2.94").status_code == 200
    assert state(house, server) == ("REBUILD", "rebuilding", 1)
    house.settle()
    assert state(house, server) == ("ACTIVE", None, 1)
    now = host_of(house, server)
    assert now != lost
    assert ledger(house, server) == (
        "evacuate",
        [("rebuild_server", "Success"), ("compute_rebuild_instance", "Success")],
    )
    assert claims(house) == [(now, 1)]
    assert migrations(house)[0]["status"] == "done"
    assert guests_by_host(house) == {lost: 1, now: 1}
    raised = {"host": lost, "binary": "nova-compute", "forced_down": False}
    assert house.call("PUT", "/os-services/force-down", raised, version="2.11").status_code == 400
    compare(house)
    assert house.call("PUT", "/os-services/force-down", raised, version="2.11").status_code == 200
    assert guests_by_host(house) == {now: 1}
    assert migrations(house)[0]["status"] == "completed"


def test_a_host_that_lost_its_guests_may_be_up_again_once_it_has_said_so(house: House) -> None:
    server = house.boot()["id"]
    lost = host_of(house, server)
    lose(house, lost)
    house.act(server, {"evacuate": {}})
    house.settle()
    house.driver(lost).destroy(server)  # as a new disk does
    compare(house)
    assert migrations(house)[0]["status"] == "completed"
    lose(house, lost, is_down=False)


def test_an_evacuated_server_stays_off_from_2_95_on(house: House) -> None:
    server = house.boot()["id"]
    lose(house, host_of(house, server))
    assert house.act(server, {"evacuate": {}}).status_code == 200
    house.settle()
    assert state(house, server) == ("SHUTOFF", None, 4)
    compare(house)
    assert state(house, server) == ("SHUTOFF", None, 4)


def test_an_evacuation_that_finds_no_host_puts_the_server_into_error(house: House) -> None:
    server = house.boot()["id"]
    for agent in house.cloud.plane.agents:
        lose(house, agent.host)
    before = host_of(house, server)
    house.act(server, {"evacuate": {}})
    house.settle()
    shown = house.show(server)
    assert (shown["status"], shown["OS-EXT-STS:task_state"], host_of(house, server)) == ("ERROR", None, before)
    assert shown["fault"]["message"].startswith("No valid host was found. 3 candidates")
    assert (migrations(house)[0]["status"], claims(house)) == ("error", [(before, 1)])


@pytest.mark.parametrize("number", ["9223372036854775808", "9" * 30, "9" * 5000, "x", "-1"])
def test_no_number_of_a_migration_is_too_large_to_be_unknown(house: House, number: str) -> None:
    server = house.boot()["id"]
    reply = house.call("GET", f"/servers/{server}/migrations/{number}")
    assert (reply.status_code, told(reply)) == (
        404,
        f"In-progress live migration {number} is not found for server {server}.",
    )
