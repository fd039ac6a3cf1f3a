"""What other services tell of servers: os-server-external-events (contract §11.2).

Networks and accelerators tell what somebody may wait for; here nobody does, so these are taken and nothing comes of
them. A change of power is believed, and recorded as a ``stop`` or ``start`` with an event of its own. There are no
volumes, so one that grew is recorded as an ``extend_volume`` that failed, with the reason.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from kilonova.domain.changes import Change, Phase
from kilonova.domain.errors import StaleRecord, Unavailable
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Clock, Fault, Instance, Instant, Request
from kilonova.domain.operations import Operation, get_operation
from kilonova.domain.states import VmState
from kilonova.domain.transitions import finished
from kilonova.store import changes, instances
from kilonova.store.database import Database, Transaction

_log = logging.getLogger(__name__)

_ATTEMPTS: Final = 5
_POWER_EVENT: Final = "compute_power_update"
_TAGGED: Final = frozenset({"volume-extended", "power-update", "accelerator-request-bound"})
"""Events that say nothing without their tag."""
_POWER: Final[Mapping[str, tuple[str, VmState]]] = {
    "POWER_OFF": ("stop", VmState.ACTIVE),
    "POWER_ON": ("start", VmState.STOPPED),
}
"""By the tag: the operation that it is recorded as, and the state that it changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalEvent:
    """One event; ``status`` is the word of who tells it."""

    name: str
    server_uuid: str
    status: str
    tag: str | None


class External:
    """Takes events, over the store."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def take(self, request: Request, event: ExternalEvent) -> int:
        """200 where it was taken; 404 without such a server, 422 while it has no host, 400 where the tag is missing."""
        for _ in range(_ATTEMPTS):
            with self._database.read() as connection:
                instance = instances.find_instance(connection, event.server_uuid)
            if instance is None:
                return 404
            if event.name in _TAGGED and not event.tag:
                return 400
            if instance.host is None:
                return 422
            try:
                self._note(request, instance, event)
            except StaleRecord:
                continue
            return 200
        raise Unavailable(f"Instance {event.server_uuid} changes too fast to be written.")

    def _note(self, request: Request, instance: Instance, event: ExternalEvent) -> None:
        _log.info("Told of instance %s: %s %s (%s)", instance.uuid, event.name, event.tag, event.status)
        now = self._clock()
        tag = event.tag or ""
        if event.name == "power-update" and tag in _POWER:
            self._note_power(request, instance, tag, now)
        elif event.name == "volume-extended":
            self._note_volume(request, instance, tag, now)

    def _note_power(self, request: Request, instance: Instance, tag: str, now: Instant) -> None:
        name, changed = _POWER[tag]
        operation = get_operation(name)
        notice = operation.notifies
        if instance.vm_state is changed and instance.task_state is None:
            told = (f"{notice}.start", "update", f"{notice}.end")
            ending = replace(
                _opening(request, instance, operation, now),
                after=finished(operation, instance, now=now),
                phase=Phase.END,
                event=_POWER_EVENT,
                notices=told,
            )
        else:
            ending = replace(
                _opening(request, instance, operation, now), phase=Phase.END, event=_POWER_EVENT, notices=("update",)
            )
        self._record(ending)

    def _note_volume(self, request: Request, instance: Instance, volume: str, now: Instant) -> None:
        text = f"Volume {volume} is not attached to instance {instance.uuid}."
        fault = Fault(
            code=404,
            cause=FaultCause.NOT_SUPPORTED.code,
            message=text[:255],
            details="",
            host=instance.host,
            created_at=now,
        )
        opening = _opening(request, instance, get_operation("extend_volume"), now)
        self._record(replace(opening, phase=Phase.ERROR, fault=fault, details=text[:255]))

    def _record(self, ending: Change) -> None:
        """Begin and end what is told, in one transaction: it has happened already."""
        accepted = replace(ending, after=ending.before or ending.after, phase=Phase.ACCEPTED, fault=None, details=None)

        def work(tx: Transaction) -> None:
            opened = changes.save(tx, replace(accepted, event=None, notices=()))
            after = ending.after._replace(generation=opened.instance.generation)
            changes.save(tx, replace(ending, before=opened.instance, after=after, action_id=opened.action_id))

        self._database.run(work)


def _opening(request: Request, instance: Instance, operation: Operation, now: Instant) -> Change:
    same = instance._replace(updated_at=now)
    return Change(
        before=instance,
        after=same,
        request=request,
        occurred_at=now,
        operation=operation,
        host=instance.host,
        parameters_json=json.dumps({}),
    )
