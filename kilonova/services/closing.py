"""How an operation ends in failure, whoever found out: the agent that ran it, or the janitor that waited in vain."""

from dataclasses import replace
from typing import Final

from kilonova.domain.changes import Cause, Change, Phase
from kilonova.domain.faults import HOPELESS, FaultCause, build_aborted, builds_exhausted
from kilonova.domain.model import Fault, Instance, InstanceAction, Instant
from kilonova.domain.operations import get_operation
from kilonova.domain.states import PowerState, TaskState
from kilonova.domain.transitions import failed, finished, unchanged
from kilonova.services.door import Failure
from kilonova.services.nics import settled
from kilonova.services.placing import request_of
from kilonova.store import changes, fleet, ledger
from kilonova.store.database import Transaction

_EXPIRED: Final = frozenset({FaultCause.INTERRUPTED, FaultCause.HOST_DOWN})
"""Causes that nobody reports: somebody waited in vain."""
_MOST_CHARACTERS: Final = 8192
"""Of details and of tracebacks that are kept."""


HARMLESS: Final = frozenset({FaultCause.NOT_SUPPORTED, FaultCause.ABORTED})
"""Causes by which a workflow leaves its server as it was before (contract §6.6.4)."""


def awaited(tx: Transaction, action: InstanceAction, instance: Instance) -> TaskState | None:
    """The task state to keep: that of an operation accepted meanwhile (a delete during a build), else none.

    An operation that meddles in another one has none of its own, and leaves that one's.
    """
    if get_operation(action.operation).needs_task:
        return instance.task_state
    meanwhile = (other for other in ledger.list_open_actions(tx.connection, instance.uuid) if other.id > action.id)
    return instance.task_state if any(get_operation(other.operation).during for other in meanwhile) else None


def close_with_failure(
    tx: Transaction,
    action: InstanceAction,
    instance: Instance,
    failure: Failure,
    *,
    now: Instant,
    power: PowerState | None = None,
) -> None:
    """Close the action with a fault, and leave the instance in the state that the failure leads to.

    A build of which nothing is left on its host gives up the host and what it claimed there; otherwise the host is
    kept, so that a delete goes there and clears up.
    """
    operation = get_operation(action.operation)
    is_build, is_unable = operation.name == "create", failure.cause is FaultCause.NOT_SUPPORTED
    told = _of_build(failure, instance) if is_build else failure
    lost = failed(operation, instance, now=now, power=power)
    if is_unable and not is_build:
        lost = unchanged(instance, now=now)
    lost = settled(operation.name, lost, action.parameters, Phase.ERROR)
    lost = lost._replace(task_state=awaited(tx, action, instance))
    is_homeless = is_build and (failure.is_cleared or instance.host is None)
    if is_homeless:
        lost = lost._replace(host=None, node=None)
    change = Change(
        before=instance,
        after=lost,
        request=request_of(action),
        occurred_at=now,
        operation=operation,
        phase=Phase.ERROR,
        cause=Cause.EXPIRED if failure.cause in _EXPIRED else Cause.REQUESTED,
        action_id=action.id,
        host=action.host,
        fault=fault_of(told, action, now),
        traceback=cut(failure.traceback) or None,
        details=failure.message[:255],
        raised=told.raised,
        parameters_json=action.parameters_json,
        spares_event=is_build and failure.cause in HOPELESS,
    )
    changes.save(tx, change)
    if is_homeless:
        fleet.release_claim(tx, instance.uuid)


def _of_build(failure: Failure, instance: Instance) -> Failure:
    """The failure of a build that goes to no other host, in Nova's words (contract §6.6.4), its own reason last."""
    if failure.cause in _EXPIRED or instance.task_state is TaskState.DELETING:
        return failure
    is_aborted = failure.cause in HOPELESS or not failure.is_cleared
    tell = build_aborted if is_aborted else builds_exhausted
    raised = failure.raised and replace(failure.raised, message=failure.message)
    return replace(failure, message=tell(instance.uuid, failure.message), raised=raised)


def delete_without_host(tx: Transaction, action: InstanceAction, instance: Instance, *, now: Instant) -> None:
    """End a delete that its host will not: whatever is left there goes once its agent is back and compares."""
    operation = get_operation(action.operation)
    change = Change(
        before=instance,
        after=finished(operation, instance, now=now),
        request=request_of(action),
        occurred_at=now,
        operation=operation,
        phase=Phase.END,
        cause=Cause.EXPIRED,
        action_id=action.id,
        host=action.host,
        without_event=not ledger.has_open_event(tx.connection, action.id, host=action.host or ""),
    )
    changes.save(tx, change)
    ledger.close_actions(tx, instance.uuid, now=now, but=action.id)


def fault_of(failure: Failure, action: InstanceAction, now: Instant) -> Fault:
    """The fault of a failure; that of a rescue counts as the caller's, and has no details (contract §6.6.4)."""
    is_rescue = action.operation == "rescue"
    told = f"Instance {action.instance_uuid} cannot be rescued: Driver Error: " if is_rescue else ""
    details = "" if is_rescue else cut("\n".join(text for text in (failure.detail, failure.traceback) if text))
    return Fault(
        code=400 if is_rescue else 500,
        cause=failure.cause.code,
        message=(told + failure.message)[:255],
        details=details,
        host=action.host,
        created_at=now,
    )


def cut(text: str) -> str:
    """The text, or its beginning and its end: what a tool says of a hostile image has no bound of its own."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    half = _MOST_CHARACTERS // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
