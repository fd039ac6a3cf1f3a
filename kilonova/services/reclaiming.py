"""What was deleted and can be restored is deleted for good once its time is over (contract §6.7)."""

import logging
from uuid import uuid4

from kilonova.domain.errors import KilonovaError
from kilonova.domain.model import Clock, Instance, Instant, Request, after
from kilonova.domain.operations import get_operation
from kilonova.domain.states import VmState
from kilonova.services.servers import Servers
from kilonova.services.settings import ServiceSettings
from kilonova.store import instances, ledger
from kilonova.store.database import Connection, Database
from kilonova.store.instances import InstanceQuery

_log = logging.getLogger(__name__)

_PAGE = 200


class Reclaimer:
    """Ends what was put aside. While ``reclaim_instance_interval`` is 0 it leaves everything as it is."""

    def __init__(self, database: Database, clock: Clock, servers: Servers, *, settings: ServiceSettings) -> None:
        self._database = database
        self._clock = clock
        self._servers = servers
        self._settings = settings

    def step(self) -> bool:
        """Delete what was put aside long enough ago; True if there was anything."""
        if self._settings.reclaim_instance_interval <= 0:
            return False
        with self._database.read() as connection:
            due = [instance for instance in _put_aside(connection) if self._is_due(connection, instance)]
        return any([self._reclaimed(instance) for instance in due])  # noqa: C419 - every one is tried

    def _is_due(self, connection: Connection, instance: Instance) -> bool:
        since = _put_aside_at(connection, instance)
        return since is not None and after(since, self._settings.reclaim_instance_interval) < self._clock()

    def _reclaimed(self, instance: Instance) -> bool:
        request = Request(request_id=f"req-{uuid4()}", user_id=None, project_id=None, received_at=self._clock())
        try:
            self._servers.delete(request, instance, get_operation("force_delete"), may_override_lock=True)
        except KilonovaError:
            _log.exception("Could not reclaim instance %s; the next sweep tries again", instance.uuid)
            return False
        _log.info("Instance %s was deleted long enough ago: it is removed", instance.uuid)
        return True


def _put_aside(connection: Connection) -> list[Instance]:
    query = InstanceQuery(
        soft_deleted=True, vm_states=frozenset({VmState.SOFT_DELETED}), sort=(("id", False),), limit=_PAGE
    )
    return [each for each in instances.list_instances(connection, query) if each.task_state is None]


def _put_aside_at(connection: Connection, instance: Instance) -> Instant | None:
    """When the deletion of a server ended that can still be restored."""
    ends = (
        action.finished_at
        for action in ledger.list_actions(connection, instance.uuid)
        if action.operation == "soft_delete" and action.finished_at is not None
    )
    return next(ends, None)
