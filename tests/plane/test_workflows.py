"""Every step of every workflow, failed in turn, and done twice by runs of agents that die before they can say so.

All of it is generated from the table of workflows: a new one has to be asked for in ``_ASKED``, and nothing else.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.changes import Phase
from kilonova.domain.faults import FaultCause
from kilonova.domain.workflow import Where
from kilonova.domain.workflows import WORKFLOWS
from kilonova.services.books import Outcome, Page, Turn
from kilonova.services.door import Failure, Work
from kilonova.store import moves
from kilonova.store.moves import MigrationQuery
from tests.plane.house import House, lived_in
from tests.plane.moving import Run, claims, compare, guests_by_host, host_of, lose, open_action, state

_FAILED = Failure(cause=FaultCause.DRIVER_ERROR, message="It failed.", detail="", traceback="")
_MOVED = {"migrate": None}
_ASKED: Mapping[str, tuple[Any, Any]] = {
    "resize": (None, {"resize": {"flavorRef": "1"}}),
    "migrate": (None, _MOVED),
    "confirm_resize": (_MOVED, {"confirmResize": None}),
    "revert_resize": (_MOVED, {"revertResize": None}),
    "live_migrate": (None, {"os-migrateLive": {"host": None, "block_migration": "auto"}}),
    "evacuate": (None, {"evacuate": {}}),
    "shelve": (None, {"shelve": None}),
    "shelve_offload": ({"shelve": None}, {"shelveOffload": None}),
    "unshelve": ({"shelve": None}, {"unshelve": None}),
}
"""What comes before, and what then is asked for, by the operation's name."""
_OFFLOADED = "SHELVED_OFFLOADED"
_BEFORE = {"unshelve": _OFFLOADED}
_ENDS = {
    "resize": "VERIFY_RESIZE",
    "migrate": "VERIFY_RESIZE",
    "shelve": _OFFLOADED,
    "shelve_offload": _OFFLOADED,
}
_STEPS = [(name, step) for name, workflow in WORKFLOWS.items() for step in workflow.steps]
_OF_AGENTS = [(name, step.name) for name, step in _STEPS if step.where is not Where.CONDUCTOR]
_OF_CONDUCTOR = [(name, step.name) for name, step in _STEPS if step.where is Where.CONDUCTOR]


def _ways_back() -> Iterator[tuple[str, str, str]]:
    """Every step that can be undone, with each step of an agent whose failure leads back to it."""
    for name, step in _STEPS:
        for later in WORKFLOWS[name].steps[WORKFLOWS[name].index(step.name) :]:
            if step.undo and later.where is not Where.CONDUCTOR:
                yield name, step.name, later.name
            if later.is_final:  # beyond it nothing leads back
                break


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """A cloud with two simulated hosts: a step that fails finds no third one. Its servers are shelved as is needed."""
    name = getattr(request.node, "callspec").params["name"]  # noqa: B009  mypy knows no callspec
    settings = {"shelved_offload_time": -1 if name == "shelve_offload" else 0}
    with lived_in(tmp_path, simulate_hosts=2, DEFAULT=settings) as made:
        yield made


def test_every_workflow_is_tried() -> None:
    assert _ASKED.keys() == WORKFLOWS.keys()


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


@pytest.mark.parametrize("name, step", _OF_AGENTS)
@pytest.mark.parametrize("was_done", [False, True], ids=["before it did anything", "after it had done it"])
def test_an_operation_ends_well_whichever_step_fails(house: House, name: str, step: str, was_done: bool) -> None:
    server, run = _accepted(house, name), Run(house)

    def fail(host: str, work: Work) -> None:
        if was_done:
            run.do(host, work)
        run.say(host, work, Phase.ERROR, failure=_FAILED)

    run.until(server, step, fail)
    house.settle()
    _check(house, server)
    fails_to = WORKFLOWS[name].step(step).fails_to
    shown = house.show(server)
    assert (shown["status"] == "ERROR") is (fails_to is not None or name == "confirm_resize")
    if shown["status"] == "ERROR":
        assert shown["fault"]["message"] == "It failed."


@pytest.mark.parametrize("name, step", _OF_AGENTS)
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


@pytest.mark.parametrize("name, step", _OF_CONDUCTOR)
@pytest.mark.parametrize("was_done", [False, True], ids=["before it did anything", "after it had done it"])
def test_an_operation_ends_well_whichever_step_of_the_conductor_fails(
    house: House, name: str, step: str, was_done: bool
) -> None:
    workflows: Any = house.cloud.plane.conductor.workflows
    pages = vars(workflows)["_books"][name].pages
    page = pages.get(step, Page())

    def fail(turn: Turn) -> Outcome:
        done = page.done(turn) if was_done else turn.outcome
        return replace(done, failure=_FAILED)

    server = _accepted(house, name)
    pages[step] = replace(page, done=fail)
    house.settle()
    assert open_action(house, server) is None
    assert state(house, server)[1] is None
    is_lost = WORKFLOWS[name].step(step).fails_to is not None
    assert state(house, server)[0] == ("ERROR" if is_lost else _BEFORE.get(name, "ACTIVE"))
    here = house.show(server)["OS-EXT-SRV-ATTR:host"]
    assert claims(house) == ([(here, 1)] if here else [])


@pytest.mark.parametrize("name, step, failing", list(_ways_back()))
@pytest.mark.parametrize("how", ["is done twice", "fails too"])
def test_an_operation_ends_whatever_becomes_of_an_undoing(
    house: House, name: str, step: str, failing: str, how: str
) -> None:
    server, run = _accepted(house, name), Run(house)

    def fail(host: str, work: Work) -> None:
        run.do(host, work)
        run.say(host, work, Phase.ERROR, failure=_FAILED)

    def undo(host: str, work: Work) -> None:
        if how == "fails too":
            run.say(host, work, Phase.ERROR, failure=_FAILED)
        else:
            run.do(host, work)

    run.until(server, failing, fail)
    _until_undone(run, server, step, undo)
    house.settle()
    if how == "is done twice":
        _check(house, server)
        return
    assert open_action(house, server) is None
    assert state(house, server)[1] is None
    assert len(claims(house)) <= 1
    request = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]["request_id"]
    (operation,) = house.call("GET", f"//state/v1/operations/{request}").json()["operations"]
    assert (operation["result"], operation["cause"]["code"]) == ("Error", "driver_error")


def _until_undone(run: Run, server: str, step: str, then: Callable[[str, Work], None]) -> None:
    """Undo what comes after the step, and do something else where it is to be undone itself."""
    while (action := open_action(run.house, server)) is not None:
        assert action.host is not None
        (work,) = run.house.cloud.plane.conductor.next_work(action.host, "by hand", limit=1)
        assert work.leg is not None
        assert work.leg.is_undo
        run.say(action.host, work, Phase.START)
        if work.leg.step == step:
            then(action.host, work)
            return
        run.do(action.host, work)
        run.say(action.host, work, Phase.END)
    raise AssertionError(f"step {step} was never undone")


@pytest.mark.parametrize("name", WORKFLOWS)
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
