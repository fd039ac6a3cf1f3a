"""The watcher: tells the world when a service turned down, and when it is back. Nova never does.

Whether a service is up stays a question that is answered at read time; the watcher only notices that the answer
changed. Silence counts only while somebody listened: after a start, or after the whole machine slept, a service has the
whole window again before it is announced as down.
"""

import logging
from typing import Final

from kilonova.domain.model import SECOND, Clock, Service
from kilonova.services.heartbeat import Beats
from kilonova.services.settings import ServiceSettings
from kilonova.store import turns
from kilonova.store.database import Database, Transaction
from kilonova.store.turns import Looked

_log = logging.getLogger(__name__)

WATCH_SECONDS: Final = 0.5
"""Between two looks: a turn is told within a second of its deadline."""
_STALLED_SECONDS: Final = 10.0
"""A longer pause between two looks means that nobody listened."""
_BATCH: Final = 200


class Watcher:
    """Looks at the whole fleet in one query, and announces what turned."""

    def __init__(self, database: Database, clock: Clock, beats: Beats, *, settings: ServiceSettings) -> None:
        self._database = database
        self._clock = clock
        self._beats = beats
        self._settings = settings
        self._looked_at = self._listening_since = clock()

    def step(self) -> bool:
        """Announce what turned; True if there may be more."""
        look = self._look()
        if self._beats.has_found():
            self._beats.flush()
        if not self._turned(look):
            return False
        # Somebody may have been heard whose beat is not written yet.
        self._beats.flush()
        turned = self._turned(look)
        told = self._database.run(lambda tx: self._announce(tx, turned, look))
        self._beats.lose([service.id for service in turned if service.was_up])
        return told == _BATCH

    def _look(self) -> Looked:
        now = self._clock()
        if now - self._looked_at > _STALLED_SECONDS * SECOND:
            self._listening_since = now
        self._looked_at = now
        return Looked(now=now, listening_since=self._listening_since, watch=self._settings.watch)

    def _turned(self, look: Looked) -> list[Service]:
        with self._database.read() as connection:
            return turns.list_turned(connection, look, limit=_BATCH)

    def _announce(self, tx: Transaction, turned: list[Service], look: Looked) -> int:
        told = turns.announce(tx, turned, look)
        tx.after_commit(lambda: _log_all(turned))
        return told


def _log_all(turned: list[Service]) -> None:
    for service in turned:
        _log.warning("Service %s on %s is %s", service.binary, service.host, "down" if service.was_up else "up again")
