"""The control plane as a whole: the use cases that the API calls, and the loops behind them.

Everything is given from outside (``bootstrap``). With ``start`` it runs by itself; a test calls ``settle`` instead,
which does all there is to do in the caller's thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kilonova.bus import CONDUCTOR, SEQUENCER, Bus, host_topic
from kilonova.domain.errors import Conflict
from kilonova.domain.images import Image
from kilonova.domain.model import Clock, Instance, Instant, Request
from kilonova.domain.operations import Operation
from kilonova.identity.caller import Caller
from kilonova.services.compute import Agent
from kilonova.services.conductor import Conductor
from kilonova.services.gallery import Gallery
from kilonova.services.janitor import Janitor
from kilonova.services.loop import Loop
from kilonova.services.preparing import Preparation
from kilonova.services.safe import Safe
from kilonova.services.sequencer import Sequencer
from kilonova.services.servers import ServerOrder, Servers, ServerUpdate
from kilonova.services.settings import PlaneSettings, QuotaSettings, ServiceSettings
from kilonova.store.database import Database

_TICK_SECONDS = 1.0
_FLUSH_SECONDS = 5.0
_SWEEP_SECONDS = 5.0
_DEFAULT_COMPARISON_SECONDS = 60.0
_REMOVAL_SECONDS = 600.0
_MOST_ROUNDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneParts:
    """What a plane is made of, each chosen by ``bootstrap``.

    ``host`` is the name of the control plane's services, ``chores`` what else has to be done now and then;
    ``is_project`` says whether the identity service knows a project.
    """

    database: Database
    bus: Bus
    clock: Clock
    images: Gallery
    conductor: Conductor
    agents: Sequence[Agent]
    settings: ServiceSettings
    quota: QuotaSettings
    shown: PlaneSettings
    host: str
    is_project: Callable[[str], bool]
    chores: Sequence[Loop] = ()
    safe: Safe = field(default_factory=Safe)


class Plane:
    """One process that has everything: the embedded shape."""

    def __init__(self, parts: PlaneParts) -> None:
        self.database = parts.database
        self.settings = parts.shown
        self._clock = parts.clock
        self.gallery = parts.images
        self._parts = parts
        self._agents = {agent.host: agent for agent in parts.agents}
        self._servers = Servers(
            parts.database,
            parts.bus,
            parts.clock,
            Preparation(parts.database, parts.images, parts.safe, is_able=self._is_able),
            settings=parts.settings,
            quota=parts.quota,
        )
        self._work = self._work_loops()
        self._loops = [*self._work, *self._housekeeping_loops(), *parts.chores]

    @property
    def agents(self) -> list[Agent]:
        """The agents in this process."""
        return list(self._agents.values())

    @property
    def conductor(self) -> Conductor:
        """The control plane's side of the agents' door."""
        return self._parts.conductor

    @property
    def troubles(self) -> list[str]:
        """The names of the loops that fail at the moment, as when a disk is full; their errors are in the log."""
        return [loop.name for loop in self._loops if loop.is_failing]

    @property
    def reads_inline(self) -> bool:
        """Whether a read of one record costs less than a change of threads."""
        return self.database.is_embedded

    def now(self) -> Instant:
        """The control plane's time."""
        return self._clock()

    def start(self, *, concurrently: bool = True) -> None:
        """Bring the agents up; with ``concurrently`` everything then runs by itself."""
        self._parts.conductor.beats.beat_control(self._parts.host)
        for agent in self._agents.values():
            agent.start(concurrently=concurrently)
        self._parts.conductor.beats.flush()
        if concurrently:
            for loop in self._loops:
                loop.start()

    def stop(self) -> None:
        """Finish what is in hand and stop; guests keep running, and what is open goes on at the next start."""
        for loop in self._loops:
            loop.stop()
        for agent in self._agents.values():
            agent.stop()
        self._parts.conductor.beats.flush()

    def settle(self) -> None:
        """Do everything there is to do, here and now. For planes that were not started concurrently."""
        for _ in range(_MOST_ROUNDS):
            # Every loop takes a step, also after one that had work: hence a list, not a generator.
            if not any([loop.step() for loop in self._work]):  # noqa: C419
                return
        raise RuntimeError("the plane does not come to rest")

    def is_project(self, project_id: str) -> bool:
        """Whether there is such a project, as far as the identity service can tell."""
        return self._parts.is_project(project_id)

    def find_image(self, image_id: str, caller: Caller) -> Image | None:
        """The image as this caller may see it."""
        return self.gallery.find_image(image_id, project_id=caller.project_id)

    def create_server(self, request: Request, order: ServerOrder) -> Instance:
        """See ``Servers.create``."""
        return self._servers.create(request, order)

    def act(
        self,
        request: Request,
        instance: Instance,
        operation: Operation,
        parameters: Mapping[str, Any],
        *,
        may_override_lock: bool,
    ) -> Instance:
        """See ``Servers.act``."""
        return self._servers.act(request, instance, operation, parameters, may_override_lock=may_override_lock)

    def delete_server(self, request: Request, instance: Instance, *, may_override_lock: bool) -> None:
        """See ``Servers.delete``."""
        self._servers.delete(request, instance, may_override_lock=may_override_lock)

    def update_server(self, request: Request, instance: Instance, wanted: ServerUpdate) -> Instance:
        """See ``Servers.update``."""
        return self._servers.update(request, instance, wanted)

    def console_output(self, instance: Instance, *, lines: int | None) -> str:
        """What the guest wrote to its serial console; Conflict while it has no host (contract §6.6)."""
        agent = self._agents.get(instance.host or "")
        if agent is None:
            raise Conflict(f"Instance {instance.uuid} is not ready")
        return agent.console_log(instance.uuid, lines=lines)

    def _is_able(self, host: str, operation: Operation) -> bool:
        """Whether a host's driver has what the operation needs; an agent elsewhere says so itself where it has not."""
        agent = self._agents.get(host)
        return agent is None or agent.is_able(operation)

    def _work_loops(self) -> list[Loop]:
        conductor, bus = self._parts.conductor, self._parts.bus
        placer = Loop("placer", conductor.placer.step, period_seconds=_TICK_SECONDS)
        bus.listen(CONDUCTOR, placer.prod)
        sequencer = Loop("sequencer", Sequencer(self.database).step, period_seconds=_TICK_SECONDS)
        bus.listen(SEQUENCER, sequencer.prod)
        loops = [placer, sequencer]
        for host, agent in self._agents.items():
            loop = Loop(f"agent {host}", agent.step, period_seconds=_TICK_SECONDS)
            bus.listen(host_topic(host), loop.prod)
            agent.prod = loop.prod
            loops.append(loop)
        return loops

    def _housekeeping_loops(self) -> list[Loop]:
        beats, settings = self._parts.conductor.beats, self._parts.settings
        loops = [
            Loop("janitor", self._janitor().step, period_seconds=_SWEEP_SECONDS),
            Loop("beats", beats.flush, period_seconds=_FLUSH_SECONDS),
            Loop("control beat", self._beat_control, period_seconds=settings.report_interval),
        ]
        for host, agent in self._agents.items():
            loops.append(Loop(f"beat {host}", agent.beat, period_seconds=settings.report_interval))
            # Guests that are one too many are removed also where power states are not compared.
            interval = settings.sync_power_state_interval
            period = (interval or _DEFAULT_COMPARISON_SECONDS) if interval >= 0 else _REMOVAL_SECONDS
            loops.append(Loop(f"compare {host}", agent.compare, period_seconds=period))
        return loops

    def _janitor(self) -> Janitor:
        return Janitor(self.database, self._clock, self._parts.conductor.placer, settings=self._parts.settings)

    def _beat_control(self) -> bool:
        self._parts.conductor.beats.beat_control(self._parts.host)
        return False
