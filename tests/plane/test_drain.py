"""A stop takes no new work, lets end what is in hand, says what it waits for, and hands back the rest."""

from kilonova.domain.changes import Phase
from kilonova.services.door import PhaseReport
from kilonova.store import ledger
from tests.plane.house import House
from tests.plane.test_recovery import Doorway


def test_a_plane_without_work_is_drained_at_once_and_silently(house: House) -> None:
    told: list[str] = []
    assert house.cloud.plane.drain(seconds=0, tell=told.append)
    assert told == []


def test_a_plane_that_is_drained_takes_no_more_work(house: House) -> None:
    server = house.boot()
    house.cloud.plane.drain(seconds=0, tell=lambda _: None)
    house.act(server["id"], {"pause": None})
    house.settle()
    assert house.show(server["id"])["OS-EXT-STS:task_state"] == "pausing"


def test_a_stop_says_what_it_waits_for_and_what_is_in_hand_ends(house: House) -> None:
    server = house.boot()
    (agent,) = house.cloud.plane.agents
    told: list[str] = []
    drained: list[bool] = []

    class Interrupted(Doorway):
        """Asked to stop just before the end of the operation."""

        def report(self, report: PhaseReport) -> bool:
            if report.phase is Phase.END:
                drained.append(house.cloud.plane.drain(seconds=0, tell=told.append))
            return super().report(report)

    agent.door = Interrupted(agent.door)
    house.act(server["id"], {"pause": None})
    house.settle()
    assert drained == [False]
    assert told == [f"Waiting at most 0 s for 1 operations: pause of {server['id']} on {agent.host}"]
    assert house.show(server["id"])["status"] == "PAUSED"


def test_what_does_not_end_is_handed_back(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"pause": None})
    (agent,) = house.cloud.plane.agents
    (work,) = house.cloud.plane.conductor.next_work(agent.host, agent.run_id, limit=1)
    house.cloud.plane.stop()
    with house.cloud.database.read() as connection:
        action = ledger.get_open_action(connection, work.action_id)
    assert action is not None
    assert (action.owner, action.lease_until) == (None, None)
