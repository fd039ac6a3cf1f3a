"""A door that can be shut: an agent behind it is as good as dead to the control plane, and does not know it.

What it says while the door is shut is lost, as that of a killed process would be; when it opens, the agent is a new run
of itself, and whatever the old one had in hand is given out again.
"""

from collections.abc import Callable, Sequence
from uuid import uuid4

from kilonova.services.compute import Agent
from kilonova.services.door import Door, HostReport, Observation, PhaseReport, Verdict, Work


class SilentDoor:
    """Passes on what an agent says, or loses it."""

    def __init__(self, beyond: Door) -> None:
        self._beyond = beyond
        self.is_shut = False

    def report_state(self, report: HostReport) -> None:
        """See ``Door``."""
        if not self.is_shut:
            self._beyond.report_state(report)

    def next_work(self, host: str, run_id: str, *, limit: int) -> Sequence[Work]:
        """See ``Door``."""
        return [] if self.is_shut else self._beyond.next_work(host, run_id, limit=limit)

    def report(self, report: PhaseReport) -> bool:
        """See ``Door``."""
        return not self.is_shut and self._beyond.report(report)

    def observe(self, host: str, observations: Sequence[Observation], *, is_complete: bool = False) -> Verdict:
        """See ``Door``."""
        return Verdict() if self.is_shut else self._beyond.observe(host, observations, is_complete=is_complete)


def make_mortal(agent: Agent) -> Callable[[bool], None]:
    """Put such a door before an agent; what is returned silences it (True) and brings it back as a new run (False)."""
    door = SilentDoor(agent.door)
    agent.door = door

    def silence(is_silent: bool) -> None:  # noqa: FBT001 - the whole message
        if not is_silent:
            agent.run_id = uuid4().hex
        door.is_shut = is_silent
        agent.prod()

    return silence
