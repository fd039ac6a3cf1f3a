"""Two that are at the same operation: an agent and its undoing, one conductor and another."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.faults import FaultCause
from kilonova.domain.workflow import Course
from kilonova.services.door import Failure
from kilonova.store import ledger
from tests.plane.house import House, lived_in
from tests.plane.moving import guests_by_host, host_of, open_action, state


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A cloud with two simulated hosts."""
    with lived_in(tmp_path, simulate_hosts=2) as made:
        yield made


def test_an_undoing_waits_for_the_step_that_it_undoes(house: House) -> None:
    """The step was given up while it was being done; whoever does it is asked to take it back meanwhile."""
    server = house.boot()["id"]
    source = host_of(house, server)
    (agent,) = [each for each in house.cloud.plane.agents if each.host == source]
    driver: Any = house.driver(source)
    migrate_out, revert_move = driver.migrate_out, driver.revert_move
    order: list[str] = []

    def slow(uuid: str, **how: Any) -> Any:
        action = open_action(house, server)
        assert action is not None
        failure = Failure(cause=FaultCause.INTERRUPTED, message="It took too long.", detail="", traceback="")
        house.cloud.plane.conductor.workflows.give_up(action, failure)
        agent.step()
        order.append("asked to undo it")
        done = migrate_out(uuid, **how)
        order.append("done")
        return done

    def undo(uuid: str, **how: Any) -> None:
        order.append("undone")
        revert_move(uuid, **how)

    driver.migrate_out, driver.revert_move = slow, undo
    house.act(server, {"migrate": None})
    house.settle()
    assert order == ["asked to undo it", "done", "undone"]
    assert open_action(house, server) is None
    assert (state(house, server)[0], guests_by_host(house)) == ("ERROR", {source: 1})


def test_a_conductor_does_nothing_by_a_course_that_another_one_changed(house: House) -> None:
    server = house.boot()["id"]
    house.act(server, {"migrate": None})
    read = open_action(house, server)
    assert read is not None
    with house.cloud.database.transaction() as tx:
        course = replace(Course.read(read.course_json), tried=("somewhere",))
        ledger.change_course(tx.connection, read.id, course)
    workflows = house.cloud.plane.conductor.workflows
    assert workflows.step_here(read) is False
    current = open_action(house, server)
    assert current is not None
    assert workflows.step_here(current) is True
