"""When a server cannot be built: the fault names the true cause, and the operation has its end."""

from typing import Any

from kilonova.store import decisions, fleet
from tests.plane.house import House


def _ended(house: House, server_id: str) -> dict[str, Any]:
    """The one action of the server, with its events."""
    (action,) = house.call("GET", f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    path = f"/servers/{server_id}/os-instance-actions/{action['request_id']}"
    shown: dict[str, Any] = house.call("GET", path).json()["instanceAction"]
    return shown


def test_a_server_that_fits_nowhere_says_what_is_short(house: House) -> None:
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
    assert server["fault"]["message"]
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
