"""Retention: what happened is kept for a while and within a size, and then forgotten, a batch at a time.

What a sink has not been told yet stays longer, but not for ever, and never beyond the size: a sink that lags too far
is told that it missed something.
"""

from dataclasses import dataclass
from typing import Final

from kilonova.domain.model import Clock, Instant, after
from kilonova.store import decisions, journal, sinks
from kilonova.store.database import Database
from kilonova.store.forgetting import forget

_BATCH: Final = 500
_DAY_SECONDS: Final = 86400
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """For how long history is kept: ``days`` (0 for ever), but at most ``megabytes`` of journal (0 for any size).

    ``patience_days`` is for how much longer rows are kept that some sink was not told yet.
    """

    days: int
    megabytes: int = 0
    patience_days: int = 0


class Retention:
    """Forgets what is older than its keeping, or too much, in the journal and in the decisions."""

    def __init__(self, database: Database, clock: Clock, *, keeping: Keeping) -> None:
        self._database = database
        self._clock = clock
        self._keeping = keeping

    def step(self) -> bool:
        """Forget a batch of each; True if there may be more."""
        removed = [self._forget_the_old(), self._forget_the_overdue(), self._forget_the_surplus()]
        if self._keeping.days:
            removed.append(decisions.prune(self._database, before=self._days_ago(self._keeping.days), limit=_BATCH))
        return _BATCH in removed

    def _forget_the_old(self) -> int:
        if not self._keeping.days:
            return 0
        with self._database.read() as connection:
            told = sinks.lowest_cursor(connection)
        return forget(self._database, before=self._days_ago(self._keeping.days), up_to_seq=told, limit=_BATCH)

    def _forget_the_overdue(self) -> int:
        """Whether all sinks were told or not."""
        if not self._keeping.days:
            return 0
        before = self._days_ago(self._keeping.days + self._keeping.patience_days)
        return forget(self._database, before=before, limit=_BATCH)

    def _forget_the_surplus(self) -> int:
        if not self._keeping.megabytes:
            return 0
        with self._database.read() as connection:
            extent = journal.extent(connection)
        surplus = extent.bytes - self._keeping.megabytes * _MB
        if surplus <= 0:
            return 0
        # No more than is too much: rows are taken to be as long as they are on average.
        rows = -(-surplus * extent.rows // extent.bytes)
        return forget(self._database, before=None, limit=min(rows, _BATCH))

    def _days_ago(self, days: int) -> Instant:
        return after(self._clock(), -days * _DAY_SECONDS)
