"""The composition root: which store, bus, driver, identity and images a process has, and what it serves.

Nothing else in Kilonova knows the shape that it runs in (design §1.8).
"""

import fcntl
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from kilonova.api.front import Application, Front
from kilonova.bus import SEQUENCER, Bus
from kilonova.bus.memory import MemoryBus
from kilonova.config import Settings
from kilonova.domain.errors import NotFound, SettingsUnusable, Unusable
from kilonova.domain.images import Image, ImageQuery
from kilonova.domain.model import Clock, Instant
from kilonova.drivers.choice import choose
from kilonova.drivers.protocol import Driver
from kilonova.identity.embedded import EmbeddedIdentity
from kilonova.identity.first_start import DEFAULT_DOMAIN, bootstrap_identity
from kilonova.images.embedded import EmbeddedImages, OfferedImage
from kilonova.images.seam import Viewer
from kilonova.images.wishes import Wish
from kilonova.network.embedded import FlatNetwork
from kilonova.services.compute import Agent
from kilonova.services.conductor import Conductor
from kilonova.services.driver_calls import DriverCalls
from kilonova.services.loop import Loop
from kilonova.services.plane import Plane, PlaneParts
from kilonova.services.retention import Retention
from kilonova.services.safe import Safe
from kilonova.services.settings import PlaneSettings, check_leases
from kilonova.store.database import Database
from kilonova.store.flavors import seed_flavors
from kilonova.store.identity import StoredIdentity
from kilonova.store.images import StoredImages

_HOUR_SECONDS = 3600.0


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


