"""The ledger: what was asked of each server, how far it came, and why it failed. An open action is pending work."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, or_, select

from kilonova.domain.changes import Cause, Change, Phase
from kilonova.domain.errors import NotFound, StaleRecord
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Fault, InstanceAction, InstanceEvent, Instant, Request, after
from kilonova.domain.operations import Operation
from kilonova.domain.workflow import Course, Leg
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.rows import many, one
from kilonova.store.schema import instance_actions, instance_events, instance_faults, instances

_MESSAGE_LENGTH: Final = 255
_RESULTS: Final = {Phase.RETRY: "Success", Phase.END: "Success", Phase.ERROR: "Error"}
_is_open: Final[ColumnElement[bool]] = instance_actions.c.finished_at.is_(None)

# Statements of every change, made once: SQLAlchemy takes the columns to write from the parameters.
_INSERT_ACTION: Final = instance_actions.insert()
_UPDATE_ACTION: Final = instance_actions.update().where(instance_actions.c.id == bindparam("of_action"), _is_open)
_INSERT_EVENT: Final = instance_events.insert()
_UPDATE_EVENT: Final = instance_events.update().where(instance_events.c.id == bindparam("of_event"))
_OPEN_EVENT: Final = select(func.max(instance_events.c.id)).where(
    instance_events.c.action_id == bindparam("of_action"),
    instance_events.c.event == bindparam("named"),
    instance_events.c.finished_at.is_(None),
)
_END_EVENTS: Final = instance_events.update().where(
    instance_events.c.action_id == bindparam("of_action"), instance_events.c.finished_at.is_(None)
)

_SNAPSHOT: Final = (
    select(*(column for column in instances.c if column.name not in journal.NOT_TOLD))
    .where(instances.c.uuid == bindparam("of_instance"))
    .with_for_update(key_share=True)
)


def record_phase(tx: Transaction, change: Change) -> int | None:
    """Write what the change's phase writes into the ledger (``domain/changes.py``); returns the action's id.

    Raises ``StaleRecord`` when the action was closed meanwhile, ``ValueError`` for a phase of no action.
    """
    operation, phase = change.operation, change.phase
    if operation is None or phase is None or phase is Phase.STEP:
        return change.action_id
    if phase is Phase.ACCEPTED:
        return _open_action(tx, change, operation)
    if change.action_id is None:
        raise ValueError(f"phase {phase} of {operation.name} belongs to no action")
    _touch_action(tx.connection, change, change.action_id)
    event = None if change.without_event else change.event or operation.event
    if phase is Phase.START:
        _add_event(tx.connection, change, event)
    else:
        for name in (*change.also, event):
            _finish_event(tx.connection, change, name)
        _add_event(tx.connection, change, change.opens)
        if phase is Phase.ERROR and change.closes_action:
            ending = {"finished_at": change.occurred_at, "result": _RESULTS[phase]}
            tx.connection.execute(_END_EVENTS, {"of_action": change.action_id, **ending})
    return change.action_id


def record_fault(
    tx: Transaction, instance_uuid: str, fault: Fault, *, action_id: int | None = None, is_attempt: bool = False
) -> None:
    """Keep why an instance failed, and in which action; the message is cut as Nova cuts it (contract §8.1).

    ``is_attempt`` is for what failed on one host and was tried on another: that is no fault of the instance's own.
    """
    tx.connection.execute(
        instance_faults.insert().values(
            instance_uuid=instance_uuid,
            code=fault.code,
            cause=fault.cause,
            message=fault.message[:_MESSAGE_LENGTH],
            details=fault.details,
            host=fault.host,
            created_at=fault.created_at,
            action_id=action_id,
            is_attempt=is_attempt,
        )
    )


def get_action(connection: Connection, instance_uuid: str, request_id: str) -> InstanceAction:
    """The newest action of this request on this instance. Raises ``NotFound`` in Nova's words (contract §7.1)."""
    table = instance_actions
    mine = _of_instance(instance_uuid).where(table.c.request_id == request_id)
    found = one(connection, InstanceAction, mine.order_by(table.c.id.desc()).limit(1))
    if found is None:
        raise NotFound(f"Action {request_id} not found")
    return found


def list_request_actions(connection: Connection, request_id: str, *, limit: int) -> list[InstanceAction]:
    """What one request asked of any instances, oldest first; a request may touch several."""
    table = instance_actions
    mine = select(table).where(table.c.request_id == request_id)
    return many(connection, InstanceAction, mine.order_by(table.c.id).limit(limit))


