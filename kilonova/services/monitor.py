"""The monitor: whether the plane can do its work, and the tallies of what happens, kept from the journal.

Its checks name nobody and no text of anybody's: they are answered to strangers. Who may know more finds it in the
fleet's conditions.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from kilonova.domain.conditions import CLOCK_IN_STEP, HYPERVISOR_ANSWERS, Watch
from kilonova.domain.errors import KilonovaError
from kilonova.domain.images import ImageQuery
from kilonova.domain.model import SECOND, Clock, Instant
from kilonova.domain.tallies import Tallies
from kilonova.services.gallery import Gallery
from kilonova.store import counts, discrepancies, gauges, journal, stuck
from kilonova.store.database import Connection, Database

_LAG_SECONDS: Final = 30.0
"""A journal that is behind by more is told of."""
_BATCH: Final = 1000
_COMPUTE: Final = "nova-compute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding about the plane: ``pass``, ``warn`` or ``fail``, why, and how old it is.

    ``value`` is what was counted or measured, in ``unit``.
    """

    name: str
    status: str
    reason: str
    age_seconds: float = 0.0
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the monitor asks beside the store; each answers at once.

    ``failing`` counts the loops that fail now, ``heard`` the heartbeats since the start, ``bus_trouble`` says why the
    bus does not carry anything, None where it does.
    """

    gallery: Gallery
    failing: Callable[[], int]
    heard: Callable[[], int]
    bus_trouble: Callable[[], str | None]


class Monitor:
    """Safe to ask from several threads; ``step`` is its loop's."""

    def __init__(
        self, database: Database, clock: Clock, around: Around, *, watch: Watch, stuck_after_seconds: float
    ) -> None:
        self._database = database
        self._clock = clock
        self._watch = watch
        self._stuck_after = stuck_after_seconds
        self.around = around
        self.tallies = Tallies()
        self.drift: int | None = None
        """How much of what is counted twice differed when it was last compared; None before that."""
        self.stuck: Mapping[str, int] = {}
        """How much was stuck when it was last searched for, by kind; empty before that."""
        self._reached: int | None = None
        self._lock = threading.Lock()

    def step(self) -> bool:
        """Count what was told since the last step; True if there may be more."""
        with self._lock, self._database.read() as connection:
            if self._reached is None:
                self._begin(connection)
            rows = journal.list_entries(connection, after_seq=self._reached or 0, limit=_BATCH)
            for row in rows:
                self.tallies.add(row)
                self._reached = row.seq or self._reached
        return len(rows) == _BATCH

    def recount(self) -> bool:
        """Count the servers anew, at the place that the tallies have reached, and compare the books. Always False.

        Should a row that is not numbered yet have been counted twice at the start, this mends it.
        """
        with self._database.read() as connection:
            self.drift = sum(each.count for each in discrepancies.list_discrepancies(connection))
        with self._lock, self._database.read() as connection:
            is_even = self._reached == journal.head(connection) and journal.pending(connection) == 0
            if is_even:
                self._count(connection)
        return False

    def search(self) -> bool:
        """Search for what will never end, in all that there is: too much for every scrape. Always False."""
        with self._database.read() as connection:
            self.stuck = stuck.count_stuck(connection, now=self._clock(), grace_seconds=self._stuck_after)
        return False

    def alive(self) -> list[Check]:
        """Whether the process is what it should be: its loops, and its way to the database."""
        return [self._loops(), self._looked("database", self._ask_database)]

    def ready(self) -> list[Check]:
        """Whether the plane can do its work, as a list of checks; the database is asked once for all of them."""
        found = self.alive()
        found.append(self._bus())
        found.append(self._looked("images", self._ask_images))
        if found[1].status == "fail":
            return found
        try:
            with self._database.read() as connection:
                return [*found, self._journal(connection), *self._services(connection), *self._noted(connection)]
        except KilonovaError:
            return [*found, Check(name="fleet", status="fail", reason="DatabaseSilent")]

    def _begin(self, connection: Connection) -> None:
        self._reached = journal.head(connection)
        self._count(connection)

    def _count(self, connection: Connection) -> None:
        servers = self.tallies.servers
        servers.clear()
        for group in counts.count_servers(connection, ["status"]):
            servers[group.status or ""] += group.servers

    def _loops(self) -> Check:
        failing = self.around.failing()
        status, reason = ("warn", "LoopsFail") if failing else ("pass", "LoopsRun")
        return Check(name="loops", status=status, reason=reason, value=failing, unit="failing")

    def _bus(self) -> Check:
        trouble = self.around.bus_trouble()
        return Check(name="bus", status="warn" if trouble else "pass", reason="NoAnswer" if trouble else "Answers")

    def _looked(self, name: str, ask: Callable[[], object]) -> Check:
        """Whether something answers, and how long it took."""
        began = time.perf_counter()
        try:
            ask()
        except (KilonovaError, OSError):
            return Check(name=name, status="fail", reason="NoAnswer")
        taken = round((time.perf_counter() - began) * 1000, 3)
        return Check(name=name, status="pass", reason="Answers", value=taken, unit="ms")

    def _ask_database(self) -> None:
        with self._database.read() as connection:
            journal.head(connection)

    def _ask_images(self) -> None:
        self.around.gallery.list_images(ImageQuery(project_id=None, every_project=True, limit=1))

    def _journal(self, connection: Connection) -> Check:
        oldest = gauges.oldest_pending_at(connection)
        lag = 0.0 if oldest is None else max(self._clock() - oldest, 0) / SECOND
        is_late = lag > _LAG_SECONDS
        return Check(
            name="journal:lag",
            status="warn" if is_late else "pass",
            reason="Behind" if is_late else "InTime",
            age_seconds=lag,
            value=journal.pending(connection),
            unit="rows",
        )

    def _services(self, connection: Connection) -> list[Check]:
        found = gauges.count_services(connection, self._clock(), down_seconds=self._watch.down_seconds)
        up, every = sum(each.number for each in found if each.is_up), sum(each.number for each in found)
        hosts = sum(each.number for each in found if each.is_up and each.is_enabled and each.binary == _COMPUTE)
        return [
            Check(
                name="services:up",
                status="pass" if up == every else "warn",
                reason="AllUp" if up == every else "SomeDown",
                value=up,
                unit=f"of {every}",
            ),
            Check(
                name="hosts:available",
                status="pass" if hosts else "warn",
                reason="Available" if hosts else "NoneAvailable",
                value=hosts,
                unit="hosts",
            ),
        ]

    def _noted(self, connection: Connection) -> list[Check]:
        """The hypervisors and the clocks of the agents, as their heartbeats told of them."""
        kept = gauges.count_conditions(connection)
        names = {HYPERVISOR_ANSWERS: "hypervisor", CLOCK_IN_STEP: "clocks"}
        return [
            self._of_hosts(name, [one for (t, _), one in kept.items() if t == type]) for type, name in names.items()
        ]

    def _of_hosts(self, name: str, bad: list[tuple[int, Instant]]) -> Check:
        number = sum(each for each, _ in bad)
        oldest = min((since for _, since in bad), default=None)
        words = {"hypervisor": ("AllAnswer", "SomeSilent"), "clocks": ("InStep", "SomeSkewed")}[name]
        return Check(
            name=name,
            status="warn" if number else "pass",
            reason=words[1] if number else words[0],
            age_seconds=0.0 if oldest is None else max(self._clock() - oldest, 0) / SECOND,
            value=number,
            unit="hosts",
        )
