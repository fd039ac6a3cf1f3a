"""The full product of operations, settled states and task states, asked of the API and judged by the contract's table.

The judge is ``tests/unit/domain/contracted.py``, written down from the contract by hand; nothing of it is derived from
our own table of operations.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from kilonova.domain.states import TaskState, VmState
from kilonova.store import instances, ledger
from kilonova.store.schema import instances as records
from tests.plane.ledger import told
from tests.plane.requests_of_actions import body_of
from tests.unit.api.cloud import BEGINNING, DEMO, IMAGE_ID, ApiCloud
from tests.unit.domain.contracted import ACTION_OF, ACTIONS, Contracted

_ID = "11111111-2222-4333-8444-555555555555"
_VOLUME = {"volumeAttachment": {"volumeId": _ID}}
_ELSEWHERE: dict[str, tuple[str, str, Any]] = {
    "delete": ("DELETE", "", None),
    "soft_delete": ("DELETE", "", None),
    "attach_volume": ("POST", "/os-volume_attachments", _VOLUME),
    "detach_volume": ("DELETE", f"/os-volume_attachments/{_ID}", None),
    "swap_volume": ("PUT", f"/os-volume_attachments/{_ID}", _VOLUME),
    "attach_interface": ("POST", "/os-interface", {"interfaceAttachment": {"port_id": _ID}}),
    "detach_interface": ("DELETE", f"/os-interface/{_ID}", None),
    "attach_share": ("POST", "/shares", {"share": {"share_id": _ID}}),
    "detach_share": ("DELETE", f"/shares/{_ID}", None),
    "force_complete_live_migration": ("POST", "/migrations/1/action", {"force_complete": None}),
    "abort_live_migration": ("DELETE", "/migrations/1", None),
}
"""How operations are asked for that are no action of ``POST /servers/{id}/action``."""
_WANTS_MORE = {
    *("confirm_resize", "revert_resize", "resize", "migrate", "live_migrate", "evacuate"),
    *(name for name in _ELSEWHERE if name not in ("delete", "soft_delete")),
}
"""Accepted by their states, and then judged by what bare servers lack: a migration, a live host, a volume, a port."""
_GOING = (TaskState.DELETING, TaskState.SOFT_DELETING)
_TRACED = (None, TaskState.POWERING_OFF, TaskState.MIGRATING)
"""Task states in which it is looked for what a refusal left: why it came makes no difference to that."""
_SETTLED = [state for state in VmState if state is not VmState.DELETED]
_TASKS: list[TaskState | None] = [None, *TaskState]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiCloud]:
    path: Path = tmp_path_factory.mktemp("product")
    made = ApiCloud(path)
    yield made
    made.close()


def _put(cloud: ApiCloud, server: str, vm: VmState, task: TaskState | None, **more: Any) -> None:
    """Have the record say so, with nothing that is still to be done."""
    wanted = {
        "locked_by": None,
        "launched_at": BEGINNING,
        **more,
        "vm_state": str(vm),
        "task_state": task and str(task),
    }
    mine = records.c.uuid == server
    with cloud.database.transaction() as tx:
        ledger.close_actions(tx, server, now=BEGINNING)
        tx.connection.execute(records.update().where(mine).values(**wanted, generation=records.c.generation + 1))


def _ask(cloud: ApiCloud, row: Contracted, server: str, *, role: str = "admin") -> Any:
    """Ask for the operation; what it is put aside by is a setting of the cloud."""
    if row.request is not None:
        body = body_of(row.name, row.request, IMAGE_ID)
        return cloud.call("POST", f"/servers/{server}/action", body, version="2.96", role=role)
    method, path, body = _ELSEWHERE[row.name]
    servers: Any = cloud.plane.servers
    settings = vars(servers)["_settings"]
    seconds = 3600 if row.name == "soft_delete" else 0
    vars(servers)["_settings"] = replace(settings, reclaim_instance_interval=seconds)
    try:
        return cloud.call(method, f"/servers/{server}{path}", body, version="2.97", role=role)
    finally:
        vars(servers)["_settings"] = settings


def _refusal(row: Contracted, vm: VmState, task: TaskState | None, server: str) -> str | None:
    """Why it is refused, in the contract's words (§6.6.1); None where it is accepted."""
    cannot = f"Cannot '{row.word or row.name}' instance {server} while it is in"
    if row.states != "*" and vm.value not in row.states.split():
        return f"{cannot} vm_state {vm.value}"
    if row.only_tasks:
        return None if task is not None and task.value in row.only_tasks.split() else f"{cannot} task_state {task}"
    if task is not None and row.tasks != "*" and task.value not in row.tasks.split():
        return f"{cannot} task_state {task.value}"
    return None


def _shown(cloud: ApiCloud, server: str) -> tuple[Any, ...]:
    shown = cloud.get(f"/servers/{server}", version="2.96")["server"]
    return shown["OS-EXT-STS:vm_state"], shown["OS-EXT-STS:task_state"], shown["updated"]


