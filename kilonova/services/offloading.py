"""Shelved servers leave their host once ``shelved_offload_time`` is over (contract §6.7)."""

import logging
from uuid import uuid4

from kilonova.domain.errors import KilonovaError
from kilonova.domain.model import Clock, Instance, Request, after
from kilonova.domain.operations import get_operation
from kilonova.domain.states import VmState
from kilonova.services.servers import Servers
from kilonova.services.settings import ServiceSettings
from kilonova.store import instances, ledger
from kilonova.store.database import Connection, Database
from kilonova.store.instances import InstanceQuery

_log = logging.getLogger(__name__)

_PAGE = 200


class Offloader:
    """Asks for the offload of what was shelved long enough ago; with a negative time it never does."""

    def __init__(self, database: Database, clock: Clock, servers: Servers, *, settings: ServiceSettings) -> None:
        self._database = database
        self._clock = clock
        self._servers = servers
        self._settings = settings

    def step(self) -> bool:
        """Offload what is due; True if there was anything."""
        if self._settings.shelved_offload_time < 0:
            return False
        query = InstanceQuery(vm_states=frozenset({VmState.SHELVED}), sort=(("id", False),), limit=_PAGE)
        with self._database.read() as connection:
            shelved = instances.list_instances(connection, query)
            due = [each for each in shelved if each.task_state is None and self._is_due(connection, each)]
        return any([self._offloaded(instance) for instance in due])  # noqa: C419 - every one is tried

    def _is_due(self, connection: Connection, instance: Instance) -> bool:
        ends = (
            action.finished_at
            for action in ledger.list_actions(connection, instance.uuid)
            if action.operation == "shelve" and action.finished_at is not None
        )
        since = next(ends, None)
        return since is not None and after(since, self._settings.shelved_offload_time) <= self._clock()

    def _offloaded(self, instance: Instance) -> bool:
        request = Request(request_id=f"req-{uuid4()}", user_id=None, project_id=None, received_at=self._clock())
        offload = get_operation("shelve_offload")
        try:
            self._servers.act(request, instance, offload, {}, may_override_lock=True)
        except KilonovaError:
            _log.exception("Could not offload instance %s; the next look tries again", instance.uuid)
            return False
        return True
