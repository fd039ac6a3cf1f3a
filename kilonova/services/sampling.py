"""The agent's side of statistics: counts all guests of a host together, and keeps that until a heartbeat took it."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import GuestFailure
from kilonova.domain.model import Clock
from kilonova.drivers.protocol import CanCountAll, CanDiagnose, Driver
from kilonova.services.door import Sample

_log = logging.getLogger(__name__)

_MOST_GROUPS: Final = 16
_MOST_KEPT: Final = 6
"""Samples that wait for the control plane to be reached again; the oldest go first."""


class Sampler:
    """Counts the guests of one driver whenever it is asked to."""

    def __init__(self, driver: Driver, clock: Clock) -> None:
        self._driver = driver
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: deque[Sample] = deque(maxlen=_MOST_KEPT)
        self._had_any = False

    @property
    def is_able(self) -> bool:
        """Whether the driver counts anything."""
        return isinstance(self._driver, CanDiagnose)

    def step(self) -> bool:
        """Count all guests once. Always False: nothing is left to do at once.

        A host without guests has nothing to tell, but for the first time after it had some.
        """
        counted = self._count()
        if counted or self._had_any:
            with self._lock:
                self._kept.append(Sample(at=self._clock(), guests=counted))
        self._had_any = bool(counted)
        return False

    def waiting(self) -> tuple[Sample, ...]:
        """What no heartbeat took yet, the oldest first."""
        with self._lock:
            return tuple(self._kept)

    def taken(self, samples: tuple[Sample, ...]) -> None:
        """A heartbeat took these."""
        with self._lock:
            while self._kept and any(self._kept[0] is sample for sample in samples):
                self._kept.popleft()

    def _count(self) -> Mapping[str, Diagnostics | None]:
        driver = self._driver
        if isinstance(driver, CanCountAll):
            return driver.count_all()
        return _one_by_one(driver, driver.list_guests()) if isinstance(driver, CanDiagnose) else {}


def groups(samplers: Sequence[Sampler]) -> list[Callable[[], bool]]:
    """Steps that together count everywhere: one for each host, or for each group of hosts where there are many.

    A turn of a loop costs more than to find that a host has no guests. Of a group each is counted, whatever becomes of
    the others; the first failure is then raised.
    """
    return [partial(_step_all, samplers[first::_MOST_GROUPS]) for first in range(min(len(samplers), _MOST_GROUPS))]


def _step_all(samplers: Sequence[Sampler]) -> bool:
    failures: list[Exception] = []
    for sampler in samplers:
        try:
            sampler.step()
        except Exception as failure:  # noqa: BLE001 - it is raised once the others were counted
            failures.append(failure)
    if failures:
        raise failures[0]
    return False


def _one_by_one(driver: CanDiagnose, uuids: Collection[str]) -> Mapping[str, Diagnostics | None]:
    """Of a driver that cannot count all together; what cannot be counted now is left out."""
    counted: dict[str, Diagnostics | None] = {}
    for uuid in uuids:
        try:
            counted[uuid] = driver.diagnose(uuid)
        except GuestFailure as failure:
            _log.debug("guest %s is not counted: %s", uuid, failure.message)
    return counted
