"""The table of operations, against Nova's contract."""

import re

import pytest

from kilonova.api.policy import DEFAULTS
from kilonova.domain.operations import OPERATIONS, REQUESTED, Operation, Runs, get_operation
from kilonova.domain.states import PowerState, TaskState, VmState
from tests.unit.domain.contracted import ACTION_NAMES, ACTIONS, EVENTS, LEAVES_ERROR, NOTIFICATIONS, Contracted

_ROWS = [pytest.param(row, id=row.name) for row in OPERATIONS.values()]
_CONTRACTED = [pytest.param(row, id=row.name) for row in ACTIONS]
# What Nova does without a record; our ledger is the queue, so that here it has one.
_UNRECORDED_IN_NOVA = {"inject_network_info": "injectNetworkInfo"}


def test_every_operation_of_the_contract_is_in_the_table_and_no_other() -> None:
    assert set(OPERATIONS) == {row.name for row in ACTIONS} | {"create", "extend_volume"}


def test_every_action_key_of_the_contract_leads_to_its_operation() -> None:
    expected = {(row.request, row.variant): row.name for row in ACTIONS if row.request}
    assert {key: row.name for key, row in REQUESTED.items()} == expected


@pytest.mark.parametrize("contracted", _CONTRACTED)
def test_the_success_code_is_the_contracts(contracted: Contracted) -> None:
    if contracted.success is not None:
        assert get_operation(contracted.name).status == contracted.success


@pytest.mark.parametrize("contracted", _CONTRACTED)
def test_the_task_state_that_is_set_is_the_contracts(contracted: Contracted) -> None:
    assert (get_operation(contracted.name).during or "") == contracted.sets


@pytest.mark.parametrize("contracted", _CONTRACTED)
def test_the_word_that_refusals_quote_is_the_contracts(contracted: Contracted) -> None:
    operation = get_operation(contracted.name)
    if contracted.states != "*" or contracted.only_tasks:
        assert operation.quoted == (contracted.word or contracted.name)


# The power that a settled state goes with. Nobody knows it of a server that was rebuilt elsewhere or changed its size:
# it is as it was.
_POWER = {
    VmState.ACTIVE: PowerState.RUNNING,
    VmState.RESCUED: PowerState.RUNNING,
    VmState.PAUSED: PowerState.PAUSED,
    VmState.STOPPED: PowerState.SHUTDOWN,
    VmState.SUSPENDED: PowerState.SHUTDOWN,
    VmState.SHELVED: PowerState.SHUTDOWN,
    VmState.SHELVED_OFFLOADED: PowerState.SHUTDOWN,
    VmState.SOFT_DELETED: PowerState.SHUTDOWN,
    VmState.DELETED: PowerState.NOSTATE,
}
_POWER_AS_IT_WAS = {"resize", "migrate", "confirm_resize", "revert_resize", "evacuate"}


@pytest.mark.parametrize("row", _ROWS)
def test_the_power_state_goes_with_the_state_that_an_operation_leads_to(row: Operation) -> None:
    known = row.becomes is not None and row.name not in _POWER_AS_IT_WAS
    assert row.power is (_POWER[row.becomes] if known and row.becomes else None)


def test_a_create_leads_from_scheduling_to_active_and_is_never_asked_of_a_server_that_is_there() -> None:
    create = get_operation("create")
    assert (create.during, create.becomes, create.status) == (TaskState.SCHEDULING, VmState.ACTIVE, 202)
    assert not create.accepts
    assert not create.needs_launch


def test_a_volume_of_a_server_in_whatever_state_may_grow() -> None:
    extend = get_operation("extend_volume")
    assert extend.accepts == set(VmState) - {VmState.DELETED}
    assert extend.accepts_tasks == set(TaskState)
    assert (extend.during, extend.becomes) == (None, None)


def test_action_names_are_the_contracts_down_to_their_historical_spelling() -> None:
    kept = {row.action for row in OPERATIONS.values()} - set(_UNRECORDED_IN_NOVA.values())
    # The last one is recorded by nova-manage only.
    assert kept == ACTION_NAMES - {"refresh_volume_attachment"}


def test_the_ledgers_events_are_the_contracts_in_their_order() -> None:
    ours = {row.name: " ".join(row.events) for row in OPERATIONS.values() if row.name not in _UNRECORDED_IN_NOVA}
    assert ours == EVENTS


def test_notifications_are_called_as_in_the_contract() -> None:
    assert {row.name: (row.legacy, row.notifies) for row in OPERATIONS.values()} == NOTIFICATIONS


def test_only_the_failures_that_the_contract_names_end_in_error() -> None:
    lost = {row.name for row in OPERATIONS.values() if row.fails_to is VmState.ERROR}
    assert lost == LEAVES_ERROR | {"reboot", "reboot_hard"}
    assert {row.name for row in OPERATIONS.values() if row.forgives_running} == {"reboot", "reboot_hard"}


def test_only_start_and_stop_ask_for_the_host_before_the_state() -> None:
    assert {row.name for row in OPERATIONS.values() if row.needs_host} == {"start", "stop"}


def test_force_delete_and_crash_dumps_come_with_the_microversion_of_the_contract() -> None:
    since = {row.name: row.since for row in OPERATIONS.values() if row.since != "2.1"}
    assert since == {
        "trigger_crash_dump": "2.17",
        "force_complete_live_migration": "2.22",
        "abort_live_migration": "2.24",
        "extend_volume": "2.51",
        "attach_share": "2.97",
        "detach_share": "2.97",
    }


@pytest.mark.parametrize("row", _ROWS)
def test_every_operation_has_a_policy_that_exists(row: Operation) -> None:
    assert row.policy in DEFAULTS


@pytest.mark.parametrize("row", _ROWS)
def test_whoever_runs_an_operation_has_what_it_takes(row: Operation) -> None:
    assert (row.driver == "") == (row.runs is Runs.API)
    assert row.deadline_seconds > 0
    assert row.during is None or row.runs is not Runs.API, "what is done at once is never in progress"
    assert not row.needs_task or row.accepts_tasks, "a task that must be there must be one that may be there"


@pytest.mark.parametrize("row", _ROWS)
def test_names_can_be_commands_labels_and_driver_calls(row: Operation) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", row.name)
    assert re.fullmatch(r"[a-z]*(_[a-z]+)*", row.driver)


@pytest.mark.parametrize("row", _ROWS)
def test_an_operation_accepts_the_task_state_it_sets_only_if_it_may_be_repeated(row: Operation) -> None:
    may_be_repeated = {"delete", "force_delete", "soft_delete", "evacuate", "reboot_hard"}
    assert (row.during in row.accepts_tasks) == (row.name in may_be_repeated)


def test_an_operation_that_nobody_knows_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        get_operation("teleport")


def test_the_ledger_keeps_no_parameter_that_sounds_like_a_secret() -> None:
    kept = {name for operation in OPERATIONS.values() for name in operation.keeps}
    assert not [name for name in kept if "pass" in name.lower() or "secret" in name.lower()]


def test_only_what_the_row_keeps_is_kept() -> None:
    lock = get_operation("lock")
    assert lock.kept({"locked_reason": "x", "adminPass": "y"}) == {"locked_reason": "x"}
    assert get_operation("stop").kept({"adminPass": "y"}) == {}
