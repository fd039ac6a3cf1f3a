"""What happens on a host without anybody having asked: guests that shut down, crash, or were tampered with.

The rules are Nova's (contract §6.7): the record's power state follows the hypervisor while no operation runs, and a
server whose guest is no longer running becomes SHUTOFF by a ``stop`` that nobody asked for.
"""

import json
import logging
from collections.abc import Sequence
from uuid import uuid4

from kilonova.bus import Bus, host_topic
from kilonova.domain.changes import Cause, Change, Phase
from kilonova.domain.errors import StaleRecord
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Clock, Fault, Instance, Instant, Request
from kilonova.domain.operations import get_operation
from kilonova.domain.states import PowerState, VmState
from kilonova.domain.transitions import accepted
from kilonova.services.door import Observation
from kilonova.store import changes, instances
from kilonova.store.database import Database

_log = logging.getLogger(__name__)

_DOWN = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED})
_STOPS = {
    VmState.ACTIVE: _DOWN | {PowerState.SUSPENDED},
    VmState.PAUSED: _DOWN,
    VmState.STOPPED: frozenset({PowerState.RUNNING, PowerState.PAUSED, PowerState.SUSPENDED}),
}
"""Power states that lead to a ``stop``, by settled state."""


class Observer:
    """Turns observations into changes with the cause ``observed``."""

    def __init__(self, database: Database, bus: Bus, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock

    def observe(self, host: str, observations: Sequence[Observation]) -> frozenset[str]:
        """Take the observations over; returns the guests whose server was deleted, to be removed from the host."""
        unwanted = set()
        for seen in observations:
            with self._database.read() as connection:
                instance = instances.find_instance(connection, seen.instance_uuid, include_deleted=True)
            if instance is None:
                _log.warning("Host %s has a guest %s that no server knows; it is left alone", host, seen.instance_uuid)
            elif instance.is_deleted:
                unwanted.add(instance.uuid)
            elif instance.host == host and instance.task_state is None:
                self._follow(instance, seen)
        return frozenset(unwanted)

    def _follow(self, instance: Instance, seen: Observation) -> None:
        try:
            if seen.power in _STOPS.get(instance.vm_state, ()):
                self._stop(instance, seen)
            elif seen.power is not instance.power_state:
                self._note(instance, seen)
        except StaleRecord:
            _log.info("Instance %s changed while %s was observed", instance.uuid, seen.power.name)

    def _note(self, instance: Instance, seen: Observation) -> None:
        now = self._clock()
        change = Change(
            before=instance,
            after=instance._replace(power_state=seen.power, updated_at=now),
            request=_nobody(now),
            occurred_at=now,
            cause=Cause.OBSERVED,
        )
        with self._database.transaction() as tx:
            changes.save(tx, change)

    def _stop(self, instance: Instance, seen: Observation) -> None:
        now, stop, host = self._clock(), get_operation("stop"), instance.host
        crashed = seen.power is PowerState.CRASHED
        change = Change(
            before=instance,
            after=accepted(stop, instance, now=now)._replace(power_state=seen.power),
            request=_nobody(now),
            occurred_at=now,
            operation=stop,
            phase=Phase.ACCEPTED,
            cause=Cause.OBSERVED,
            host=host,
            parameters_json=json.dumps({"observed": seen.detail}),
            fault=_crash(instance, seen, now) if crashed else None,
        )
        with self._database.transaction() as tx:
            changes.save(tx, change)
            if host:
                tx.after_commit(lambda: self._bus.prod(host_topic(host)))
        _log.warning("Instance %s is %s: %s", instance.uuid, seen.power.name, seen.detail)


def _nobody(now: Instant) -> Request:
    return Request(request_id=f"req-{uuid4()}", user_id=None, project_id=None, received_at=now)


def _crash(instance: Instance, seen: Observation, now: Instant) -> Fault:
    return Fault(
        code=500,
        cause=FaultCause.GUEST_CRASHED.code,
        message=f"{FaultCause.GUEST_CRASHED.title}: {seen.detail}"[:255],
        details=seen.detail,
        host=instance.host,
        created_at=now,
    )
