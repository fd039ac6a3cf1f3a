"""Who speaks for each host: one agent. A second one with the same host name is refused, so that nothing flaps.

An agent is known by what it keeps on its host (``agent_id``), so that its next run is no stranger and takes over at
once. A stranger takes over only when the agent before it has been silent for as long as makes a service down.
"""

import threading
from dataclasses import dataclass

from kilonova.domain.errors import Conflict
from kilonova.domain.model import SECOND, Instant
from kilonova.services.door import HostReport


@dataclass(slots=True)
class _Speaker:
    agent_id: str
    run_id: str
    heard_at: Instant
    former_run_id: str | None = None
    rival_id: str = ""
    rival_run_id: str | None = None
    rival_at: Instant | None = None


class Speakers:
    """Remembers who spoke last, and who else tried to."""

    def __init__(self, *, patience_seconds: float) -> None:
        self._patience = round(patience_seconds * SECOND)
        self._lock = threading.Lock()
        self._by_host: dict[str, _Speaker] = {}

    def hear(self, report: HostReport, now: Instant) -> None:
        """Let the agent speak. Raises ``Conflict`` while another one does, or its own next run."""
        with self._lock:
            known = self._by_host.setdefault(report.host, _Speaker(report.agent_id, report.run_id, now))
            if (known.agent_id, known.run_id) == (report.agent_id, report.run_id):
                known.heard_at = now
            elif report.run_id != known.former_run_id and self._may_follow(known, report, now):
                self._by_host[report.host] = _Speaker(report.agent_id, report.run_id, now, known.run_id)
            else:
                known.rival_id, known.rival_run_id, known.rival_at = report.agent_id, report.run_id, now
                raise Conflict(
                    f"Another agent speaks for the host {report.host}; give this one a host name of its own.",
                    detail=f"agent {known.agent_id} speaks, agent {report.agent_id} was refused",
                )

    def may_work(self, host: str, run_id: str) -> bool:
        """Whether a run may take work of the host: not one that was followed by another, nor a rival's."""
        with self._lock:
            known = self._by_host.get(host)
        return known is None or run_id not in (known.former_run_id, known.rival_run_id)

    def rival(self, host: str, now: Instant) -> str | None:
        """The id of another agent that lately tried to speak for the host, None where there is none."""
        with self._lock:
            known = self._by_host.get(host)
            if known is None or known.rival_at is None or now - known.rival_at > self._patience:
                return None
            return known.rival_id

    def _may_follow(self, known: _Speaker, report: HostReport, now: Instant) -> bool:
        return known.agent_id == report.agent_id or now - known.heard_at > self._patience
