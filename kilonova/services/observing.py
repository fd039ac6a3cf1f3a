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
from kilonova.services.door import Observation, Verdict
from kilonova.store import changes, fleet, instances, moves
from kilonova.store.database import Database
from kilonova.store.instances import InstanceQuery

_log = logging.getLogger(__name__)

_BATCH = 500
"""Instances that are read together."""
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

    def observe(self, host: str, observations: Sequence[Observation], *, is_complete: bool = False) -> Verdict:
        """Judge the observations; those of a second look that still hold are taken over.

        A first look only raises doubts: what it saw may be older than the record, if an operation ended meanwhile.
        With ``is_complete`` the host has no other guests: what was evacuated from it and is not among them is gone.
        """
        known, promised = self._known(host, observations)
        unwanted, doubts = set(), {}
        for seen in observations:
            instance = known.get(seen.instance_uuid)
            if instance is None:
                _log.warning("Host %s has a guest %s that no server knows; it is left alone", host, seen.instance_uuid)
            elif _is_unwanted(instance, host) and (instance.is_deleted or instance.uuid not in promised):
                unwanted.add(instance.uuid)
            elif instance.host != host or instance.task_state is not None or not _differs(instance, seen):
                continue
            elif seen.generation is None:
                doubts[instance.uuid] = instance.generation
            elif seen.generation == instance.generation:
                self._follow(instance, seen)
        cleared = unwanted | (self._vanished(host, observations) if is_complete else set())
        if cleared:
            with self._database.transaction() as tx:
                moves.complete_evacuations(tx, host, cleared, now=self._clock())
        return Verdict(unwanted=frozenset(unwanted), doubts=doubts)

    def _vanished(self, host: str, observations: Sequence[Observation]) -> set[str]:
        """Servers that were evacuated from the host and whose guests it has no more, as after the loss of its disk."""
        with self._database.read() as connection:
            evacuated = moves.list_left_guests(connection, host)
        return evacuated - {seen.instance_uuid for seen in observations}

    def _known(self, host: str, observations: Sequence[Observation]) -> tuple[dict[str, Instance], set[str]]:
        """The servers of these guests, and which of those are not on this host and have a claim of it.

        While a server moves, and until that is confirmed, its guest on the other host is the way there, or back.
        """
        uuids = sorted({seen.instance_uuid for seen in observations})
        found: dict[str, Instance] = {}
        with self._database.read() as connection:
            for start in range(0, len(uuids), _BATCH):
                query = InstanceQuery(equals={"uuid": frozenset(uuids[start : start + _BATCH])}, deleted=None)
                found |= {instance.uuid: instance for instance in instances.list_instances(connection, query)}
            away = [instance.uuid for instance in found.values() if instance.host != host]
            claimed = fleet.claimed_hosts(connection, away)
        return found, {uuid for uuid, where in claimed if where == host}

    def _follow(self, instance: Instance, seen: Observation) -> None:
        try:
            if seen.power in _STOPS.get(instance.vm_state, ()):
                self._stop(instance, seen)
            else:
                self._note(instance, seen)
        except StaleRecord:
            _log.info("Instance %s changed while %s was observed", instance.uuid, seen.power.name)
        except Exception:  # noqa: BLE001 - whatever it is, it concerns this one alone; the next comparison tries again
            _log.exception("Could not take over %s of instance %s", seen.power.name, instance.uuid)

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


def _differs(instance: Instance, seen: Observation) -> bool:
    return seen.power is not instance.power_state or seen.power in _STOPS.get(instance.vm_state, ())


def _is_unwanted(instance: Instance, host: str) -> bool:
    """Whether this host's guest may be one too many: its server is deleted, or settled elsewhere or nowhere."""
    return instance.is_deleted or (instance.task_state is None and instance.host != host)


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
