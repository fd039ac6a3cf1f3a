"""The composition root: which store, bus, driver, identity and images a process has, and what it serves.

Nothing else in Kilonova knows the shape that it runs in (design §1.8).
"""

import fcntl
import logging
import secrets
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from kilonova.api.front import Application, Front
from kilonova.api.policy import Policy
from kilonova.api.policy_file import policy_in_force
from kilonova.api.proxied import BehindProxy
from kilonova.bootstrap_drivers import drivers_of, moves_at_home
from kilonova.bootstrap_feed import FeedGround, build_feed, build_relay
from kilonova.bootstrap_place import open_database, open_state_dir, present
from kilonova.bus import SEQUENCER, Bus
from kilonova.bus.memory import MemoryBus
from kilonova.config import Settings
from kilonova.domain.audit import parse_cycle
from kilonova.domain.errors import SettingsUnusable, Unusable
from kilonova.domain.model import SECOND, Clock
from kilonova.drivers.choice import Surroundings, choose
from kilonova.drivers.protocol import Driver
from kilonova.identity.embedded import EmbeddedIdentity
from kilonova.identity.first_start import DEFAULT_DOMAIN, bootstrap_identity
from kilonova.images.embedded import EmbeddedImages, OfferedImage
from kilonova.images.source import ImageSource
from kilonova.network.embedded import FlatNetwork
from kilonova.services.audit import Auditor
from kilonova.services.choosing import rules_of
from kilonova.services.compute import Agent, Person
from kilonova.services.conductor import Conductor
from kilonova.services.console_settings import RemoteConsoleSettings
from kilonova.services.crew import Crew
from kilonova.services.deadlines import deadlines_of
from kilonova.services.driver_calls import DriverCalls
from kilonova.services.feed import Feed
from kilonova.services.loop import Loop
from kilonova.services.plane import Plane, PlaneParts
from kilonova.services.relay import Relay
from kilonova.services.retention import Keeping, Retention
from kilonova.services.safe import Safe
from kilonova.services.settings import PlaneSettings, check_heartbeats, check_leases
from kilonova.services.silence import make_mortal
from kilonova.store.database import Database
from kilonova.store.flavors import seed_flavors
from kilonova.store.identity import StoredIdentity
from kilonova.store.images import StoredImages

_log = logging.getLogger(__name__)
_HOUR_SECONDS = 3600.0
_PLAY_SECONDS = 0.25
_MINUTE_SECONDS = 60.0
_MOST_AT_ONCE = 64
"""Operations that are carried out at the same time by all agents of a process."""

