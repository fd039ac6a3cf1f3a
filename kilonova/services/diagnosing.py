"""What a host counts of a server: from the newest count where that is good enough, else by asking (contract §9).

Nova asks the host each time, so whoever polls ten thousand servers asks ten thousand hypervisors, and of a host that is
down nothing is known. Here a count is as good as an answer as long as it is no older than two periods and nothing
happened to the server since, and is what there is of a host that is down.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from kilonova.domain.diagnostics import Diagnostics, Reading
from kilonova.domain.errors import Conflict, GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Clock, Instance
from kilonova.domain.states import PowerState
from kilonova.services.statistics import Series, Statistics

_FRESH_PERIODS: Final = 2


class Counts(Protocol):
    """Whoever can be asked for what a guest does now."""

    def diagnose(self, uuid: str) -> Diagnostics | None:
        """As ``drivers.protocol.CanDiagnose`` has it; NotSupported where nothing is counted."""


class Diagnosing:
    """``agents`` are those that can be asked, by host; ``is_up`` says whether a host is."""

    def __init__(
        self, statistics: Statistics, clock: Clock, agents: Mapping[str, Counts], is_up: Callable[[str], bool]
    ) -> None:
        self._statistics = statistics
        self._clock = clock
        self._agents = agents
        self._is_up = is_up

    def read(self, instance: Instance) -> Reading | None:
        """What is counted of the server; None where its guest does not run.

        Raises Conflict while it has no host, and NotSupported where its driver counts nothing.
        """
        host, agent = instance.host, self._agents.get(instance.host or "")
        if host is None or agent is None:
            raise Conflict(f"Instance {instance.uuid} is not ready")
        series = self._statistics.find(host, instance.uuid)
        if series is not None and self._is_fresh(series, instance):
            return self._reading(series)
        if series is not None and not self._is_up(host):
            return self._reading(series) if series.is_running else None
        counted = _asked(agent, instance.uuid)
        return None if counted is None else Reading(counted=counted)

    def _is_fresh(self, series: Series, instance: Instance) -> bool:
        if not series.is_running or instance.power_state is not PowerState.RUNNING or series.counted_at is None:
            return False
        is_young = series.age_seconds(self._clock()) <= _FRESH_PERIODS * self._statistics.interval
        return is_young and series.counted_at >= (instance.updated_at or instance.created_at)

    def _reading(self, series: Series) -> Reading | None:
        if series.counted is None:
            return None
        return Reading(counted=series.counted, age_seconds=series.age_seconds(self._clock()))


def _asked(agent: Counts, uuid: str) -> Diagnostics | None:
    try:
        return agent.diagnose(uuid)
    except GuestFailure as failure:
        if failure.cause is FaultCause.GUEST_MISSING:
            return None
        raise
