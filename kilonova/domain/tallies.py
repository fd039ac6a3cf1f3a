"""Tallies of what happens: counters and histograms that a scrape reads as they are, whatever there is to count.

Kept from the journal, row by row; pure, so that what a row adds can be tried by itself.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from kilonova.domain.changes import Cause, Phase
from kilonova.domain.faults import FaultCause
from kilonova.domain.journal import JournalRow
from kilonova.domain.model import SECOND
from kilonova.domain.states import TaskState, VmState, status_of

BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
"""Upper bounds in seconds of an operation's duration; beyond the last one there is one more."""


@dataclass(slots=True)
class Histogram:
    """Durations: how many in each bucket of ``BUCKETS`` and beyond, and their sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total_seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total_seconds += seconds


@dataclass(slots=True)
class Tallies:
    """What is counted. ``servers`` are living ones by status; the others only grow.

    ``operations`` are by operation and result (``success``, ``error``, ``interrupted``), ``turns`` by binary and
    ``up`` or ``down``, ``decisions`` by ``placed`` or ``no_valid_host``, ``events`` by kind of thing.
    """

    servers: Counter[str] = field(default_factory=Counter)
    operations: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    turns: Counter[tuple[str, str]] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)

    def add(self, row: JournalRow) -> None:
        """Count what one row of the journal tells."""
        self.events[row.kind] += 1
        if row.kind == "instance":
            self._add_server(row)
        elif row.kind == "service" and row.operation in ("up", "down"):
            self.turns[str(row.snapshot["binary"]), row.operation] += 1
        elif row.kind == "decision":
            self.decisions["placed" if row.snapshot["chosen_host"] else "no_valid_host"] += 1

    def _add_server(self, row: JournalRow) -> None:
        now, before = row.snapshot, row.previous
        if before is not None:
            self._count({**now, **before}, -1)
        self._count(now, 1)
        if row.phase in (Phase.END, Phase.ERROR) and row.facts.get("closes_action") and row.operation:
            began = row.occurred_at if row.received_at is None else row.received_at
            key = row.operation, _result(row)
            self.operations.setdefault(key, Histogram()).add(max(row.occurred_at - began, 0) / SECOND)

    def _count(self, server: dict[str, Any], sign: int) -> None:
        if server["deleted_at"] is None:
            task = server["task_state"]
            self.servers[status_of(VmState(server["vm_state"]), task and TaskState(task))] += sign


def _result(row: JournalRow) -> str:
    cause = row.facts.get("fault", {}).get("cause")
    if row.cause is Cause.EXPIRED or cause == FaultCause.INTERRUPTED.code:
        return "interrupted"
    return "success" if row.phase is Phase.END else "error"
