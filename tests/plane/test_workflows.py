"""Every step of every workflow, failed in turn, and done twice by runs of agents that die before they can say so."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.changes import Phase
from kilonova.domain.faults import FaultCause
from kilonova.domain.workflow import Where
from kilonova.domain.workflows import WORKFLOWS
from kilonova.services.door import Failure, Work
from kilonova.store import moves
from kilonova.store.moves import MigrationQuery
from tests.plane.house import House, lived_in
from tests.plane.moving import Run, claims, compare, guests_by_host, host_of, lose, open_action, state

_MOVED = {"migrate": None}
_ASKED: Mapping[str, tuple[Any, Any]] = {
    "resize": (None, {"resize": {"flavorRef": "1"}}),
    "migrate": (None, _MOVED),
    "confirm_resize": (_MOVED, {"confirmResize": None}),
    "revert_resize": (_MOVED, {"revertResize": None}),
    "live_migrate": (None, {"os-migrateLive": {"host": None, "block_migration": "auto"}}),
    "evacuate": (None, {"evacuate": {}}),
    "shelve": (None, {"shelve": None}),
    "unshelve": ({"shelve": None}, {"unshelve": None}),
}
"""What comes before, and what then is asked for, by the operation's name."""
_ENDS = {"resize": "VERIFY_RESIZE", "migrate": "VERIFY_RESIZE", "shelve": "SHELVED_OFFLOADED"}
_MOVES = [name for name in WORKFLOWS if name in _ASKED]
_STEPS = [(name, step.name) for name in _MOVES for step in WORKFLOWS[name].steps if step.where is not Where.CONDUCTOR]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A cloud with two simulated hosts: a step that fails finds no third one."""
    with lived_in(tmp_path, simulate_hosts=2) as made:
        yield made


def _accepted(house: House, name: str) -> str:
    """A server of which the operation was accepted, and nothing done."""
    before, action = _ASKED[name]
    server: str = house.boot()["id"]
    if before is not None:
        house.act(server, before)
        house.settle()
    if name == "evacuate":
        lose(house, host_of(house, server))
    reply = house.act(server, action, version="2.90")
    assert reply.status_code < 300, reply.text
    return server


def _check(house: House, server: str) -> None:
    """What holds however an operation ended: nothing is open, promised or left behind that should not be."""
    path = f"/servers/{server}/os-instance-actions"
    assert open_action(house, server) is None
    request = house.call("GET", path).json()["instanceActions"][0]["request_id"]
    events = house.call("GET", f"{path}/{request}").json()["instanceAction"]["events"]
    assert all(event["result"] for event in events)
    status, task, _ = state(house, server)
    assert task is None
    compare(house)
    here = host_of(house, server)
    if status == "VERIFY_RESIZE":
        assert (len(claims(house)), len(guests_by_host(house))) == (2, 2)
    elif status == "SHELVED_OFFLOADED":
        assert (claims(house), guests_by_host(house)) == ([], {})
    elif status == "SHELVED":  # its guest may have gone before the offload failed
        assert claims(house) == [(here, 1)]
        assert set(guests_by_host(house)) <= {here}
    else:
        assert (claims(house), guests_by_host(house)) == ([(here, 1)], {here: 1})
        with house.cloud.database.read() as connection:
            found = moves.list_migrations(connection, MigrationQuery(instance_uuid=server))
        assert {each.status for each in found} <= {"confirmed", "reverted", "completed", "failed", "error"}


@pytest.mark.parametrize("name, step", _STEPS)
@pytest.mark.parametrize("was_done", [False, True], ids=["before it did anything", "after it had done it"])
def test_an_operation_ends_well_whichever_step_fails(house: House, name: str, step: str, was_done: bool) -> None:
    server, run = _accepted(house, name), Run(house)

    def fail(host: str, work: Work) -> None:
        if was_done:
            run.do(host, work)
        said = Failure(cause=FaultCause.DRIVER_ERROR, message="It failed.", detail="", traceback="")
        run.say(host, work, Phase.ERROR, failure=said)

    run.until(server, step, fail)
    house.settle()
    _check(house, server)
    fails_to = WORKFLOWS[name].step(step).fails_to
    shown = house.show(server)
    assert (shown["status"] == "ERROR") is (fails_to is not None or name == "confirm_resize")
    if shown["status"] == "ERROR":
        assert shown["fault"]["message"] == "It failed."


@pytest.mark.parametrize("name, step", _STEPS)
def test_a_step_is_done_again_by_the_next_run_and_the_dead_one_is_not_heard(house: House, name: str, step: str) -> None:
    server, run = _accepted(house, name), Run(house)
    left: list[tuple[str, Work]] = []

    def die(host: str, work: Work) -> None:
        run.do(host, work)
        left.append((host, work))

    run.until(server, step, die)
    house.settle()
    _check(house, server)
    assert state(house, server)[0] == _ENDS.get(name, "ACTIVE")
    ((host, work),) = left
    assert run.say(host, work, Phase.END) is False


@pytest.mark.parametrize("name", _MOVES)
def test_a_step_of_the_conductor_is_done_once_however_often_it_is_tried(house: House, name: str) -> None:
    server = _accepted(house, name)
    action = open_action(house, server)
    assert action is not None
    if action.host is None:
        workflows = house.cloud.plane.conductor.workflows
        assert workflows.step_here(action) is True
        assert workflows.step_here(action) is False
    house.settle()
    _check(house, server)
