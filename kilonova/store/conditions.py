"""Conditions that have to be kept, because no other record tells them; each turn of one is journalled."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypedDict, Unpack

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from kilonova.domain.changes import Cause
from kilonova.domain.conditions import Condition, Status, Turn, shown, turns
from kilonova.domain.errors import StaleRecord
from kilonova.domain.model import Instant
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.schema_conditions import conditions as table

_FIELDS: Final = (table.c.type, table.c.status, table.c.reason, table.c.message, table.c.since)


class Told(TypedDict, total=False):
    """What is told with each turn: whose the thing is, and what else is known of it."""

    project_id: str | None
    facts: Mapping[str, Any]


def keep(
    tx: Transaction, about: str, key: str, found: Sequence[Condition], *, now: Instant, **telling: Unpack[Told]
) -> list[Turn]:
    """Keep what was found of one thing (``about`` says of what kind it is), and tell what turned; returns the turns.

    Conditions of other types stay as they are. Raises ``StaleRecord`` where somebody else keeps the same one for the
    first time in this moment.
    """
    before = list_conditions(tx.connection, about, [key], lock=True).get(key, [])
    found_turns = turns(before, found, now=now)
    for turn in found_turns:
        _write(tx.connection, about, key, turn)
        journal.append(
            tx,
            kind="condition",
            key=f"{about}/{key}/{turn.after.type}",
            operation=None,
            cause=Cause.OBSERVED,
            occurred_at=now,
            snapshot={"about": about, "id": key, **shown(turn.after, moment=int)},
            previous=None if turn.before is None else shown(turn.before, moment=int),
            **telling,
        )
    return found_turns


def list_conditions(
    connection: Connection, about: str, keys: Iterable[str] | None = None, *, lock: bool = False
) -> dict[str, list[Condition]]:
    """The kept conditions of things of one kind, by their keys; of all of them where no keys are given."""
    statement = select(table.c.key, *_FIELDS).where(table.c.about == about).order_by(table.c.key, table.c.type)
    if keys is not None:
        statement = statement.where(table.c.key.in_(list(keys)))
    if lock:
        statement = statement.with_for_update()
    found: dict[str, list[Condition]] = {}
    for key, type_, status, reason, message, since in connection.execute(statement):
        condition = Condition(type=type_, status=Status(status), reason=reason, message=message, since=Instant(since))
        found.setdefault(key, []).append(condition)
    return found


def forget(tx: Transaction, about: str, key: str) -> None:
    """Drop what was kept of a thing that is no more; its own end is what is told."""
    tx.connection.execute(table.delete().where(table.c.about == about, table.c.key == key))


def _write(connection: Connection, about: str, key: str, turn: Turn) -> None:
    new = turn.after
    values = {"status": str(new.status), "reason": new.reason, "message": new.message, "since": new.since}
    mine = {"about": about, "key": key, "type": new.type}
    if turn.before is not None:
        same = (table.c.about == about, table.c.key == key, table.c.type == new.type)
        connection.execute(table.update().where(*same).values(**values))
        return
    try:
        with connection.begin_nested():
            connection.execute(table.insert().values(**mine, **values))
    except IntegrityError as error:
        raise StaleRecord(f"The condition {new.type} of {about} {key} was kept by somebody else meanwhile") from error
