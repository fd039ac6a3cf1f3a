"""The full product of actions, settled states and task states, asked of the API and judged by the contract's table."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from kilonova.domain.changes import Change
from kilonova.domain.model import Request
from kilonova.domain.operations import get_operation
from kilonova.domain.states import TaskState, VmState
from kilonova.store import changes, instances, ledger
from tests.plane.ledger import told
from tests.plane.requests_of_actions import body_of
from tests.unit.api.cloud import BEGINNING, IMAGE_ID, ApiCloud
from tests.unit.domain.contracted import ACTION_OF, ACTIONS, Contracted

_ASKED = [row for row in ACTIONS if row.request and row.name in ACTION_OF and get_operation(row.name).is_ready]
_REFUSED_ELSEWHERE = {"confirm_resize", "revert_resize", "resize", "migrate", "live_migrate", "evacuate"}
"""Accepted by their states, and then judged by what the test's bare servers do not have: a migration, a live host."""
_NOBODY = Request(request_id="req-test", user_id=None, project_id=None, received_at=BEGINNING)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiCloud]:
    path: Path = tmp_path_factory.mktemp("product")
    made = ApiCloud(path)
    yield made
    made.close()


def _put(cloud: ApiCloud, server: str, vm: VmState, task: TaskState | None) -> None:
    """Have the record say so, with nothing that is still to be done."""
    with cloud.database.transaction() as tx:
        ledger.close_actions(tx, server, now=BEGINNING)
        before = instances.get_instance(tx.connection, server)
        after = before._replace(vm_state=vm, task_state=task, locked_by=None, launched_at=BEGINNING)
        changes.save(tx, Change(before=before, after=after, request=_NOBODY, occurred_at=BEGINNING))


def _expected(row: Contracted, vm: VmState, task: TaskState | None, server: str) -> str | None:
    """Why it is refused, in the contract's words (§6.6.1); None where it is accepted."""
    cannot = f"Cannot '{row.word or row.name}' instance {server} while it is in"
    if row.states != "*" and vm.value not in row.states.split():
        return f"{cannot} vm_state {vm.value}"
    if task is not None and row.tasks != "*" and task.value not in row.tasks.split():
        return f"{cannot} task_state {task.value}"
    return None


@pytest.mark.slow
@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in _ASKED])
def test_an_action_is_answered_in_every_state_as_the_contract_says(cloud: ApiCloud, row: Contracted) -> None:
    assert row.request is not None
    body = body_of(row.name, row.request, IMAGE_ID)
    project = uuid4().hex
    server = cloud.boot(project=project)
    for vm in (state for state in VmState if state is not VmState.DELETED):
        for task in (None, *TaskState):
            if row.name == "force_delete" and task in (TaskState.DELETING, TaskState.SOFT_DELETING):
                continue  # it is on its way already, and left to that
            _put(cloud, server, vm, task)
            reply = cloud.call("POST", f"/servers/{server}/action", body, version="2.96")
            expected = _expected(row, vm, task, server)
            if expected is not None:
                assert (reply.status_code, told(reply)) == (409, expected), (vm, task)
            elif row.name not in _REFUSED_ELSEWHERE:
                assert reply.status_code == row.success, (vm, task, reply.text)
                with cloud.database.read() as connection:
                    assert ledger.list_actions(connection, server)[0].action == ACTION_OF[row.name]
                if row.becomes == "deleted":
                    server = cloud.boot(project=project)  # its host is not there, so that it is gone at once
            else:
                assert reply.status_code in (row.success, 400, 409), (vm, task, reply.text)
                assert "while it is in" not in reply.text