def list_unfinished_actions(
    connection: Connection, *, project_id: str | None = None, after_id: int = 0, limit: int
) -> list[InstanceAction]:
    """What is under way or waits, oldest first, on the instances of one project if wanted."""
    table = instance_actions
    statement = select(table).where(_is_open, table.c.id > after_id)
    if project_id is not None:
        mine = select(instances.c.uuid).where(instances.c.project_id == project_id)
        statement = statement.where(table.c.instance_uuid.in_(mine))
    return many(connection, InstanceAction, statement.order_by(table.c.id).limit(limit))


def list_actions(connection: Connection, instance_uuid: str) -> list[InstanceAction]:
    """All that was asked of an instance, newest first; deleted instances keep theirs."""
    return many(connection, InstanceAction, _of_instance(instance_uuid).order_by(instance_actions.c.id.desc()))


def list_events(connection: Connection, action_ids: Collection[int]) -> dict[int, list[InstanceEvent]]:
    """The events of these actions, newest first; every action has a list."""
    table = instance_events
    found: dict[int, list[InstanceEvent]] = {action_id: [] for action_id in action_ids}
    if found:
        statement = select(table).where(table.c.action_id.in_(list(found))).order_by(table.c.id.desc())
        for event in many(connection, InstanceEvent, statement):
            found[event.action_id].append(event)
    return found


def get_open_action(connection: Connection, action_id: int) -> InstanceAction | None:
    """The action if it is still open, else None."""
    table = instance_actions
    return one(connection, InstanceAction, select(table).where(table.c.id == action_id, _is_open))


def find_action(connection: Connection, action_id: int) -> InstanceAction | None:
    """The action with this id, open or closed, or None."""
    return one(connection, InstanceAction, select(instance_actions).where(instance_actions.c.id == action_id))


def has_open_event(connection: Connection, action_id: int, *, host: str, event: str | None = None) -> bool:
    """Whether an event of the action is under way on this host: then a second start of it is a resumption."""
    table = instance_events
    mine = [table.c.action_id == action_id, table.c.host == host, table.c.finished_at.is_(None)]
    if event is not None:
        mine.append(table.c.event == event)
    return connection.scalar(select(table.c.id).where(*mine).limit(1)) is not None


def find_open_action(
    connection: Connection, instance_uuid: str, *, operation: str | None = None
) -> InstanceAction | None:
    """The newest open action of the instance, of one operation if wanted, or None."""
    statement = _of_instance(instance_uuid).where(_is_open)
    if operation is not None:
        statement = statement.where(instance_actions.c.operation == operation)
    return one(connection, InstanceAction, statement.order_by(instance_actions.c.id.desc()).limit(1))


def list_open_actions(connection: Connection, instance_uuid: str) -> list[InstanceAction]:
    """The open actions of an instance, oldest first."""
    mine = _of_instance(instance_uuid).where(_is_open).order_by(instance_actions.c.id)
    return many(connection, InstanceAction, mine)


def list_unplaced_actions(
    connection: Connection, limit: int, *, among: Collection[str] | None = None, but: Collection[str] = ()
) -> list[InstanceAction]:
    """Open actions that no host was given, oldest first: the conductor's work.

    Of all operations, or those ``among`` these, ``but`` these.
    """
    table = instance_actions.c
    wanted = table.host.is_(None) & table.operation.not_in(list(but))
    return _list_open(connection, wanted if among is None else wanted & table.operation.in_(list(among)), limit)


def list_host_actions(connection: Connection, host: str, limit: int) -> list[InstanceAction]:
    """Open actions that this host has to carry out, oldest first."""
    return _list_open(connection, instance_actions.c.host == host, limit)


def open_actions_by_host(connection: Connection) -> dict[str, int]:
    """How many operations are under way, or wait, on each host that has any."""
    table = instance_actions
    counted = select(table.c.host, func.count().label("number")).where(_is_open, table.c.host.is_not(None))
    return {row.host: row.number for row in connection.execute(counted.group_by(table.c.host))}


def list_overdue_actions(connection: Connection, now: Instant, limit: int) -> list[InstanceAction]:
    """Open actions past their deadline, oldest first."""
    return _list_open(connection, instance_actions.c.deadline_at < now, limit)


def list_lapsed_actions(connection: Connection, now: Instant, limit: int, *, after_id: int = 0) -> list[InstanceAction]:
    """Open actions of hosts that nobody took, or whose lease ran out, oldest first; beyond a number."""
    table = instance_actions
    is_free = or_(table.c.lease_until.is_(None), table.c.lease_until < now)
    return _list_open(connection, table.c.host.is_not(None) & is_free & (table.c.id > after_id), limit)


