"""The janitor: no operation without an end.

What passed its deadline, or was begun too often, is closed as interrupted with a fault that says so, whatever became
of who had it. A build on a host that is gone is given to another one, and a delete needs no host.
"""

import logging
from collections.abc import Iterator

from kilonova.domain.errors import StaleRecord
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Clock, InstanceAction, Instant, after
from kilonova.domain.operations import get_operation
from kilonova.domain.states import VmState
from kilonova.domain.workflows import WORKFLOWS
from kilonova.services.closing import close_with_failure, delete_without_host, fault_of
from kilonova.services.conductor import Conductor
from kilonova.services.door import Failure
from kilonova.services.liveness import is_host_up
from kilonova.services.settings import ServiceSettings
from kilonova.store import instances, ledger
from kilonova.store.database import Database
from kilonova.store.failures import Contention
from kilonova.store.faults import prune_faults

_log = logging.getLogger(__name__)

MOST_ATTEMPTS = 5
"""How often an operation is begun; one that takes its agent down with it would be begun at every start."""
_BATCH = 50
_MOVABLE = frozenset({"create", *WORKFLOWS})
"""Operations that can go on without a host that is down."""


class Janitor:
    """Closes what nobody will end any more."""

    def __init__(self, database: Database, clock: Clock, conductor: Conductor, *, settings: ServiceSettings) -> None:
        self._database = database
        self._clock = clock
        self._placer = conductor.placer
        self._workflows = conductor.workflows
        self._settings = settings

    def step(self) -> bool:
        """Close or move what is lost; True if there was anything. One that cannot be handled keeps no other."""
        now = self._clock()
        with self._database.read() as connection:
            overdue = ledger.list_overdue_actions(connection, now, limit=_BATCH)
        done = [self._guarded(action, "It did not end in time.") for action in overdue]
        lost: dict[str, bool] = {}
        done += [self._judged(action, lost) for action in self._lapsed(now)]
        return any(done) or prune_faults(self._database, most=self._settings.max_faults_per_instance)

    def _lapsed(self, now: Instant) -> Iterator[InstanceAction]:
        """All that nobody has in hand: many of them may have to wait, and none of those may hide the others."""
        last = 0
        while True:
            with self._database.read() as connection:
                batch = ledger.list_lapsed_actions(connection, now, limit=_BATCH, after_id=last)
            yield from batch
            if len(batch) < _BATCH:
                return
            last = batch[-1].id

    def _judged(self, action: InstanceAction, lost: dict[str, bool]) -> bool:
        """End or move one that nobody has in hand, if it is time; ``lost`` has what is known of hosts already."""
        if action.attempts >= MOST_ATTEMPTS:
            return self._guarded(action, f"It was begun {action.attempts} times and never ended.")
        host = action.host or ""
        if host not in lost:
            lost[host] = self._is_lost(host)
        if not lost[host]:
            return False
        if get_operation(action.operation).becomes is VmState.DELETED:
            return self._guarded(action, "", FaultCause.HOST_DOWN)
        if action.operation in _MOVABLE:
            return self._moved(action)
        return self._was_let_go(action) and self._guarded(
            action, "Its host went down while it ran.", FaultCause.HOST_DOWN
        )

    def _was_let_go(self, action: InstanceAction) -> bool:
        """Whether it was begun, and its lease ran out so long ago that nobody comes back to it.

        One that was never begun waits for its host until its deadline.
        """
        grace = self._settings.instance_lease
        return action.lease_until is not None and after(action.lease_until, grace) < self._clock()

    def _is_lost(self, host: str) -> bool:
        with self._database.read() as connection:
            return not is_host_up(connection, host, now=self._clock(), settings=self._settings)

    def _moved(self, action: InstanceAction) -> bool:
        """Send a build elsewhere; what its host may have begun goes when its agent is back and compares.

        The step of a workflow ends as its row says.
        """
        try:
            if action.operation in WORKFLOWS:
                return self._workflows.lost(action, _interrupted(action, "The host of a step went down."))
            with self._database.read() as connection:
                instance = instances.find_instance(connection, action.instance_uuid)
                still = ledger.get_open_action(connection, action.id)
            if instance is None or still is None or instance.host != action.host:
                return False
            failure = Failure(
                cause=FaultCause.HOST_DOWN,
                message=f"{FaultCause.HOST_DOWN.title}: {action.host}",
                detail="",
                traceback="",
            )
            self._placer.send_elsewhere(still, instance, fault_of(failure, action, self._clock()))
        except (StaleRecord, Contention):
            return False
        except Exception:  # noqa: BLE001 - whatever it is, it concerns this one alone; the deadline ends it
            _log.exception("Could not go on without host %s with action %d", action.host, action.id)
            return False
        _log.warning("Host %s is down: instance %s is built elsewhere", action.host, action.instance_uuid)
        return True

    def _guarded(self, action: InstanceAction, why: str, cause: FaultCause = FaultCause.INTERRUPTED) -> bool:
        try:
            self._close(action, why, cause)
        except (StaleRecord, Contention):
            _log.info("Action %d changed while it was being closed", action.id)
            return False
        except Exception:  # noqa: BLE001 - whatever it is, it concerns this one alone
            _log.exception("Could not close action %d", action.id)
            return False
        return True

    def _close(self, action: InstanceAction, why: str, cause: FaultCause) -> None:
        now, failure = self._clock(), _interrupted(action, why, cause)
        if action.operation in WORKFLOWS and self._is_there(action):
            self._workflows.give_up(action, failure)
            return
        with self._database.transaction() as tx:
            instance = instances.find_instance(tx.connection, action.instance_uuid)
            if instance is None:
                ledger.close_actions(tx, action.instance_uuid, now=now)
                return
            if get_operation(action.operation).becomes is VmState.DELETED and cause is FaultCause.HOST_DOWN:
                delete_without_host(tx, action, instance, now=now)
                return
            close_with_failure(tx, action, instance, failure, now=now)
        _log.warning("Closed %s of instance %s: %s", action.operation, action.instance_uuid, why)

    def _is_there(self, action: InstanceAction) -> bool:
        with self._database.read() as connection:
            return instances.find_instance(connection, action.instance_uuid) is not None


def _interrupted(action: InstanceAction, why: str, cause: FaultCause = FaultCause.INTERRUPTED) -> Failure:
    return Failure(
        cause=cause,
        message=f"The operation '{get_operation(action.operation).quoted}' was given up. {why}",
        detail="",
        traceback="",
    )
