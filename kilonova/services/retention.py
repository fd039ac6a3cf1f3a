"""Retention: what happened is kept for a while, and then forgotten, a batch at a time."""

from typing import Final

from kilonova.domain.model import Clock, after
from kilonova.store import decisions, journal
from kilonova.store.database import Database

_BATCH: Final = 500
_DAY_SECONDS: Final = 86400


class Retention:
    """Removes what is older than so many days from the journal and from the decisions; 0 keeps everything."""

    def __init__(self, database: Database, clock: Clock, *, days: int) -> None:
        self._database = database
        self._clock = clock
        self._days = days

    def step(self) -> bool:
        """Remove a batch of each; True if there may be more."""
        if self._days == 0:
            return False
        before = after(self._clock(), -self._days * _DAY_SECONDS)
        removed = [prune(self._database, before=before, limit=_BATCH) for prune in (journal.prune, decisions.prune)]
        return _BATCH in removed