def lease_action(connection: Connection, action_id: int, *, owner: str, until: Instant, now: Instant) -> bool:
    """Take an open action until an instant; False if it is closed or somebody else's.

    One that a host was given is its agent's: of two runs of an agent the later one is right. One without a host must
    be free, lapsed, or the owner's own.
    """
    table = instance_actions
    is_free = or_(
        table.c.host.is_not(None),
        table.c.owner.is_(None),
        table.c.owner == owner,
        table.c.lease_until < now,
    )
    taken = connection.execute(
        table.update()
        .where(table.c.id == action_id, _is_open, is_free)
        .values(owner=owner, lease_until=until, attempts=table.c.attempts + 1)
    )
    return taken.rowcount == 1


def renew_leases(connection: Connection, owner: str, action_ids: Iterable[int], until: Instant) -> int:
    """Hold on to open actions that are the owner's; returns how many still are."""
    table = instance_actions
    ids = list(action_ids)
    if not ids:
        return 0
    renewed = connection.execute(
        table.update().where(table.c.id.in_(ids), table.c.owner == owner, _is_open).values(lease_until=until)
    )
    return renewed.rowcount


def release_leases(connection: Connection, owners: Collection[str]) -> None:
    """Let go of every open action of these owners: it is free for the next."""
    table = instance_actions
    mine = (table.c.owner.in_(list(owners)), _is_open)
    connection.execute(table.update().where(*mine).values(owner=None, lease_until=None))


def assign_action(connection: Connection, action_id: int, *, host: str | None) -> None:
    """Give an open action to a host, or with None back to the conductor; nobody owns it then, nor has begun it."""
    table = instance_actions
    values = {"host": host, "owner": None, "lease_until": None, "attempts": 0}
    connection.execute(table.update().where(table.c.id == action_id, _is_open).values(**values))


def move_action(
    connection: Connection, action_id: int, *, host: str | None, leg: Leg, course: Course, deadline_at: Instant
) -> None:
    """Let an open action go on with a step of its workflow, on a host or (None) with the conductor; nobody owns it."""
    table = instance_actions
    values = {
        "host": host,
        "owner": None,
        "lease_until": None,
        "attempts": 0,
        "step": leg.step,
        "is_undoing": leg.is_undo,
        "course_json": course.write(),
        "deadline_at": deadline_at,
    }
    connection.execute(table.update().where(table.c.id == action_id, _is_open).values(**values))


def change_course(connection: Connection, action_id: int, course: Course) -> None:
    """Let the steps of an open action that follow know something more."""
    table = instance_actions
    connection.execute(table.update().where(table.c.id == action_id, _is_open).values(course_json=course.write()))


def amend_course(connection: Connection, action_id: int, course: Course) -> None:
    """Correct what a closed action is known by, once that is so no more."""
    table = instance_actions
    over = (table.c.id == action_id, ~_is_open)
    connection.execute(table.update().where(*over).values(course_json=course.write()))


def close_actions(
    tx: Transaction, instance_uuid: str, *, now: Instant, but: int | None = None, earlier_only: bool = False
) -> None:
    """Close every open action of an instance, save one, with what runs of it: nobody will carry it out any more.

    With ``earlier_only`` what was accepted after that one stays open. Each that is closed is told in the journal, with
    the request that it had to give way to. The instance is locked first, as by everybody who writes it.
    """
    connection, actions, events = tx.connection, instance_actions, instance_events
    snapshot = connection.execute(_SNAPSHOT, {"of_instance": instance_uuid}).mappings().first()
    mine = _of_instance(instance_uuid).where(_is_open).order_by(actions.c.id)
    if but is not None:
        mine = mine.where(actions.c.id < but if earlier_only else actions.c.id != but)
    open_ones = many(connection, InstanceAction, mine)
    if snapshot is None or not open_ones:
        return
    ids = [action.id for action in open_ones]
    ending = {"finished_at": now, "result": _RESULTS[Phase.ERROR]}
    running = (events.c.action_id.in_(ids), events.c.finished_at.is_(None))
    connection.execute(events.update().where(*running).values(**ending))
    cause = FaultCause.ABORTED.code
    closing = {**ending, "message": "Error", "cause": cause, "updated_at": now, "owner": None, "lease_until": None}
    connection.execute(actions.update().where(actions.c.id.in_(ids), _is_open).values(**closing))
    closer = None if but is None else find_action(connection, but)
    for action in open_ones:
        _announce_closed(tx, action, snapshot, closer, now)