def present() -> Instant:
    """The machine's time."""
    return Instant(time.time_ns() // 1000)


def build(settings: Settings, *, clock: Clock = present) -> Cloud:
    """Put the embedded shape together: database opened and current, driver chosen, nothing running.

    Raises ``Unusable`` or ``HypervisorUnavailable`` with one sentence for whoever started the process.
    """
    check_leases(settings.DEFAULT)
    choice = choose(settings.kilonova.driver)
    state_dir = open_state_dir(settings)
    settings = replace(settings, DEFAULT=replace(settings.DEFAULT, host=_host(settings, state_dir)))
    lock = _only_one(state_dir)
    database = open_database(settings)
    bus = MemoryBus()
    database.on_journal = lambda: bus.prod(SEQUENCER)
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
    )
    return Cloud(
        settings=settings,
        state_dir=state_dir,
        database=database,
        identity=ground.identity,
        images=images,
        plane=_plane(ground, _drivers(choice.driver_name, settings, state_dir)),
        driver_name=choice.driver_name,
        driver_reason=choice.reason,
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


def application(cloud: Cloud) -> Application:
    """Everything that the cloud serves over HTTP, as one ASGI application."""
    from kilonova.api.app import ComputeApi
    from kilonova.api.state import StateApi
    from kilonova.identity.catalog import Catalog
    from kilonova.identity.http import identity_app
    from kilonova.images.http import image_app
    from kilonova.network.http import network_app
    from kilonova.store.plugs import StoredPlugs

    threads, largest = cloud.settings.kilonova.threads, cloud.settings.api.max_request_body_size
    flat = FlatNetwork(label=cloud.settings.DEFAULT.network_label, cidr=cloud.settings.DEFAULT.network_cidr)
    state = StateApi(cloud.plane, cloud.identity, threads=threads, max_body=largest)
    return Front(
        {
            "/compute": ComputeApi(cloud.plane, cloud.identity, threads=threads, max_body=largest),
            "/identity": identity_app(cloud.identity, catalog=Catalog()),
            "/image": image_app(cloud.images, identity=cloud.identity),
            "/network": network_app(flat, servers=StoredPlugs(cloud.database), identity=cloud.identity),
            "/state": state,
            "/healthz": state,
        }
    )


def open_database(settings: Settings) -> Database:
    """The database, its schema made or brought up to date; StoreUnusable if it cannot be used."""
    default = f"sqlite:///{open_state_dir(settings) / 'kilonova.sqlite'}"
    database = Database(settings.database.connection or default)
    database.open()
    return database


def upgrade_database(settings: Settings) -> None:
    """Bring the database's schema up to date; Unusable while a Kilonova runs on the state directory."""
    with _only_one(open_state_dir(settings)):
        open_database(settings).close()


def open_state_dir(settings: Settings) -> Path:
    """The state directory, made for its owner alone if it is not there; SettingsUnusable if it cannot be written."""
    default = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "kilonova"
    directory = Path(settings.kilonova.state_dir).expanduser() if settings.kilonova.state_dir else default
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = directory / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsUnusable(
            f"The state directory {directory} cannot be written: {error.strerror}. Choose another with --state-dir."
        ) from error
    return directory.resolve()


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


@dataclass(frozen=True, slots=True)
class _Member:
    """Anybody of a project, as images see them."""

    project_id: str | None
    roles: frozenset[str] = frozenset({"reader"})
    is_admin: bool = False


class _ImageSource:
    """The embedded images, as the use cases and the agents see them."""

    def __init__(self, images: EmbeddedImages) -> None:
        self._images = images

    def find_image(self, image_id: str, *, project_id: str | None) -> Image | None:
        try:
            return self._images.get_image(image_id, _Member(project_id))
        except NotFound:
            return None

    def fetch(self, image_id: str, destination: Path) -> None:
        self._images.fetch(image_id, destination)

    def list_images(self, query: ImageQuery) -> Sequence[Image]:
        return self._images.list_images(query)

    def delete_image(self, image_id: str, viewer: Viewer) -> None:
        self._images.delete_image(image_id, viewer)

    def set_properties(self, image_id: str, viewer: Viewer, properties: Mapping[str, str | None]) -> Image:
        return self._images.update_image(image_id, Wish(properties=properties), viewer)


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


def _drivers(name: str, settings: Settings, state_dir: Path) -> Sequence[tuple[str, Driver]]:
    """One driver a host; only the simulated one stands for more than this machine."""
    host = settings.DEFAULT.host
    if name == "qemu":
        from kilonova.drivers.qemu.driver import QemuDriver

        return [(host, QemuDriver(state_dir=state_dir / "qemu", node=host))]
    from kilonova.drivers.simulated import SimulatedDriver, Timed

    process = settings.kilonova
    hosts = [host] if process.simulate_hosts == 1 else [f"{host}-{n}" for n in range(1, process.simulate_hosts + 1)]
    return [
        (
            one,
            SimulatedDriver(nodes=(one,), state_dir=state_dir / "simulated" / one, pace=Timed(process.simulate_pace)),
        )
        for one in hosts
    ]


def _plane(ground: _Ground, drivers: Sequence[tuple[str, Driver]]) -> Plane:
    settings, source = ground.settings, _ImageSource(ground.images)
    conductor = Conductor(
        ground.database, ground.bus, ground.clock, settings=settings.DEFAULT, scheduler=settings.scheduler
    )
    safe = Safe()
    agents = [
        Agent(
            host,
            driver,
            conductor,
            DriverCalls(driver, source, safe, settings=settings.DEFAULT),
            settings=settings.DEFAULT,
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
            is_project=lambda project_id: ground.identity.records.find_project(project_id) is not None,
            chores=[_forgetting_tokens(ground), _forgetting_the_past(ground)],
            safe=safe,
        )
    )


def _forgetting_tokens(ground: _Ground) -> Loop:
    """Removes tokens that expired."""

    def step() -> bool:
        ground.identity.purge_expired(ground.clock())
        return False

    return Loop("expired tokens", step, period_seconds=_HOUR_SECONDS)


def _forgetting_the_past(ground: _Ground) -> Loop:
    """Removes what is in the journal, and decisions, beyond their retention."""
    days = ground.settings.kilonova.journal_retention_days
    return Loop("retention", Retention(ground.database, ground.clock, days=days).step, period_seconds=_HOUR_SECONDS)


def shown_settings(settings: Settings) -> PlaneSettings:
    """What of the settings the API shows or enforces."""
    return PlaneSettings(
        limits=settings.quota.limits,
        max_limit=settings.api.max_limit,
        default_availability_zone=settings.DEFAULT.default_availability_zone,
        internal_service_availability_zone=settings.DEFAULT.internal_service_availability_zone,
        service_down_seconds=settings.DEFAULT.service_down_time,
        enable_instance_password=settings.api.enable_instance_password,
        compute_link_prefix=settings.api.compute_link_prefix or None,
        network_label=settings.DEFAULT.network_label,
    )
