"""The control plane as a whole: the use cases that the API calls, and the loops behind them.

Everything is given from outside (``bootstrap``). With ``start`` it runs by itself; a test calls ``settle`` instead,
which does all there is to do in the caller's thread.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kilonova.bus import CONDUCTOR, SEQUENCER, Bus, host_topic
from kilonova.domain.diagnostics import Reading
from kilonova.domain.errors import Conflict
from kilonova.domain.images import Image
from kilonova.domain.model import Clock, Instance, Instant, Request
from kilonova.domain.operations import Operation, get_operation
from kilonova.identity.caller import Caller
from kilonova.network.embedded import FlatNetwork
from kilonova.services.addresses import Addresses
from kilonova.services.audience import Audience
from kilonova.services.caching import ImageCaching
from kilonova.services.choosing import Chooser
from kilonova.services.compute import Agent
from kilonova.services.conductor import Conductor
from kilonova.services.confirming import Confirmer
from kilonova.services.consoles import Consoles
from kilonova.services.crier import Crier
from kilonova.services.diagnosing import Diagnosing
from kilonova.services.external import External, ExternalEvent
from kilonova.services.feed import Feed
from kilonova.services.gallery import Gallery
from kilonova.services.janitor import Janitor
from kilonova.services.lapsing import Lapser, lapses_of
from kilonova.services.leftovers import Leftovers, Shelf
from kilonova.services.liveness import is_host_up
from kilonova.services.loop import Loop, Rota
from kilonova.services.monitor import Around, Monitor
from kilonova.services.ports import Ports
from kilonova.services.preparing import HostFacts, Preparation
from kilonova.services.relay import Relay
from kilonova.services.safe import Safe
from kilonova.services.sampling import groups
from kilonova.services.sequencer import Sequencer
from kilonova.services.server_facts import Turning
from kilonova.services.servers import ServerOrder, Servers, ServerUpdate
from kilonova.services.settings import PlaneSettings, QuotaSettings, ServiceSettings
from kilonova.services.statistics import Statistics
from kilonova.services.watching import WATCH_SECONDS, Watcher
from kilonova.store.database import Database

_TICK_SECONDS = 1.0
_JITTER = 0.1
_RECOUNT_SECONDS = 600.0
_SEARCH_SECONDS = 60.0
_SWEEP_SECONDS = 5.0
_DEFAULT_COMPARISON_SECONDS = 60.0
_REMOVAL_SECONDS = 600.0
_MOST_ROUNDS = 1000
_MOST_TOLD = 5
_DRAIN_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneParts:
    """What a plane is made of, each chosen by ``bootstrap``.

    ``host`` is the name of the control plane's services, ``chores`` what else has to be done now and then;
    ``is_project`` says whether the identity service knows a project; ``relay`` is None where another process carries
    the journal to the sinks.
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
    feed: Feed
    relay: Relay | None = None
    chores: Sequence[Loop] = ()
    audit: Callable[[], bool] = lambda: False
    safe: Safe = field(default_factory=Safe)