def _announce_closed(
    tx: Transaction, action: InstanceAction, snapshot: Mapping[Any, Any], closer: InstanceAction | None, now: Instant
) -> None:
    facts = {
        "action_id": action.id,
        "host": action.host,
        "closes_action": True,
        "closed_by": closer and closer.request_id,
    }
    journal.append(
        tx,
        kind="instance",
        key=action.instance_uuid,
        project_id=snapshot["project_id"],
        operation=action.operation,
        phase=Phase.ERROR,
        cause=Cause.RECONCILED,
        request=Request(
            request_id=action.request_id,
            user_id=action.user_id,
            project_id=action.project_id,
            received_at=action.started_at,
            context_json=action.context_json,
        ),
        occurred_at=now,
        snapshot=dict(snapshot),
        previous={},
        facts=facts,
    )


def latest_faults(connection: Connection, uuids: Collection[str]) -> dict[str, Fault]:
    """The newest fault of its own of each of these instances that has one (contract §8.1)."""
    table = instance_faults
    if not uuids:
        return {}
    own = select(func.max(table.c.id)).where(table.c.instance_uuid.in_(list(uuids)), ~table.c.is_attempt)
    newest = own.group_by(table.c.instance_uuid)
    found = connection.execute(select(table).where(table.c.id.in_(newest))).mappings()
    return {row["instance_uuid"]: _fault(row) for row in found}


def _fault(row: Any) -> Fault:
    return Fault(**{name: row[name] for name in Fault.__slots__})


def _of_instance(instance_uuid: str) -> Select[Any]:
    return select(instance_actions).where(instance_actions.c.instance_uuid == instance_uuid)


def _list_open(connection: Connection, condition: ColumnElement[bool], limit: int) -> list[InstanceAction]:
    table = instance_actions
    statement = select(table).where(_is_open, condition).order_by(table.c.id).limit(limit)
    return many(connection, InstanceAction, statement)


def _open_action(tx: Transaction, change: Change, operation: Operation) -> int:
    request = change.request
    row = {
        "instance_uuid": change.after.uuid,
        "request_id": request.request_id,
        "action": operation.action,
        "operation": operation.name,
        "user_id": request.user_id,
        "project_id": request.project_id,
        "started_at": request.received_at,
        "host": change.host,
        "deadline_at": after(change.occurred_at, tx.deadlines.get(operation.name, operation.deadline_seconds)),
        "attempts": 0,
        "parameters_json": change.parameters_json,
        "context_json": request.context_json,
    }
    return _new_id(tx.connection.execute(_INSERT_ACTION, row).inserted_primary_key)


def _new_id(key: Sequence[Any] | None) -> int:
    if not key:
        raise RuntimeError("the database gave the new row no id")
    return int(key[0])


def _touch_action(connection: Connection, change: Change, action_id: int) -> None:
    """Bump the action, and close it if the change does; a closed one takes no more."""
    values: dict[str, Any] = {"updated_at": change.occurred_at}
    if change.phase is Phase.ERROR:
        # The message is that of a failed event; a build that was aborted has none (contract §6.6.4, §7.2).
        values |= {} if change.spares_event else {"message": "Error"}
        values["cause"] = change.fault.cause if change.fault else FaultCause.INTERNAL.code
    result = _RESULTS.get(change.phase) if change.phase else None
    if result is not None and change.closes_action:
        values |= {"finished_at": change.occurred_at, "result": result, "owner": None, "lease_until": None}
    if connection.execute(_UPDATE_ACTION, {"of_action": action_id, **values}).rowcount != 1:
        raise StaleRecord(f"Action {change.request.request_id} is over already")


def _add_event(connection: Connection, change: Change, event: str | None, **ending: Any) -> None:
    if event is None:
        return
    row = {
        "action_id": change.action_id,
        "event": event,
        "host": change.host,
        "started_at": change.occurred_at,
        **ending,
    }
    connection.execute(_INSERT_EVENT, row)


def _finish_event(connection: Connection, change: Change, event: str | None) -> None:
    """Finish the newest open event of this name; where none was opened, one that began and ended now stands for it."""
    if event is None:
        return
    phase = Phase.END if change.spares_event else change.phase
    ending = {
        "finished_at": change.occurred_at,
        "result": _RESULTS[phase] if phase else None,
        "traceback": change.traceback,
        "details": change.details,
    }
    open_event = connection.scalar(_OPEN_EVENT, {"of_action": change.action_id, "named": event})
    if open_event is None:
        _add_event(connection, change, event, **ending)
    else:
        connection.execute(_UPDATE_EVENT, {"of_event": open_event, **ending})