def _trace(cloud: ApiCloud, server: str) -> tuple[Any, ...]:
    """All that an operation could leave behind."""
    with cloud.database.read() as connection:
        actions = [action.id for action in ledger.list_actions(connection, server)]
        instance = instances.find_instance(connection, server)
        journalled = connection.exec_driver_sql("SELECT max(id) FROM journal").scalar()
        faults = ledger.latest_faults(connection, [server])
    ordered = [order.image_id for order in cloud.plane.gallery.ordered]
    return actions, instance, journalled, faults, ordered


def test_every_operation_of_the_contract_is_in_the_product() -> None:
    assert {row.name for row in ACTIONS} == {row.name for row in ACTIONS if row.request} | _ELSEWHERE.keys()


@pytest.mark.slow
@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ACTIONS])
def test_an_operation_is_answered_in_every_state_as_the_contract_says(cloud: ApiCloud, row: Contracted) -> None:
    project = uuid4().hex
    server = cloud.boot(project=project)
    for vm in _SETTLED:
        for task in _TASKS:
            _put(cloud, server, vm, task)
            is_traced = task in _TRACED or task in _GOING
            before = _trace(cloud, server) if is_traced or vm is VmState.SOFT_DELETED else None
            reply = _ask(cloud, row, server)
            expected = _refusal(row, vm, task, server)
            if expected is not None:
                assert (reply.status_code, told(reply)) == (409, expected), (vm, task)
                assert before is None or _trace(cloud, server) == before, "a refusal leaves no trace"
            elif row.name in _WANTS_MORE:
                assert reply.status_code in (row.success, 202, 400, 404, 409), (vm, task, reply.text)
                assert "while it is in" not in reply.text
                if not reply.is_success and before is not None:
                    assert _trace(cloud, server) == before, "a refusal leaves no trace"
            elif row.name in ("delete", "soft_delete", "force_delete") and task in _GOING:
                assert (reply.status_code, _trace(cloud, server)) == (row.success, before), "it is on its way already"
            elif row.name == "soft_delete" and vm is VmState.SOFT_DELETED:
                assert (reply.status_code, _trace(cloud, server)) == (204, before), "it stays so"
            else:
                assert reply.status_code == row.success, (vm, task, reply.text)
                server = _accepted(cloud, row, server, vm, task, project=project)


def _accepted(
    cloud: ApiCloud, row: Contracted, server: str, vm: VmState, task: TaskState | None, *, project: str
) -> str:
    """Judge what an accepted operation shows at once; the server to go on with."""
    if row.name == "inject_network_info":
        return server  # nothing is to be done, and nothing recorded
    with cloud.database.read() as connection:
        assert ledger.list_actions(connection, server)[0].action == ACTION_OF[row.name]
    if row.becomes == "deleted" or row.name == "soft_delete":
        return cloud.boot(project=project)  # its host is not there, so that it is gone at once
    now = None if row.name == "reset_state" else row.sets or task
    state = "active" if row.name == "reset_state" else vm.value
    assert _shown(cloud, server)[:2] == (state, now), (vm, task)
    return server


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ACTIONS])
def test_a_lock_keeps_its_owner_from_what_the_contract_says(cloud: ApiCloud, row: Contracted) -> None:
    states = _SETTLED if row.states == "*" else [VmState(word) for word in row.states.split()]
    server = cloud.boot(project=uuid4().hex)
    task = TaskState(row.only_tasks) if row.only_tasks else None
    for vm in states:
        _put(cloud, server, vm, task, locked_by="admin", project_id=DEMO)
        before = _trace(cloud, server)
        reply = _ask(cloud, row, server, role="member")
        if reply.status_code == 403:
            assert _trace(cloud, server) == before, "it is for administrators"
            continue
        is_password = row.name == "change_password"
        words = "is in an invalid state for 'changePassword'" if is_password else "is locked"
        text = f"Instance {server} {words}"
        assert (reply.status_code == 409 and told(reply) == text) is row.locks, (vm, reply.text)
        if not reply.is_success:
            assert _trace(cloud, server) == before


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ACTIONS if row.request])
def test_a_server_that_never_ran_is_in_an_invalid_state_for_most(cloud: ApiCloud, row: Contracted) -> None:
    states = _SETTLED if row.states == "*" else [VmState(word) for word in row.states.split()]
    for vm in states:
        server = cloud.boot(project=uuid4().hex)
        _put(cloud, server, vm, None, launched_at=None)
        before = _trace(cloud, server)
        reply = _ask(cloud, row, server)
        text = f"Instance {server} is in an invalid state for '{row.word or row.name}'"
        assert (reply.status_code == 409 and told(reply) == text) is row.launched, (vm, reply.text)
        if not reply.is_success:
            assert _trace(cloud, server) == before
