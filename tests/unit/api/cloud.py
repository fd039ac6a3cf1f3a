"""The API over a real store and the real use cases; only images and identity are stand-ins, one for each seam."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from kilonova.api.app import ComputeApi
from kilonova.api.front import Front
from kilonova.api.state import StateApi
from kilonova.bus.memory import MemoryBus
from kilonova.domain.changes import Change
from kilonova.domain.diagnostics import Diagnostics, Reading
from kilonova.domain.errors import Conflict, Forbidden, Unauthenticated
from kilonova.domain.images import Image, ImageQuery, ImageStatus
from kilonova.domain.model import Instance, Instant, Request, after
from kilonova.domain.operations import Operation
from kilonova.domain.snapshots import ImageOrder
from kilonova.domain.states import PowerState, VmState
from kilonova.drivers.simulated import Instant as Now
from kilonova.drivers.simulated import SimulatedDriver
from kilonova.identity.caller import Caller, implied
from kilonova.network.embedded import FlatNetwork
from kilonova.services.addresses import Addresses
from kilonova.services.audience import Audience
from kilonova.services.choosing import Chooser
from kilonova.services.consoles import Consoles
from kilonova.services.external import External, ExternalEvent
from kilonova.services.feed import Feed
from kilonova.services.monitor import Around, Monitor
from kilonova.services.ports import Ports
from kilonova.services.preparing import HostFacts, Preparation
from kilonova.services.safe import Safe
from kilonova.services.servers import ServerOrder, Servers, ServerUpdate
from kilonova.services.settings import PlaneSettings, QuotaSettings, ServiceSettings
from kilonova.services.statistics import Statistics
from kilonova.sinks.kinds import SinkKinds
from kilonova.store import aggregates, changes, fleet, instances
from kilonova.store.database import Database
from kilonova.store.flavors import seed_flavors

BEGINNING = Instant(1_795_000_000_000_000)
IMAGE_ID = "32e58497-b8b0-46fc-898b-c2aeb44b3af0"
DEMO = "218d2ed7c22841aca99c50084e3cd349"
OTHER = "3b1d9f62c0a14e0f9b5b6c6b7f1a2b3c"
CAPTURES = Path(__file__).parents[2] / "data" / "captures"


def capture(name: str) -> dict[str, Any]:
    """A real Nova's answer, such as ``server-show@2.1``."""
    found: dict[str, Any] = json.loads((CAPTURES / f"{name}.json").read_text())
    return found


class Tokens:
    """Tokens are ``user:project:role``."""

    def authenticate(self, token: str) -> Caller:
        """Who the token names."""
        if token.count(":") != 2:
            raise Unauthenticated("The request you have made requires authentication.")
        user, project, role = token.split(":")
        roles = implied([role])
        return Caller(
            user_id=user,
            user_name=user,
            user_domain_id="default",
            project_id=project or None,
            project_name=project or None,
            project_domain_id="default",
            roles=roles,
            is_admin="admin" in roles,
            token_expires_at=after(BEGINNING, 3600),
        )


class OneImage:
    """An image service with a single public image, which administrators change."""

    def __init__(self) -> None:
        self.ordered: list[ImageOrder] = []
        self._base = Image(
            id=IMAGE_ID,
            name="tiny",
            status=ImageStatus.ACTIVE,
            visibility="public",
            owner=None,
            disk_format="raw",
            container_format="bare",
            created_at=BEGINNING,
            updated_at=BEGINNING,
            size=512,
            properties_json='{"hw_disk_bus": "virtio", "os_distro": "cirros"}',
        )
        self.image: Image | None = self._base

    def find_image(self, image_id: str, *, project_id: str | None) -> Image | None:
        """The image, to whoever asks for it."""
        return self.image if image_id == IMAGE_ID else None

    def list_images(self, query: ImageQuery) -> Sequence[Image]:
        """The image."""
        return [] if self.image is None else [self.image]

    def delete_image(self, image_id: str, viewer: Caller) -> None:
        """Delete it."""
        self._changeable(viewer)
        self.image = None

    def set_properties(self, image_id: str, viewer: Caller, properties: Mapping[str, str | None]) -> Image:
        """Change it."""
        image = self._changeable(viewer)
        merged = {key: value for key, value in {**image.properties, **properties}.items() if value is not None}
        self.image = replace(image, properties_json=json.dumps(merged))
        return self.image

    def check_order(self, order: ImageOrder) -> None:
        """Whatever it is called, it may be made."""

    def queue_image(self, order: ImageOrder) -> Image:
        """Remember what was ordered."""
        self.ordered.append(order)
        return replace(self._base, id=order.image_id, status=ImageStatus.QUEUED)

    def discard(self, image_id: str, *, unfinished_only: bool) -> None:
        """Forget what was ordered."""
        self.ordered = [order for order in self.ordered if order.image_id != image_id]

    def _changeable(self, viewer: Caller) -> Image:
        if not viewer.is_admin or self.image is None:
            raise Forbidden("This image is not yours.")
        return self.image


