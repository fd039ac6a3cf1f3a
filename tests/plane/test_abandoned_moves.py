"""Moves that an administrator ends by a reset of the server's state, at any step: nothing of the server is lost."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.changes import Phase
from kilonova.domain.workflow import Where
from kilonova.domain.workflows import WORKFLOWS
from kilonova.services.door import Work
from tests.plane.house import House, lived_in
from tests.plane.moving import Run, claims, compare, guests_by_host, host_of, migrations, open_action, state

_MOVED = {"migrate": None}
_ASKED: Mapping[str, tuple[Any, Any]] = {
    "resize": (None, {"resize": {"flavorRef": "1"}}),
    "migrate": (None, _MOVED),
    "confirm_resize": (_MOVED, {"confirmResize": None}),
    "revert_resize": (_MOVED, {"revertResize": None}),
    "live_migrate": (None, {"os-migrateLive": {"host": None, "block_migration": "auto"}}),
}
_UNBORN = ("live_migrate", "arrive", False)
"""A simulated guest comes to life on its new host by ``arrive`` alone; a real one runs there before."""
_CASES = [
    (name, step.name, was_done)
    for name in _ASKED
    for step in WORKFLOWS[name].steps
    for was_done in (False, True)
    if step.where is not Where.CONDUCTOR and (name, step.name, was_done) != _UNBORN
]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A cloud with two simulated hosts."""
    with lived_in(tmp_path, simulate_hosts=2) as made:
        yield made


@pytest.mark.parametrize("name, step, was_done", _CASES)
def test_a_server_is_whole_wherever_its_move_is_ended_by_a_reset(
    house: House, name: str, step: str, was_done: bool
) -> None:
    before, action = _ASKED[name]
    server, run = house.boot()["id"], Run(house)
    if before is not None:
        house.act(server, before)
        house.settle()
    assert house.act(server, action, version="2.90").status_code < 300

    def reset(host: str, work: Work) -> None:
        if was_done:
            run.do(host, work)
        assert house.act(server, {"os-resetState": {"state": "active"}}).status_code == 202
        assert run.say(host, work, Phase.END) is False, "the operation is over"

    run.until(server, step, reset)
    assert open_action(house, server) is None
    for _ in range(2):  # the first comparison may find the guest off, and the server is busy for the second host
        compare(house)
        house.settle()
    here = host_of(house, server)
    assert claims(house) == [(here, house.show(server)["flavor"]["vcpus"])]
    assert guests_by_host(house) == {here: 1}
    assert {each["status"] for each in migrations(house)} <= {"error", "completed"}
    if state(house, server)[0] == "SHUTOFF":
        house.act(server, {"os-start": None})
    else:
        house.act(server, {"reboot": {"type": "HARD"}})
    house.settle()
    assert state(house, server) == ("ACTIVE", None, 1)
    assert "READY boots=2" in _console(house, server), "it is the guest that it was, with its disk"
    house.call("DELETE", f"/servers/{server}")
    house.settle()
    compare(house)
    assert (claims(house), house.guests()) == ([], {})


def _console(house: House, server: str) -> str:
    written: str = house.act(server, {"os-getConsoleOutput": {}}).json()["output"]
    return written
