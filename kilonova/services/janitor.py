"""The janitor: no operation without an end.

An action past its deadline is closed as interrupted, with a fault that says so, whatever became of who had it.
"""

import logging

from kilonova.domain.changes import Cause, Change, Phase
from kilonova.domain.errors import StaleRecord
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Clock, Fault, InstanceAction
from kilonova.domain.operations import get_operation
from kilonova.domain.transitions import failed
from kilonova.services.placing import request_of
from kilonova.store import changes, instances, ledger
from kilonova.store.database import Database

_log = logging.getLogger(__name__)


class Janitor:
    """Closes what nobody will end any more."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def step(self) -> bool:
        """Close the overdue actions; True if there were any."""
        with self._database.read() as connection:
            overdue = ledger.list_overdue_actions(connection, self._clock(), limit=50)
        for action in overdue:
            self._close(action)
        return bool(overdue)

    def _close(self, action: InstanceAction) -> None:
        now, operation = self._clock(), get_operation(action.operation)
        with self._database.read() as connection:
            instance = instances.find_instance(connection, action.instance_uuid)
        if instance is None:
            with self._database.transaction() as tx:
                ledger.close_actions(tx.connection, action.instance_uuid, now=now)
            return
        fault = Fault(
            code=500,
            cause=FaultCause.INTERRUPTED.code,
            message=f"The operation '{operation.quoted}' did not end in time and was given up."[:255],
            details="",
            host=action.host,
            created_at=now,
        )
        change = Change(
            before=instance,
            after=failed(operation, instance, now=now, power=None),
            request=request_of(action),
            occurred_at=now,
            operation=operation,
            phase=Phase.ERROR,
            cause=Cause.EXPIRED,
            action_id=action.id,
            host=action.host,
            fault=fault,
            details=fault.message,
        )
        try:
            with self._database.transaction() as tx:
                changes.save(tx, change)
        except StaleRecord:
            _log.info("Overdue action %d changed while it was being closed", action.id)
            return
        _log.warning("Closed overdue %s of instance %s", operation.name, action.instance_uuid)
