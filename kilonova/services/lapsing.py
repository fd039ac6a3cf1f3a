"""What becomes of servers that have been as they are for too long: nobody asks for it (contract §6.7).

Each of these is one row of ``lapses_of``: which servers, after how long, and what is then asked for.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import uuid4

from kilonova.domain.errors import KilonovaError
from kilonova.domain.model import Clock, Instance, Instant, Request, after
from kilonova.domain.operations import get_operation
from kilonova.domain.states import VmState
from kilonova.services.servers import Servers
from kilonova.services.settings import ServiceSettings
from kilonova.store import due
from kilonova.store.database import Connection, Database

_log = logging.getLogger(__name__)

_PAGE: Final = 200


class _Find(Protocol):
    def __call__(self, connection: Connection, *, until: Instant, limit: int, after_id: int) -> list[Instance]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapse:
    """Servers that ``find`` tells after ``seconds`` are asked to do ``then``."""

    name: str
    seconds: int
    find: _Find
    then: str


def lapses_of(settings: ServiceSettings) -> list[Lapse]:
    """Those that the settings want."""
    found = []
    if settings.shelved_offload_time >= 0:
        shelved = _settled(VmState.SHELVED, by="shelve")
        found.append(Lapse(name="shelves", seconds=settings.shelved_offload_time, find=shelved, then="shelve_offload"))
    if settings.reclaim_instance_interval:
        put_aside = _settled(VmState.SOFT_DELETED, by="soft_delete")
        found.append(
            Lapse(name="deletions", seconds=settings.reclaim_instance_interval, find=put_aside, then="force_delete")
        )
    if settings.rescue_timeout:
        rescued = _settled(VmState.RESCUED, by="rescue")
        found.append(Lapse(name="rescues", seconds=settings.rescue_timeout, find=rescued, then="unrescue"))
    if settings.reboot_timeout:
        found.append(Lapse(name="reboots", seconds=settings.reboot_timeout, find=_rebooting, then="reboot_hard"))
    return found


def _settled(vm_state: VmState, *, by: str) -> _Find:
    def find(connection: Connection, *, until: Instant, limit: int, after_id: int) -> list[Instance]:
        return due.list_settled(connection, vm_state, by=by, until=until, limit=limit, after_id=after_id)

    return find


def _rebooting(connection: Connection, *, until: Instant, limit: int, after_id: int) -> list[Instance]:
    return due.list_under_way(connection, "reboot", until=until, unless="reboot_hard", limit=limit, after_id=after_id)


class Lapser:
    """Asks for what is due of one kind."""

    def __init__(self, database: Database, clock: Clock, servers: Servers, lapse: Lapse) -> None:
        self._database = database
        self._clock = clock
        self._servers = servers
        self._lapse = lapse

    def step(self) -> bool:
        """Ask for all that is due; True if there was anything. What is refused is tried again at the next look."""
        return any([self._asked(instance) for instance in self._due()])  # noqa: C419 - every one is tried

    def _due(self) -> Iterator[Instance]:
        until, last = after(self._clock(), -self._lapse.seconds), 0
        while True:
            with self._database.read() as connection:
                page = self._lapse.find(connection, until=until, limit=_PAGE, after_id=last)
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1].id

    def _asked(self, instance: Instance) -> bool:
        then = get_operation(self._lapse.then)
        request = Request(request_id=f"req-{uuid4()}", user_id=None, project_id=None, received_at=self._clock())
        try:
            self._servers.act(request, instance, then, _PARAMETERS.get(then.name, {}), may_override_lock=True)
        except KilonovaError:
            _log.exception("Instance %s cannot be asked to %s; the next look tries again", instance.uuid, then.name)
            return False
        _log.info("Instance %s was as it is for %d s: %s", instance.uuid, self._lapse.seconds, then.name)
        return True


_PARAMETERS: Final = {"reboot_hard": {"type": "HARD"}}
