"""The sequencer: gives committed journal rows their numbers.

Numbers are given after the commit, in the order of the rows, by one at a time: so they have no gap, and nobody who
reads up to a number can later find a smaller one (design §3).
"""

from kilonova.bus import JOURNAL, Bus
from kilonova.store import journal
from kilonova.store.database import Database


class Sequencer:
    """Numbers what writers left, and prods who reads it."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    def step(self) -> bool:
        """Number a batch of rows; True if there were any."""
        if journal.sequence(self._database) == 0:
            return False
        self._bus.prod(JOURNAL)
        return True