class Plane:
    """One process that has everything: the embedded shape."""

    def __init__(self, parts: PlaneParts) -> None:
        self.database = parts.database
        self.settings = parts.shown
        self._clock = parts.clock
        self.gallery = parts.images
        self._parts = parts
        self.audience = Audience(parts.bus, parts.shown.feed)
        self.feed = parts.feed
        self.relay = parts.relay
        self._agents = {agent.host: agent for agent in parts.agents}
        drivers = {agent.host: agent.driver for agent in parts.agents}
        self.consoles = Consoles(parts.database, parts.clock, drivers, parts.shown.consoles)
        network = FlatNetwork(label=parts.settings.network_label, cidr=parts.settings.network_cidr)
        self.ports = Ports(parts.database, parts.clock, network)
        self.addresses = Addresses(parts.database, parts.clock, self.ports)
        self._servers = Servers(
            parts.database,
            parts.bus,
            parts.clock,
            Preparation(
                parts.database,
                parts.images,
                parts.safe,
                ports=self.ports,
                hosts=HostFacts(
                    is_able=self._is_able,
                    is_up=self._is_up,
                    needs_agent=self._needs_agent,
                    check_live_move=parts.conductor.live_moves.check,
                    default_zone=parts.settings.default_availability_zone,
                ),
                workflows=parts.conductor.workflows,
            ),
            settings=parts.settings,
            quota=parts.quota,
        )
        self.watcher = Watcher(parts.database, parts.clock, parts.conductor.beats, settings=parts.settings)
        self.monitor = self._monitor()
        self.statistics = Statistics(parts.clock, settings=parts.shown.statistics)
        parts.conductor.on_samples = self.statistics.take
        self._diagnosing = Diagnosing(self.statistics, parts.clock, self._agents, self._is_up)
        self._external = External(parts.database, parts.clock)
        self._caching = ImageCaching(parts.database, parts.clock, parts.images, self._agents)
        self._caching_loop = Loop("image caching", self._caching.step, period_seconds=None)
        self._work = self._work_loops()
        self._sweeps = self._sweeping_loops()
        self._beating = self._beat_loops()
        housekeeping = [*self._sweeps, *self._housekeeping_loops(), *self._watching_loops(), *parts.chores]
        self._loops = [*self._work, *self._beating, *housekeeping]
        # Heartbeats have threads of their own: whatever else hangs, they go on.
        self._rotas = [Rota("beat", self._beating, most_threads=4), Rota("loop", [*self._work, *housekeeping])]

    @property
    def agents(self) -> list[Agent]:
        """The agents in this process."""
        return list(self._agents.values())

    @property
    def conductor(self) -> Conductor:
        """The control plane's side of the agents' door."""
        return self._parts.conductor

    @property
    def chooser(self) -> Chooser:
        """Where servers would go, without anything being written."""
        return self._parts.conductor.placer.chooser

    @property
    def troubles(self) -> list[str]:
        """The names of the loops that fail at the moment, as when a disk is full; their errors are in the log."""
        troubles = [loop.name for loop in self._loops if loop.is_failing]
        return troubles if self.relay is None else [*troubles, *self.relay.troubles]

    @property
    def reads_inline(self) -> bool:
        """Whether a read of one record costs less than a change of threads."""
        return self.database.is_embedded

    def now(self) -> Instant:
        """The control plane's time."""
        return self._clock()

    def start(self, *, concurrently: bool = True) -> None:
        """Bring the agents up; with ``concurrently`` everything then runs by itself."""
        conductor, agents = self._parts.conductor, self._agents.values()
        self.monitor.step()
        for agent in agents:
            agent.prepare()
        conductor.welcome([agent.state() for agent in agents])
        conductor.beats.beat_control(self._parts.host)
        for agent in agents:
            agent.start(concurrently=concurrently)
        conductor.beats.flush()
        if concurrently:
            for rota in self._rotas:
                rota.start()
            if self.relay is not None:
                self.relay.start()

    def drain(self, *, seconds: float, tell: Callable[[str], None]) -> bool:
        """Take no more work, and wait at most so long for what is in hand; True if nothing is any more.

        ``tell`` hears what is waited for, each time that it is something else.
        """
        agents = list(self._agents.values())
        for agent in agents:
            agent.rest()
        until, told = time.monotonic() + seconds, ""
        while in_hand := [each for agent in agents for each in agent.wait_idle(0)]:
            left = until - time.monotonic()
            text = f"{len(in_hand)} operations: {', '.join(in_hand[:_MOST_TOLD])}{' …' if in_hand[_MOST_TOLD:] else ''}"
            if text != told:
                tell(f"Waiting at most {max(left, 0):.0f} s for {text}")
                told = text
            if left <= 0:
                return False
            busy = next(agent for agent in agents if agent.wait_idle(0))
            busy.wait_idle(min(left, _DRAIN_LOOK_SECONDS))
        return True

    def stop(self) -> None:
        """Finish what is in hand and stop; guests keep running, and what is open goes on at the next start."""
        for rota in self._rotas:
            rota.stop()
        if self.relay is not None:
            self.relay.stop()
        for agent in self._agents.values():
            agent.stop()
        self._parts.conductor.let_go([agent.run_id for agent in self._agents.values()])
        self._parts.conductor.beats.flush()

    def settle(self) -> None:
        """Do everything there is to do, here and now. For planes that were not started concurrently."""
        for _ in range(_MOST_ROUNDS):
            # Every loop takes a step, also after one that had work: hence a list, not a generator.
            if not any([loop.step() for loop in self._work]):  # noqa: C419
                return
        raise RuntimeError("the plane does not come to rest")

    def tidy(self) -> None:
        """Do once, here and now, what the sweeping loops do now and then. For planes not started concurrently."""
        for loop in self._sweeps:
            loop.step()

    def audit(self, *, steps: int) -> bool:
        """Tell what was used in periods that are over, ``steps`` batches of servers at most; True if more is due."""
        return all(self._parts.audit() for _ in range(steps))

    def sweep(self) -> None:
        """Look once for what nobody ended or confirmed. For planes that were not started concurrently."""
        for loop in self._sweeping_loops():
            loop.step()

    def is_project(self, project_id: str) -> bool:
        """Whether there is such a project, as far as the identity service can tell."""
        return self._parts.is_project(project_id)

    def find_image(self, image_id: str, caller: Caller) -> Image | None:
        """The image as this caller may see it."""
        return self.gallery.find_image(image_id, project_id=caller.project_id)

    def cache_images(self, request: Request, aggregate_id: int, image_ids: Sequence[str]) -> None:
        """See ``ImageCaching.ask``."""
        self._caching.ask(request, aggregate_id, image_ids)
        self._caching_loop.prod()

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

    def take_event(self, request: Request, event: ExternalEvent) -> int:
        """See ``External.take``."""
        return self._external.take(request, event)

    def console_output(self, instance: Instance, *, lines: int | None) -> str:
        """What the guest wrote to its serial console; Conflict while it has no host (contract §6.6)."""
        agent = self._agents.get(instance.host or "")
        if agent is None:
            raise Conflict(f"Instance {instance.uuid} is not ready")
        return agent.console_log(instance.uuid, lines=lines)

    def diagnose(self, instance: Instance) -> Reading | None:
        """See ``Diagnosing.read``."""
        return self._diagnosing.read(instance)

    def _is_able(self, host: str, operation: Operation) -> bool:
        """Whether a host's driver has what the operation needs; an agent elsewhere says so itself where it has not."""
        agent = self._agents.get(host)
        return agent is None or agent.is_able(operation)

    def _needs_agent(self, host: str) -> bool:
        agent = self._agents.get(host)
        return agent is not None and agent.needs_guest_agent

    def _is_up(self, host: str) -> bool:
        with self.database.read() as connection:
            return is_host_up(connection, host, now=self._clock(), settings=self._parts.settings)

    def _work_loops(self) -> list[Loop]:
        conductor, bus = self._parts.conductor, self._parts.bus
        work = Loop("conductor", conductor.step, period_seconds=_TICK_SECONDS)
        bus.listen(CONDUCTOR, work.prod)
        sequencer = Loop("sequencer", Sequencer(self.database, bus).step, period_seconds=_TICK_SECONDS)
        bus.listen(SEQUENCER, sequencer.prod)
        loops = [work, sequencer, self._caching_loop]
        for host, agent in self._agents.items():
            # No tick of its own: the crier finds for all of them who has work.
            loop = Loop(f"agent {host}", agent.step, period_seconds=None)
            bus.listen(host_topic(host), loop.prod)
            agent.prod = loop.prod
            loops.append(loop)
        return loops

    def _sweeping_loops(self) -> list[Loop]:
        steps = {
            "janitor": self._janitor().step,
            "leftovers": Leftovers(self.database, self.gallery).step,
            "confirmer": self._confirmer().step,
            "turning": Turning(self.database, self._clock, settings=self._parts.settings).step,
        }
        sweeps = [Loop(name, step, period_seconds=_SWEEP_SECONDS) for name, step in steps.items()]
        settings = self._parts.settings
        for lapse in lapses_of(settings):
            step = Lapser(self.database, self._clock, self._servers, lapse).step
            period = settings.shelved_poll_interval if lapse.then == "shelve_offload" else _SWEEP_SECONDS
            sweeps.append(Loop(f"lapse of {lapse.name}", step, period_seconds=period))
        seldom = {"shelf": Shelf(self.database, self.gallery).step, "console tokens": self.consoles.sweep}
        return [*sweeps, *(Loop(name, step, period_seconds=_REMOVAL_SECONDS) for name, step in seldom.items())]

    def _confirmer(self) -> Confirmer:
        confirm = get_operation("confirm_resize")
        return Confirmer(
            self.database,
            self._clock,
            lambda request, instance: self._servers.act(request, instance, confirm, {}, may_override_lock=True),
            window_seconds=self._parts.settings.resize_confirm_window,
        )

    def _beat_loops(self) -> list[Loop]:
        beats, settings = self._parts.conductor.beats, self._parts.settings
        interval = settings.report_interval
        return [
            Loop("beats", beats.flush, period_seconds=settings.flush_seconds),
            Loop("control beat", self._beat_control, period_seconds=interval, jitter=_JITTER),
            *(
                Loop(f"beat {host}", agent.beat, period_seconds=interval, jitter=_JITTER)
                for host, agent in self._agents.items()
            ),
        ]

    def _housekeeping_loops(self) -> list[Loop]:
        settings = self._parts.settings
        prods = {host: agent.prod for host, agent in self._agents.items()}
        loops = [
            Loop("crier", Crier(self.database, prods).step, period_seconds=_TICK_SECONDS),
        ]
        # Guests that are one too many are removed also where power states are not compared.
        interval = settings.sync_power_state_interval
        period = (interval or _DEFAULT_COMPARISON_SECONDS) if interval >= 0 else _REMOVAL_SECONDS
        loops += [
            Loop(f"compare {host}", agent.compare, period_seconds=period, jitter=_JITTER)
            for host, agent in self._agents.items()
        ]
        return loops

    def _watching_loops(self) -> list[Loop]:
        interval = self._parts.settings.report_interval
        looks = [
            Loop(f"look {host}", agent.look, period_seconds=interval, jitter=_JITTER)
            for host, agent in self._agents.items()
        ]
        return [
            *self._sampling_loops(),
            Loop("watcher", self.watcher.step, period_seconds=WATCH_SECONDS),
            Loop("tallies", self.monitor.step, period_seconds=_TICK_SECONDS),
            Loop("recount", self.monitor.recount, period_seconds=_RECOUNT_SECONDS),
            Loop("stuck", self.monitor.search, period_seconds=_SEARCH_SECONDS),
            *looks,
        ]

    def _sampling_loops(self) -> list[Loop]:
        """Those that count guests: none where that is switched off."""
        interval = self.statistics.interval
        able = [agent.sampler for agent in self._agents.values() if interval and agent.sampler.is_able]
        return [
            Loop(f"samples {number}", step, period_seconds=interval, jitter=_JITTER)
            for number, step in enumerate(groups(able), start=1)
        ]

    def _monitor(self) -> Monitor:
        around = Around(
            gallery=self.gallery,
            failing=lambda: len(self.troubles),
            heard=lambda: self._parts.conductor.beats.heard_total,
            bus_trouble=self._parts.bus.trouble,
        )
        stuck_after = self.settings.stuck_after_seconds
        watch = self._parts.settings.watch
        return Monitor(self.database, self._clock, around, watch=watch, stuck_after_seconds=stuck_after)

    def _janitor(self) -> Janitor:
        return Janitor(self.database, self._clock, self._parts.conductor, settings=self._parts.settings)

    def _beat_control(self) -> bool:
        self._parts.conductor.beats.beat_control(self._parts.host)
        return False