class QuietPlane:
    """The plane without anything that runs: what is accepted stays so until a test moves it on."""

    def __init__(self, database: Database, settings: PlaneSettings, quota: QuotaSettings) -> None:
        self.database = database
        self.settings = settings
        self.at = BEGINNING
        self.bus = MemoryBus()
        self.audience = Audience(self.bus, settings.feed)
        self.feed = Feed(database, lambda: self.at, SinkKinds(Path("/nowhere")), look_again=lambda: None)
        self.gallery = OneImage()
        self.unable: frozenset[str] = frozenset()
        """Operations that no host's driver does."""
        self.needs_agent = False
        """Whether passwords are set only in guests with QEMU's agent inside."""
        ports = Ports(database, lambda: self.at, FlatNetwork())
        self.addresses = Addresses(database, lambda: self.at, ports)
        preparation = Preparation(
            database,
            self.gallery,
            Safe(),
            ports=ports,
            hosts=HostFacts(
                is_able=lambda _, operation: operation.name not in self.unable,
                needs_agent=lambda _: self.needs_agent,
            ),
        )
        self.servers = Servers(
            database, self.bus, lambda: self.at, preparation, settings=ServiceSettings(), quota=quota
        )
        self.chooser = Chooser(lambda: self.at, settings=ServiceSettings())
        self.console = "booted\n"
        self.diagnostics: Diagnostics | None = None
        self.age_seconds = 0.0
        self.statistics = Statistics(lambda: self.at, settings=settings.statistics)
        around = Around(gallery=self.gallery, failing=lambda: 0, heard=lambda: 0, bus_trouble=self.bus.trouble)
        watch = ServiceSettings().watch
        self.driver = SimulatedDriver(pace=Now())
        self.consoles = Consoles(database, lambda: self.at, {"cmp-1": self.driver}, settings.consoles)
        self._monitor = Monitor(database, lambda: self.at, around, watch=watch, stuck_after_seconds=180)

    def diagnose(self, instance: Instance) -> Reading | None:
        if instance.host is None:
            raise Conflict(f"Instance {instance.uuid} is not ready")
        return None if self.diagnostics is None else Reading(counted=self.diagnostics, age_seconds=self.age_seconds)

    def audit(self, *, steps: int) -> bool:
        return False

    def is_project(self, project_id: str) -> bool:
        """Nobody can tell here."""
        return True

    def cache_images(self, request: Request, aggregate_id: int, image_ids: Sequence[str]) -> None:
        """No host is here to fetch any; the aggregate has to be there."""
        with self.database.read() as connection:
            aggregates.get_aggregate(connection, aggregate_id)

    @property
    def monitor(self) -> Monitor:
        """The real one; it counts what the test made so far."""
        self._monitor.step()
        return self._monitor

    @property
    def troubles(self) -> list[str]:
        """No loop runs here, and none fails."""
        return []

    @property
    def reads_inline(self) -> bool:
        """As SQLite would have it."""
        return True

    def now(self) -> Instant:
        """The test's time."""
        return self.at

    def create_server(self, request: Request, order: ServerOrder) -> Instance:
        """The real use case."""
        return self.servers.create(request, order)

    def act(
        self, request: Request, instance: Instance, operation: Operation, parameters: Any, *, may_override_lock: bool
    ) -> Instance:
        """The real use case."""
        return self.servers.act(request, instance, operation, parameters, may_override_lock=may_override_lock)

    def delete_server(self, request: Request, instance: Instance, *, may_override_lock: bool) -> None:
        """The real use case."""
        self.servers.delete(request, instance, may_override_lock=may_override_lock)

    def update_server(self, request: Request, instance: Instance, wanted: ServerUpdate) -> Instance:
        """The real use case."""
        return self.servers.update(request, instance, wanted)

    def take_event(self, request: Request, event: ExternalEvent) -> int:
        """The real use case."""
        return External(self.database, self.now).take(request, event)

    def console_output(self, instance: Instance, *, lines: int | None) -> str:
        """What the test wrote there."""
        written = self.console.splitlines(keepends=True)
        return "".join(written if lines is None else written[-lines:])

    def find_image(self, image_id: str, caller: Caller) -> Image | None:
        """The one image."""
        return self.gallery.find_image(image_id, project_id=caller.project_id)