__all__ = ["Cloud", "application", "build", "build_relay", "open_database", "open_state_dir", "upgrade_database"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A cloud that is put together but does not run yet."""

    settings: Settings
    state_dir: Path
    database: Database
    identity: EmbeddedIdentity
    images: EmbeddedImages
    plane: Plane
    driver_name: str
    driver_reason: str
    policy: Policy
    doubts: tuple[str, ...]
    """Sentences about settings that may be mistakes."""
    lock: IO[str]
    """Held as long as the cloud is: one process a state directory."""

    def close(self) -> None:
        """Finish what is in hand, stop, and let go of everything."""
        self.plane.stop()
        self.database.close()
        self.lock.close()

    def has_accounts(self) -> bool:
        """Whether the administrator exists already."""
        return self.identity.records.find_user_by_name("admin", DEFAULT_DOMAIN) is not None

    def ensure_basics(self, *, password: str) -> None:
        """Make what is missing of: accounts, flavors, the tiny image. ``password`` is for a new administrator alone."""
        from kilonova.images.guests import tiny

        people = bootstrap_identity(self.identity.records, password=password)
        offer = OfferedImage(name="tiny", data=tiny.image(), owner=people.admin_project_id, properties={})
        self.images.ensure_image(offer)
        with self.database.transaction() as tx:
            seed_flavors(tx, self.plane.now())


def build(settings: Settings, *, clock: Clock = present) -> Cloud:
    """Put the embedded shape together: database opened and current, driver chosen, nothing running.

    Raises ``Unusable`` or ``HypervisorUnavailable`` with one sentence for whoever started the process.
    """
    settings = replace(settings, DEFAULT=check_heartbeats(settings.DEFAULT))
    check_leases(settings.DEFAULT)
    policy, doubts = policy_in_force(settings.oslo_policy)
    state_dir = open_state_dir(settings)
    around = Surroundings(libvirt_uri=settings.libvirt.connection_uri, state_dir=state_dir)
    choice = choose(settings.kilonova.driver, around)
    if settings.kilonova.scenario and choice.driver_name != "simulated":
        raise SettingsUnusable("Only the simulated driver plays a scenario: start with --driver simulated.")
    settings = replace(settings, DEFAULT=replace(settings.DEFAULT, host=_host(settings, state_dir)))
    if moves_at_home(choice.driver_name, settings):
        settings = replace(settings, DEFAULT=replace(settings.DEFAULT, allow_resize_to_same_host=True))
    lock = _only_one(state_dir)
    database = open_database(settings)
    bus = MemoryBus()
    database.on_journal = lambda: bus.prod(SEQUENCER)
    database.deadlines = deadlines_of(settings.DEFAULT)
    images = EmbeddedImages(
        StoredImages(database), state_dir / "images", clock=clock, most_bytes=settings.image.image_size_cap
    )
    images.recover()
    ground = _Ground(
        settings=settings,
        database=database,
        bus=bus,
        clock=clock,
        identity=EmbeddedIdentity(StoredIdentity(database), clock=clock, token_seconds=settings.token.expiration),
        images=images,
        scratch=_emptied(state_dir / "scratch"),
    )
    return Cloud(
        settings=settings,
        state_dir=state_dir,
        database=database,
        identity=ground.identity,
        images=images,
        plane=_plane(ground, drivers_of(choice.driver_name, settings, state_dir)),
        driver_name=choice.driver_name,
        driver_reason=choice.reason,
        policy=policy,
        doubts=doubts,
        lock=lock,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What a plane stands on."""

    settings: Settings
    database: Database
    bus: Bus
    clock: Clock
    identity: EmbeddedIdentity
    images: EmbeddedImages
    scratch: Path
    """For what is on its way, and of no use to anybody once this process has ended."""


def application(cloud: Cloud, *, base: str | None = None) -> Application:
    """Everything that the cloud serves over HTTP, as one ASGI application.

    ``base`` is the address at which it can be reached from here; without it there is no console, which asks the cloud
    as any other client does.
    """
    from kilonova.api.app import ComputeApi
    from kilonova.api.state import StateApi
    from kilonova.identity.catalog import Catalog
    from kilonova.identity.http import identity_app
    from kilonova.images.http import image_app
    from kilonova.network.http import network_app
    from kilonova.store.plugs import StoredPlugs

    threads, largest = cloud.settings.kilonova.threads, cloud.settings.oslo_middleware.max_request_body_size
    flat = FlatNetwork(label=cloud.settings.DEFAULT.network_label, cidr=cloud.settings.DEFAULT.network_cidr)
    for doubt in cloud.doubts:
        _log.warning(doubt)
    metrics = replace(cloud.settings.metrics, token=cloud.settings.metrics.token or _scrape_token(cloud.state_dir))
    state = StateApi(
        cloud.plane, cloud.identity, policy=cloud.policy, metrics=metrics, threads=threads, max_body=largest
    )
    rooms: dict[str, Application] = {"/console": _console(base)} if base else {}
    front = Front(
        rooms
        | {
            "/compute": ComputeApi(cloud.plane, cloud.identity, policy=cloud.policy, threads=threads, max_body=largest),
            "/identity": identity_app(cloud.identity, catalog=Catalog()),
            "/image": image_app(cloud.images, identity=cloud.identity),
            "/network": network_app(
                flat, servers=StoredPlugs(cloud.database), ports=cloud.plane.ports, identity=cloud.identity
            ),
            "/state": state,
            "/healthz": state,
            "/readyz": state,
            "/metrics": state,
        }
    )
    return BehindProxy(front) if cloud.settings.oslo_middleware.enable_proxy_headers_parsing else front


def _console(base: str) -> Application:
    """The console, imported when somebody first asks for it: a start must not pay for it."""
    made: list[Application] = []

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if not made:
            from kilonova.console.accounts import Place
            from kilonova.console.web.app import Console

            made.append(Console(Place(auth_url=f"{base}/identity/v3")).application())
        await made[0](scope, receive, send)

    return serve


def upgrade_database(settings: Settings) -> None:
    """Bring the database's schema up to date; Unusable while a Kilonova runs on the state directory."""
    with _only_one(open_state_dir(settings)):
        open_database(settings).close()


def _emptied(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    return directory


def _only_one(directory: Path) -> IO[str]:
    lock = (directory / "lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise Unusable(
            f"Another Kilonova already runs on the state directory {directory}; stop it or choose another."
        ) from error
    return lock


def _host(settings: Settings, state_dir: Path) -> str:
    """The name of this host: that of the first start, whatever the machine is called since.

    Servers and claims are bound to it. SettingsUnusable where the settings now name another one.
    """
    kept, wanted = state_dir / "host", settings.DEFAULT.host
    if not kept.exists():
        kept.write_text((wanted or socket.gethostname()) + "\n", "utf-8")
    name = kept.read_text("utf-8").strip()
    if wanted and wanted != name:
        raise SettingsUnusable(
            f"The setting host in [DEFAULT] is {wanted}, but the servers in {state_dir} belong to the host {name}. "
            "Leave the setting out, or start with another state directory."
        )
    return name


def _scrape_token(state_dir: Path) -> str:
    """What Prometheus shows to get the metrics of this cloud; for its owner's eyes, and good for nothing else."""
    kept = state_dir / "metrics-token"
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(32) + "\n", "utf-8")
    return kept.read_text("utf-8").strip()


def _agent_id(state_dir: Path) -> str:
    """What the agents of this state directory are known by, in every run of them."""
    kept = state_dir / "agent"
    if not kept.exists():
        kept.write_text(f"{uuid4()}\n", "utf-8")
    return kept.read_text("utf-8").strip()


def _plane(ground: _Ground, drivers: Sequence[tuple[str, Driver]]) -> Plane:
    settings, source = ground.settings, ImageSource(ground.images)
    conductor = Conductor(
        ground.database,
        ground.bus,
        ground.clock,
        settings=settings.DEFAULT,
        scheduler=settings.scheduler,
        rules=rules_of(settings.filter_scheduler),
    )
    safe, agent_id = Safe(), _agent_id(open_state_dir(settings))
    feed, relay = _feed(ground)
    crew = Crew(most=min(settings.DEFAULT.max_concurrent_builds * len(drivers), _MOST_AT_ONCE))
    auditor = Auditor(ground.database, ground.clock, parse_cycle(settings.DEFAULT.instance_usage_audit_period))
    agents = [
        Agent(
            Person(host=host, agent_id=f"{agent_id}-{host}", clock=ground.clock),
            driver,
            conductor,
            DriverCalls(driver, source, safe, settings=settings.DEFAULT, scratch=ground.scratch),
            settings=settings.DEFAULT,
            crew=crew,
        )
        for host, driver in drivers
    ]
    return Plane(
        PlaneParts(
            database=ground.database,
            bus=ground.bus,
            clock=ground.clock,
            images=source,
            conductor=conductor,
            agents=agents,
            settings=settings.DEFAULT,
            quota=settings.quota,
            shown=shown_settings(settings),
            host=settings.DEFAULT.host,
            feed=feed,
            relay=relay if settings.feed.relay else None,
            is_project=lambda project_id: ground.identity.records.find_project(project_id) is not None,
            chores=[
                _forgetting_tokens(ground),
                _forgetting_the_past(ground),
                *_auditing(ground, auditor),
                *_playing(ground, agents),
            ],
            audit=auditor.step,
            safe=safe,
        )
    )


def _feed(ground: _Ground) -> tuple[Feed, Relay]:
    """In the one process of a state directory, which after a crash takes up its own leases at once."""
    settings, state_dir = ground.settings, open_state_dir(ground.settings)
    owner = f"{settings.DEFAULT.host}:{state_dir}"[-255:]
    return build_feed(FeedGround(settings, ground.database, ground.bus, ground.clock), state_dir, owner=owner)


def _forgetting_tokens(ground: _Ground) -> Loop:
    """Removes tokens that expired."""

    def step() -> bool:
        ground.identity.purge_expired(ground.clock())
        return False

    return Loop("expired tokens", step, period_seconds=_HOUR_SECONDS)


def _forgetting_the_past(ground: _Ground) -> Loop:
    """Removes what is in the journal, and decisions, beyond their retention."""
    process = ground.settings.kilonova
    keeping = Keeping(
        days=process.journal_retention_days,
        megabytes=process.journal_size_mb,
        patience_days=process.journal_patience_days,
    )
    retention = Retention(ground.database, ground.clock, keeping=keeping)
    return Loop("retention", retention.step, period_seconds=_MINUTE_SECONDS)


def _playing(ground: _Ground, agents: Sequence[Agent]) -> list[Loop]:
    """Lets a scenario's events happen, and its agents die; none where no scenario is played."""
    if not ground.settings.kilonova.scenario:
        return []
    from kilonova.drivers.simulated import Play, StagedDriver, load_scenario

    hosts = []
    for agent in agents:
        if isinstance(agent.driver, StagedDriver):
            agent.driver.on_silence = make_mortal(agent)
            hosts.append(agent.driver)
    scenario = load_scenario(Path(ground.settings.kilonova.scenario))
    play = Play(scenario, hosts, seconds=lambda: ground.clock() / SECOND)
    return [Loop("scenario", play.step, period_seconds=_PLAY_SECONDS)]


def _auditing(ground: _Ground, auditor: Auditor) -> list[Loop]:
    """Tells what was used in every period, unless that is switched off."""
    is_wanted = ground.settings.DEFAULT.instance_usage_audit
    return [Loop("usage audit", auditor.step, period_seconds=_MINUTE_SECONDS)] if is_wanted else []


def shown_settings(settings: Settings) -> PlaneSettings:
    """What of the settings the API shows or enforces."""
    return PlaneSettings(
        limits=settings.quota.limits,
        max_limit=settings.api.max_limit,
        default_availability_zone=settings.DEFAULT.default_availability_zone,
        internal_service_availability_zone=settings.DEFAULT.internal_service_availability_zone,
        service_down_seconds=settings.DEFAULT.watch.down_seconds,
        service_late_seconds=settings.DEFAULT.watch.late_seconds,
        enable_instance_password=settings.api.enable_instance_password,
        compute_link_prefix=settings.api.compute_link_prefix or None,
        glance_link_prefix=settings.api.glance_link_prefix or None,
        network_label=settings.DEFAULT.network_label,
        audit_cycle=parse_cycle(settings.DEFAULT.instance_usage_audit_period),
        stuck_after_seconds=settings.DEFAULT.service_down_time + 2 * settings.DEFAULT.instance_lease,
        feed=settings.feed,
        statistics=settings.statistics,
        consoles=RemoteConsoleSettings(
            vnc=settings.vnc, serial_console=settings.serial_console, consoleauth=settings.consoleauth
        ),
    )
