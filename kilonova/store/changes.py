"""Writing instances: ``save`` and nothing else. Record, ledger, usage and journal go together or not at all."""

import json
from dataclasses import asdict
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam

from kilonova.domain.changes import Change, Phase
from kilonova.domain.errors import StaleRecord
from kilonova.domain.model import Instance
from kilonova.store import console_tokens, journal, ports
from kilonova.store.database import Transaction
from kilonova.store.fleet import release_claim
from kilonova.store.ledger import record_fault, record_phase
from kilonova.store.moves import end_migrations
from kilonova.store.schema import instances
from kilonova.store.usage import record_usage

# Statements that never differ: SQLAlchemy takes the columns to write from the parameters, and compiles each set once.
_INSERT: Final = instances.insert()
_COMPARE_AND_SWAP: Final = instances.update().where(
    instances.c.uuid == bindparam("read_uuid"), instances.c.generation == bindparam("read_generation")
)
_NOTHING: Final = "{}"
_NOT_TOLD: Final = frozenset({"ticket"})
_ENDS: Final = frozenset({Phase.RETRY, Phase.END, Phase.ERROR})


class Saved(NamedTuple):
    """What was saved: the instance as it now stands, and the action that the change belongs to, if any."""

    instance: Instance
    action_id: int | None


def save(tx: Transaction, change: Change) -> Saved:
    """Keep a change with all that has to be kept and told of it.

    The new instance has its ``id`` and ``generation``; those of ``change.after`` are ignored. Raises ``StaleRecord``
    when the instance moved on since ``change.before`` was read, or the change's action is closed. After any exception
    the transaction must not be committed.
    """
    before, occurred_at = change.before, change.occurred_at
    instance = _insert(tx.connection, change.after) if before is None else _update(tx.connection, before, change.after)
    action_id = record_phase(tx, change)
    if change.fault is not None and (change.keeps_fault or change.phase is Phase.RETRY):
        record_fault(tx, instance.uuid, change.fault, action_id=action_id, is_attempt=not change.keeps_fault)
    record_usage(tx, before, instance, occurred_at)
    ports.follow(tx, before, instance, now=occurred_at)
    console_tokens.follow(tx, before, instance)
    if instance.is_deleted:
        release_claim(tx, instance.uuid)
        end_migrations(tx, instance.uuid, now=occurred_at)
    _announce(tx, change, instance, action_id)
    return Saved(instance, action_id)


def _insert(connection: Connection, after: Instance) -> Instance:
    values = {**_row(after), "generation": 1}
    del values["id"]
    key = connection.execute(_INSERT, values).inserted_primary_key
    if not key:
        raise RuntimeError("the database gave the new instance no id")
    return after._replace(id=key[0], generation=1)


def _update(connection: Connection, before: Instance, after: Instance) -> Instance:
    """Compare and swap: only what differs is written, and only if nobody wrote since ``before``."""
    instance = after._replace(id=before.id, uuid=before.uuid, generation=before.generation + 1)
    changed = {name: value for name, value in _row(instance).items() if value != getattr(before, name)}
    same = {"read_uuid": before.uuid, "read_generation": before.generation}
    if connection.execute(_COMPARE_AND_SWAP, {**same, **changed}).rowcount != 1:
        raise StaleRecord(f"Instance {before.uuid} was changed by somebody else meanwhile")
    return instance


def _row(instance: Instance) -> dict[str, Any]:
    """The columns' values; states as plain text and numbers, which is all that every driver takes."""
    row = instance._asdict()
    row["vm_state"] = str(instance.vm_state)
    row["task_state"] = None if instance.task_state is None else str(instance.task_state)
    row["power_state"] = int(instance.power_state)
    return row


def _announce(tx: Transaction, change: Change, instance: Instance, action_id: int | None) -> None:
    row = _told(instance)
    journal.append(
        tx,
        kind="instance",
        key=instance.uuid,
        project_id=instance.project_id,
        operation=None if change.operation is None else change.operation.name,
        phase=change.phase,
        cause=change.cause,
        request=change.request,
        occurred_at=change.occurred_at,
        snapshot=row,
        previous=None if change.before is None else _differences(_told(change.before), row),
        facts=_facts(change, action_id),
    )


def _told(instance: Instance) -> dict[str, Any]:
    row = _row(instance)
    for name in journal.NOT_TOLD:
        del row[name]
    return row


def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in before.items() if value != after[name]}


def _facts(change: Change, action_id: int | None) -> dict[str, Any]:
    """What was so at this moment and is in no record of the instance; only what there is."""
    facts: dict[str, Any] = {
        "action_id": action_id,
        "event": change.event or (change.operation and change.operation.event),
        "host": change.host,
        "traceback": change.traceback,
        "details": change.details,
        "closes_action": change.closes_action if change.phase in _ENDS else None,
        "parameters": _told_parameters(change),
        "notices": change.notices,
        "raised": None if change.raised is None else asdict(change.raised),
        "step": change.step,
        "is_undoing": change.is_undoing or None,
    }
    if change.fault is not None:
        facts["fault"] = {
            "code": change.fault.code,
            "cause": change.fault.cause,
            "message": change.fault.message,
            "details": change.fault.details,
        }
    return {name: value for name, value in facts.items() if value is not None}


def _told_parameters(change: Change) -> dict[str, Any] | None:
    """What the caller asked for, as the ledger keeps it; the tickets of secrets are nobody else's."""
    told = {} if change.parameters_json == _NOTHING else json.loads(change.parameters_json)
    return {name: value for name, value in told.items() if name not in _NOT_TOLD} or None
