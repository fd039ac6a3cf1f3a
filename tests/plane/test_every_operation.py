"""Every action of the contract's table, from every settled state that it may start from, carried out on real hosts.

What the answer is, where the server is led, how the ledger calls it: all judged by the contract's own table, as it is
written down by hand in ``tests/unit/domain/contracted.py``.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.domain.operations import get_operation
from tests.plane.house import House, lived_in
from tests.plane.ledger import ledger_of
from tests.plane.requests_of_actions import body_of, bring
from tests.unit.domain.contracted import ACTION_OF, ACTIONS, EVENTS, Contracted

_EVERY = "active paused suspended stopped rescued resized soft-delete error shelved shelved_offloaded"
_RETURNS = {"confirm_resize", "revert_resize", "reset_state"}
_AS_BEFORE = {"evacuate", "live_migrate"}


def _cases() -> list[tuple[Contracted, str]]:
    return [
        (row, state)
        for row in ACTIONS
        if row.request and row.name in ACTION_OF and get_operation(row.name).is_ready and row.name not in _AS_BEFORE
        for state in (_EVERY if row.states == "*" else row.states).split()
    ]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    # Nobody beats for the hosts, and they are to stay up.
    settings = {"shelved_offload_time": -1, "service_down_time": 1_000_000}
    options = {"simulate_hosts": 2, "DEFAULT": settings, "quota": {"instances": -1, "cores": -1, "ram": -1}}
    path: Path = tmp_path_factory.mktemp("every")
    with lived_in(path, **options) as made:
        yield made


def _led_to(row: Contracted, state: str) -> str:
    if row.name == "reset_state":
        return "active"
    if row.stopped and state == "stopped":
        return row.stopped
    return row.becomes or state


def _events(row: Contracted, state: str) -> list[str]:
    """An offloaded server has no host that could have any (contract §6.6.3)."""
    is_local = row.name == "force_delete" and state == "shelved_offloaded"
    return [] if is_local else EVENTS[row.name].split()


@pytest.mark.slow
@pytest.mark.parametrize("row, state", [pytest.param(row, state, id=f"{row.name}-{state}") for row, state in _cases()])
def test_an_action_leads_where_the_contract_says(house: House, row: Contracted, state: str) -> None:
    server = house.boot()["id"]
    bring(house, server, state)
    assert row.request is not None
    reply = house.act(server, body_of(row.name, row.request, house.image_id()))
    assert reply.status_code == row.success, reply.text
    if row.sets:
        now = house.call("GET", f"/servers/{server}")
        assert now.status_code == 404 or now.json()["server"]["OS-EXT-STS:task_state"] == row.sets
    house.settle()
    action, events = ledger_of(house, server)
    assert action == ACTION_OF[row.name]
    assert events == [(event, "Success") for event in _events(row, state)]
    led_to = _led_to(row, state)
    if led_to == "deleted":
        assert house.call("GET", f"/servers/{server}").status_code == 404
        return
    shown = house.show(server)
    assert (shown["OS-EXT-STS:vm_state"], shown["OS-EXT-STS:task_state"]) == (led_to, None)
    if row.power is not None:
        assert shown["OS-EXT-STS:power_state"] == row.power
    house.act(server, {"os-resetState": {"state": "active"}})
    house.act(server, {"forceDelete": None})
    house.settle()