class ApiCloud:
    """The API under test, with a client of it and hands to move servers on."""

    def __init__(self, path: Path, **settings: Any) -> None:
        quota = QuotaSettings()
        self.database = Database(f"sqlite:///{path / 'cloud.db'}")
        self.database.open()
        with self.database.transaction() as tx:
            seed_flavors(tx, BEGINNING)
        self.plane = QuietPlane(self.database, PlaneSettings(limits=quota.limits, **settings), quota)
        self.api = ComputeApi(self.plane, Tokens(), threads=2)
        self.state = StateApi(self.plane, Tokens(), threads=2)
        front = Front(
            {
                "/compute": self.api,
                "/state": self.state,
                "/healthz": self.state,
                "/readyz": self.state,
                "/metrics": self.state,
            }
        )
        self.http = TestClient(front, base_url="http://127.0.0.1:18774", raise_server_exceptions=False)

    def call(  # noqa: PLR0913  a request has this many parts
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str | None = None,
        role: str = "admin",
        project: str = DEMO,
        headers: dict[str, str] | None = None,
        **how: Any,
    ) -> Any:
        """The response to one request below ``/compute/v2.1``, or anywhere where the path begins with ``//``."""
        url = path[1:] if path.startswith("//") else f"/compute/v2.1{path}"
        sent = {"X-Auth-Token": f"somebody:{project}:{role}", "Accept": "application/json", **(headers or {})}
        if version:
            sent["OpenStack-API-Version"] = f"compute {version}"
        if body is not None:
            how["json"] = body
        return self.http.request(method, url, headers=sent, **how)

    def get(self, path: str, **how: Any) -> Any:
        """The body of a successful GET."""
        reply = self.call("GET", path, **how)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def boot(self, name: str = "web1", *, project: str = DEMO, **wanted: Any) -> str:
        """The id of a server that is active on host ``cmp-1``."""
        server = {"name": name, "flavorRef": "1", "imageRef": IMAGE_ID, "networks": "auto", **wanted}
        reply = self.call("POST", "/servers", {"server": server}, version="2.96", project=project)
        assert reply.status_code == 202, reply.text
        uuid: str = reply.json()["server"]["id"]
        addresses = {
            "private": [
                {
                    "version": 4,
                    "addr": "10.0.0.6",
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:d5:e1:18",
                }
            ]
        }
        self.move(
            uuid,
            vm_state=VmState.ACTIVE,
            task_state=None,
            power_state=PowerState.RUNNING,
            host="cmp-1",
            node="cmp-1",
            launched_at=self.plane.at,
            addresses_json=json.dumps(addresses),
        )
        return uuid

    def move(self, uuid: str, **fields: Any) -> None:
        """Change a server's record as a host or a conductor would."""
        with self.database.transaction() as tx:
            before = instances.get_instance(tx.connection, uuid)
            request = Request(request_id="req-test", user_id=None, project_id=None, received_at=self.plane.at)
            after_it = before._replace(updated_at=self.plane.at, **fields)
            changes.save(tx, Change(before=before, after=after_it, request=request, occurred_at=self.plane.at))

    def add_host(self, host: str = "cmp-1") -> None:
        """A compute host that beat just now."""
        with self.database.transaction() as tx:
            fleet.ensure_service(tx, binary="nova-compute", host=host, now=self.plane.at)
            fleet.save_node(
                tx,
                host,
                now=self.plane.at,
                hypervisor_hostname=host,
                hypervisor_type="QEMU",
                hypervisor_version=7002000,
                host_ip="127.0.0.1",
                vcpus=4,
                memory_mb=8192,
                local_gb=100,
                cpu_allocation_ratio=4.0,
                ram_allocation_ratio=1.0,
                disk_allocation_ratio=1.0,
                reserved_memory_mb=512,
                reserved_disk_gb=0,
                disk_available_least=0,
                cpu_info_json='{"arch":"x86_64","model":"Nehalem","vendor":"Intel","features":["pge"],'
                '"topology":{"cores":1,"threads":1,"sockets":4}}',
                uptime_text=None,
            )

    def close(self) -> None:
        """Stop it."""
        self.http.close()
        self.api.close()
        self.state.close()
        self.database.close()
