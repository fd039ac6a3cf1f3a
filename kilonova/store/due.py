"""What has been as it is for long enough that something is to follow: one query each, whatever there is of it."""

from typing import Any, Final

from sqlalchemy import Connection, Select, exists, func, select

from kilonova.domain.model import Instance, InstanceAction, Instant
from kilonova.domain.states import VmState
from kilonova.store.instances import instance_of
from kilonova.store.rows import many, tuples
from kilonova.store.schema import instance_actions as actions
from kilonova.store.schema import instances

_SUCCESS: Final = "Success"


def list_settled(
    connection: Connection, vm_state: VmState, *, by: str, until: Instant, limit: int, after_id: int = 0
) -> list[Instance]:
    """Idle servers that the operation ``by`` led to this state, the last time no later than an instant; by their ids.

    ``after_id`` is the id of the last server of the page before.
    """
    table = instances.c
    led = select(func.max(actions.c.finished_at)).where(
        actions.c.instance_uuid == table.uuid, actions.c.operation == by
    )
    settled = (table.vm_state == str(vm_state), table.task_state.is_(None), table.deleted_at.is_(None))
    due = select(instances).where(*settled, table.id > after_id, led.scalar_subquery() <= until)
    return [instance_of(row) for row in tuples(connection, due.order_by(table.id).limit(limit))]


def list_under_way(
    connection: Connection, operation: str, *, until: Instant, unless: str, limit: int, after_id: int = 0
) -> list[Instance]:
    """Servers on which an operation was begun no later than an instant and is still open; by their ids.

    ``unless`` is another operation, which is not open on them.
    """
    table, other = instances.c, actions.alias()
    begun = (actions.c.operation == operation, actions.c.finished_at.is_(None), actions.c.started_at <= until)
    answered = exists().where(
        other.c.instance_uuid == table.uuid, other.c.operation == unless, other.c.finished_at.is_(None)
    )
    mine = exists().where(actions.c.instance_uuid == table.uuid, *begun)
    due = select(instances).where(mine, ~answered, table.deleted_at.is_(None), table.id > after_id)
    return [instance_of(row) for row in tuples(connection, due.order_by(table.id).limit(limit))]


def list_forgotten_images(connection: Connection, *, limit: int) -> list[InstanceAction]:
    """Shelvings whose image is of no more use: their server is deleted, or came back from the shelf since."""
    later = actions.alias()
    back = exists().where(
        later.c.instance_uuid == actions.c.instance_uuid,
        later.c.operation == "unshelve",
        later.c.result == _SUCCESS,
        later.c.id > actions.c.id,
    )
    is_over = exists().where(instances.c.uuid == actions.c.instance_uuid, instances.c.deleted_at.is_not(None))
    shelved = (
        actions.c.operation == "shelve",
        actions.c.finished_at.is_not(None),
        actions.c.course_json.contains('"shelved":{', autoescape=True),
    )
    found: Select[Any] = select(actions).where(*shelved, back | is_over)
    return many(connection, InstanceAction, found.order_by(actions.c.id).limit(limit))
