"""The relay: journal to sinks, a courier and a thread for each, so that a slow sink keeps nobody else waiting."""

import threading
from typing import Final

from kilonova.bus import JOURNAL, Bus
from kilonova.services.courier import Courier, Depot
from kilonova.services.loop import Loop, Rota
from kilonova.store import sinks
from kilonova.store.sinks import SinkRecord

_SUPERVISION_SECONDS: Final = 2.0
_TICK_SECONDS: Final = 0.5
_PATIENT: Final = frozenset({"file"})
"""Kinds that are looked after at every tick only: nobody waits for them, and each delivery costs the disk a sync."""


class Relay:
    """Runs a courier for every sink there is, and for those that are made later.

    Any number of relays may run on one database: each sink is carried to by one at a time.
    """

    def __init__(self, depot: Depot, bus: Bus, *, tick_seconds: float = _TICK_SECONDS) -> None:
        self._depot = depot
        self._tick_seconds = tick_seconds
        self._lock = threading.Lock()
        self._couriers: dict[int, Courier] = {}
        self._running: dict[int, tuple[Loop, Rota]] = {}
        self._hurried: tuple[Loop, ...] = ()
        self._supervisor = Loop("relay", self._supervise, period_seconds=_SUPERVISION_SECONDS)
        self._supervision: Rota | None = None
        bus.listen(JOURNAL, self.prod)

    @property
    def troubles(self) -> list[str]:
        """The names of the loops that fail; a sink that does not answer is none of them."""
        with self._lock:
            loops = [self._supervisor, *(loop for loop, _ in self._running.values())]
        return [loop.name for loop in loops if loop.is_failing]

    def prod(self) -> None:
        """Have the couriers look at the journal now."""
        for loop in self._hurried:
            loop.prod()

    def look_again(self) -> None:
        """Have sinks noticed that were made, moved or resumed."""
        self._supervisor.prod()
        self.prod()

    def step(self) -> bool:
        """One step of every courier in the caller's thread; True if any had something to do."""
        self._recruit()
        return any([courier.step() for courier in list(self._couriers.values())])  # noqa: C419  each takes its step

    def start(self) -> None:
        """Run by itself from now on."""
        self._supervision = Rota("relay", [self._supervisor])
        self._supervision.start()

    def stop(self) -> None:
        """End after what is being delivered, and let others have the sinks."""
        if self._supervision is not None:
            self._supervision.stop()
        for _, rota in self._running.values():
            rota.stop(timeout_seconds=20)
        for courier in self._couriers.values():
            courier.close()
        if self._couriers:
            with self._depot.database.transaction() as tx:
                sinks.release_sinks(tx, owner=self._depot.owner)

    def _supervise(self) -> bool:
        self._recruit()
        return False

    def _recruit(self) -> None:
        """A courier for each sink that has none yet, and none for sinks that are gone."""
        with self._depot.database.read() as connection:
            records = {record.id: record for record in sinks.list_sinks(connection)}
        for gone in self._couriers.keys() - records.keys():
            with self._lock:
                running = self._running.pop(gone, None)
            if running is not None:
                running[1].stop()
            self._couriers.pop(gone).close()
        for id_, record in records.items():
            if id_ not in self._couriers:
                self._couriers[id_] = Courier(self._depot, id_)
                if self._supervision is not None:
                    self._run(record)
        hurried = [loop for id_, (loop, _) in self._running.items() if records[id_].kind not in _PATIENT]
        self._hurried = tuple(hurried)

    def _run(self, record: SinkRecord) -> None:
        loop = Loop(f"sink {record.name}", self._couriers[record.id].step, period_seconds=self._tick_seconds)
        rota = Rota(loop.name, [loop], most_threads=1)
        with self._lock:
            self._running[record.id] = (loop, rota)
        rota.start()
