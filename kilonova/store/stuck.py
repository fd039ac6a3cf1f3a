"""What should never be there: task states and steps that nobody will ever end. Empty by construction, and searched."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, literal, null, select, union_all

from kilonova.domain.model import Instant, after
from kilonova.store.schema import instance_actions as actions
from kilonova.store.schema import instance_events as events
from kilonova.store.schema import instances

KINDS: Final = ("task_state", "operation", "event", "lease")
"""What there is in ``Stuck.kind``."""
_IS_OPEN: ColumnElement[bool] = actions.c.finished_at.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A server with something that has no end in sight, and since when: its last change, deadline, end or lease.

    ``kind`` is ``task_state`` (no open operation stands behind it), ``operation`` (past its deadline), ``event`` (its
    operation is closed) or ``lease`` (a step whose owner let go of it long ago).
    """

    kind: str
    instance_uuid: str
    request_id: str | None
    what: str
    since: Instant | None


def list_stuck(connection: Connection, *, now: Instant, grace_seconds: float, limit: int = 1000) -> list[Stuck]:
    """What is stuck by now. ``grace_seconds`` is how long the janitor may take to notice."""
    found = connection.execute(_stuck(after(now, -grace_seconds)).limit(limit)).mappings()
    return [Stuck(**row) for row in found]


def count_stuck(connection: Connection, *, now: Instant, grace_seconds: float) -> dict[str, int]:
    """How much is stuck by now, by kind: 0 of each, or there is a defect."""
    found = _stuck(after(now, -grace_seconds)).subquery()
    counted = connection.execute(select(found.c.kind, func.count()).group_by(found.c.kind))
    return {**dict.fromkeys(KINDS, 0), **{str(kind): int(number) for kind, number in counted}}


def _stuck(past: Instant) -> Any:
    owned = select(actions.c.id).where(actions.c.instance_uuid == instances.c.uuid, _IS_OPEN)
    without = _kind("task_state", instances.c.uuid, null(), instances.c.task_state, instances.c.updated_at).where(
        instances.c.deleted_at.is_(None), instances.c.task_state.is_not(None), ~owned.exists()
    )
    overdue = _of_action("operation", actions.c.operation, actions.c.deadline_at).where(
        _IS_OPEN, actions.c.deadline_at < past
    )
    of_action = actions.c.id == events.c.action_id
    closed = (
        _of_action("event", events.c.event, actions.c.finished_at)
        .select_from(events.join(actions, of_action))
        .where(events.c.finished_at.is_(None), actions.c.finished_at < past)
    )
    let_go = (
        _of_action("lease", events.c.event, actions.c.lease_until)
        .select_from(events.join(actions, of_action))
        .where(events.c.finished_at.is_(None), _IS_OPEN, actions.c.lease_until < past)
    )
    return union_all(without, overdue, closed, let_go)


def _of_action(kind: str, what: Any, since: Any) -> Select[Any]:
    return _kind(kind, actions.c.instance_uuid, actions.c.request_id, what, since)


def _kind(kind: str, *columns: Any) -> Select[Any]:
    names = ("instance_uuid", "request_id", "what", "since")
    return select(literal(kind).label("kind"), *(each.label(name) for each, name in zip(columns, names, strict=True)))
