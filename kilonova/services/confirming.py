"""Resizes that nobody confirmed within ``resize_confirm_window`` confirm themselves (contract §6.7)."""

import logging
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from kilonova.domain.errors import KilonovaError
from kilonova.domain.migrations import Migration
from kilonova.domain.model import Clock, Instance, Request, after
from kilonova.store import instances, moves
from kilonova.store.database import Database

_log = logging.getLogger(__name__)

_BATCH: Final = 50


class Confirmer:
    """Asks for the confirmation that nobody else asked for; nothing is done where the window is 0.

    ``confirm`` accepts the operation; what it refuses is left to whoever changed the server meanwhile.
    """

    def __init__(
        self, database: Database, clock: Clock, confirm: Callable[[Request, Instance], object], *, window_seconds: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._confirm = confirm
        self._window = window_seconds

    def step(self) -> bool:
        """Confirm what waited for long enough; True if there was anything."""
        if self._window <= 0:
            return False
        with self._database.read() as connection:
            waiting = moves.list_awaiting(connection, until=after(self._clock(), -self._window), limit=_BATCH)
        return any([self._confirmed(migration) for migration in waiting])  # noqa: C419 - every one is tried

    def _confirmed(self, migration: Migration) -> bool:
        with self._database.read() as connection:
            instance = instances.find_instance(connection, migration.instance_uuid)
        if instance is None:
            return False
        now = self._clock()
        nobody = Request(request_id=f"req-{uuid4()}", user_id=None, project_id=None, received_at=now)
        try:
            self._confirm(nobody, instance)
        except KilonovaError as error:
            _log.info("Instance %s is not confirmed by itself: %s", instance.uuid, error.message)
            return False
        return True
