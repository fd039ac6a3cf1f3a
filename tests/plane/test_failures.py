"""When a server cannot be built: the fault names the true cause, and the operation has its end."""

from typing import Any

from kilonova.domain.changes import Phase
from kilonova.domain.faults import FaultCause
from kilonova.services.door import Failure, PhaseReport
from kilonova.store import decisions, fleet, ledger
from tests.plane.house import House


def _ended(house: House, server_id: str) -> dict[str, Any]:
    """The one action of the server, with its events."""
    (action,) = house.call("GET", f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    path = f"/servers/{server_id}/os-instance-actions/{action['request_id']}"
    shown: dict[str, Any] = house.call("GET", path).json()["instanceAction"]
    return shown


def test_more_than_the_quota_is_refused_and_leaves_nothing(house: House) -> None:
    house.call("POST", "/flavors", {"flavor": {"name": "huge", "ram": 64, "vcpus": 300, "disk": 1, "id": "huge"}})
    quota_free = house.cloud.settings.quota.cores
    assert quota_free < 300, "or the quota would not be what refuses"
    reply = house.call(
        "POST",
        "/servers",
        {"server": {"name": "big", "flavorRef": "huge", "imageRef": house.image_id(), "networks": "none"}},
    )
    assert reply.status_code == 403
    assert reply.json()["forbidden"]["message"].startswith("Quota exceeded for cores: Requested 300")
    assert house.call("GET", "/servers").json()["servers"] == []


def test_no_host_is_a_fault_with_numbers_and_a_decision(house: House) -> None:
    with house.cloud.database.transaction() as tx:
        tx.connection.exec_driver_sql("UPDATE compute_nodes SET vcpus = 1, cpu_allocation_ratio = 1.0")
    server = house.boot(flavorRef="5", name="big")
    assert server["status"] == "ERROR"
    expected = "No valid host was found. 1 candidate, short of 7 vcpus (asked 8, free 1)"
    assert (server["fault"]["code"], server["fault"]["message"]) == (500, expected)
    action = _ended(house, server["id"])
    assert action["message"] == "Error"
    (event,) = action["events"]
    assert (event["event"], event["result"]) == ("conductor_schedule_and_build_instances", "Error")
    assert event["finish_time"] is not None
    with house.cloud.database.read() as connection:
        (decision,) = decisions.list_decisions(connection, server["id"])
    assert decision.chosen_host is None


def test_a_spawn_that_fails_is_a_fault_and_frees_what_was_claimed(house: House) -> None:
    server = house.boot(metadata={"sim:fail": "spawn"})
    assert server["status"] == "ERROR"
    assert server["OS-EXT-SRV-ATTR:host"] is None
    (event,) = _ended(house, server["id"])["events"]
    assert (event["event"], event["result"]) == ("compute__do_build_and_run_instance", "Error")
    assert event["traceback"]
    with house.cloud.database.read() as connection:
        (node,) = fleet.list_nodes(connection)
    assert (node.vcpus_used, node.memory_mb_used, node.local_gb_used) == (0, 0, 0)


def test_a_server_in_error_can_be_deleted(house: House) -> None:
    server = house.boot(metadata={"sim:fail": "spawn"})
    assert house.call("DELETE", f"/servers/{server['id']}").status_code == 204
    house.settle()
    assert house.call("GET", f"/servers/{server['id']}").status_code == 404


def test_a_failing_pause_leaves_the_server_as_it_was(house: House) -> None:
    server = house.boot(metadata={"sim:fail": "pause"})
    assert house.act(server["id"], {"pause": None}).status_code == 202
    house.settle()
    shown = house.show(server["id"])
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
    assert "fault" not in shown


def test_what_a_tool_says_of_a_hostile_image_is_cut(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"pause": None})
    conductor, (agent,) = house.cloud.plane.conductor, house.cloud.plane.agents
    (work,) = conductor.next_work(agent.host, "run", limit=1)
    said = Failure(cause=FaultCause.DRIVER_ERROR, message="refused", detail="x" * 500_000, traceback="y" * 500_000)
    conductor.report(
        PhaseReport(action_id=work.action_id, host=agent.host, run_id="run", phase=Phase.ERROR, failure=said)
    )
    with house.cloud.database.read() as connection:
        fault = ledger.latest_faults(connection, [server["id"]])[server["id"]]
    assert len(fault.details) < 10_000
    assert "characters left out" in fault.details
