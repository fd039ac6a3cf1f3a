"""The janitor: no operation without an end.

What passed its deadline, or was begun too often, is closed as interrupted with a fault that says so, whatever became
of who had it. A build on a host that is gone is given to another one.
"""

import logging

from kilonova.domain.errors import StaleRecord
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Clock, InstanceAction
from kilonova.domain.operations import get_operation
from kilonova.services.closing import close_with_failure
from kilonova.services.door import Failure
from kilonova.services.placing import Placer
from kilonova.services.settings import ServiceSettings
from kilonova.store import fleet, instances, ledger
from kilonova.store.database import Database
from kilonova.store.failures import Contention

_log = logging.getLogger(__name__)

MOST_ATTEMPTS = 5
"""How often an operation is begun; one that takes its agent down with it would be begun at every start."""
_BATCH = 50


class Janitor:
    """Closes what nobody will end any more."""

    def __init__(self, database: Database, clock: Clock, placer: Placer, *, settings: ServiceSettings) -> None:
        self._database = database
        self._clock = clock
        self._placer = placer
        self._settings = settings

    def step(self) -> bool:
        """Close or move what is lost; True if there was anything. One that cannot be handled keeps no other."""
        now = self._clock()
        with self._database.read() as connection:
            overdue = ledger.list_overdue_actions(connection, now, limit=_BATCH)
            lapsed = ledger.list_lapsed_actions(connection, now, limit=_BATCH)
        done = [self._guarded(action, "It did not end in time.") for action in overdue]
        done += [
            self._guarded(action, f"It was begun {action.attempts} times and never ended.")
            for action in lapsed
            if action.attempts >= MOST_ATTEMPTS
        ]
        done += [self._moved(action) for action in lapsed if action.operation == "create" and self._is_lost(action)]
        return any(done)

    def _is_lost(self, action: InstanceAction) -> bool:
        with self._database.read() as connection:
            service = fleet.find_service(connection, "nova-compute", action.host or "")
        down = self._settings.service_down_time
        return service is None or not service.is_up(self._clock(), service_down_seconds=down)

    def _moved(self, action: InstanceAction) -> bool:
        """Send a build elsewhere; what its host may have begun goes when its agent is back and compares."""
        try:
            with self._database.read() as connection:
                instance = instances.find_instance(connection, action.instance_uuid)
                still = ledger.get_open_action(connection, action.id)
            if instance is None or still is None or instance.host != action.host:
                return False
            self._placer.send_elsewhere(still, instance)
        except (StaleRecord, Contention):
            return False
        _log.warning("Host %s is down: instance %s is built elsewhere", action.host, action.instance_uuid)
        return True

    def _guarded(self, action: InstanceAction, why: str) -> bool:
        try:
            self._close(action, why)
        except (StaleRecord, Contention):
            _log.info("Action %d changed while it was being closed", action.id)
            return False
        except Exception:  # noqa: BLE001 - whatever it is, it concerns this one alone
            _log.exception("Could not close action %d", action.id)
            return False
        return True

    def _close(self, action: InstanceAction, why: str) -> None:
        now, operation = self._clock(), get_operation(action.operation)
        with self._database.transaction() as tx:
            instance = instances.find_instance(tx.connection, action.instance_uuid)
            if instance is None:
                ledger.close_actions(tx, action.instance_uuid, now=now)
                return
            failure = Failure(
                cause=FaultCause.INTERRUPTED,
                message=f"The operation '{operation.quoted}' was given up. {why}",
                detail="",
                traceback="",
            )
            close_with_failure(tx, action, instance, failure, now=now)
        _log.warning("Closed %s of instance %s: %s", operation.name, action.instance_uuid, why)
