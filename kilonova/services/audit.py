"""The auditor: tells every server that lived in a period, once, when the period is over (contract §10.5).

Periods follow one another without gap or overlap, from the one in which the first server was launched; those that
passed while nothing ran are told late. It needs no compute host: servers without one are told too.
"""

import logging
from typing import Final

from kilonova.domain.audit import Cycle, Period
from kilonova.domain.model import Clock
from kilonova.store import audit
from kilonova.store.audit import AuditRun
from kilonova.store.database import Connection, Database

_log = logging.getLogger(__name__)
_BATCH: Final = 200


class Auditor:
    """Carries out the audits of a cycle of periods."""

    def __init__(self, database: Database, clock: Clock, cycle: Cycle) -> None:
        self._database = database
        self._clock = clock
        self.cycle = cycle

    def step(self) -> bool:
        """Tell a batch of servers, or begin the next period that is due; False if there is nothing to do."""
        with self._database.read() as connection:
            run = audit.find_unfinished_run(connection)
            due = None if run else self._due(connection)
        if run is not None:
            self._go_on(run)
            return True
        if due is None:
            return False
        self._begin(due)
        return True

    def _due(self, connection: Connection) -> Period | None:
        since, now = audit.last_audited(connection), self._clock()
        if since is None:
            first = audit.first_used(connection)
            since = self.cycle.completed(now).begin if first is None else self.cycle.holding(first)
        return self.cycle.following(since, now)

    def _begin(self, period: Period) -> None:
        with self._database.transaction() as tx:
            if not audit.begin_run(tx, period, now=self._clock()):
                _log.info("Another process began the audit of the period that ended at %d", period.end)

    def _go_on(self, run: AuditRun) -> None:
        with self._database.transaction() as tx:
            told = audit.tell_batch(tx, run, now=self._clock(), limit=_BATCH)
        if told == 0:
            _log.info("Audited %d servers of the period that ended at %d", run.servers, run.period_end)
