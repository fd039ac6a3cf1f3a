"""What the API needs of the control plane behind it: the seam. ``services.plane.Plane`` is one that fits."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kilonova.domain.diagnostics import Reading
from kilonova.domain.images import Image
from kilonova.domain.model import Instance, Instant, Request
from kilonova.domain.operations import Operation
from kilonova.identity.caller import Caller
from kilonova.services.addresses import Addresses
from kilonova.services.audience import Audience
from kilonova.services.choosing import Chooser
from kilonova.services.consoles import Consoles
from kilonova.services.external import ExternalEvent
from kilonova.services.feed import Feed
from kilonova.services.gallery import Gallery
from kilonova.services.monitor import Monitor
from kilonova.services.servers import ServerOrder, ServerUpdate
from kilonova.services.settings import PlaneSettings
from kilonova.services.statistics import Statistics
from kilonova.store.database import Database


class Plane(Protocol):
    """The use cases, all synchronous; safe to call from several threads."""

    database: Database
    settings: PlaneSettings
    audience: Audience
    feed: Feed
    statistics: Statistics
    consoles: Consoles

    @property
    def addresses(self) -> Addresses:
        """Addresses of servers that come and go by themselves."""
        ...

    @property
    def chooser(self) -> Chooser:
        """Where servers would go, without anything being written."""
        ...

    @property
    def gallery(self) -> Gallery:
        """The images, for Nova's old proxy of them."""
        ...

    @property
    def reads_inline(self) -> bool:
        """Whether a read of one record costs less than a change of threads (SQLite)."""
        ...

    def cache_images(self, request: Request, aggregate_id: int, image_ids: Sequence[str]) -> None:
        """Have the hosts of an aggregate fetch images in the background. NotFound in Nova's words."""
        ...

    @property
    def monitor(self) -> Monitor:
        """Whether the plane can do its work, and tallies of what happens."""
        ...

    @property
    def troubles(self) -> list[str]:
        """The names of the loops that fail at the moment, as when a disk is full."""
        ...

    def audit(self, *, steps: int) -> bool:
        """Tell what was used in periods that are over, ``steps`` batches of servers at most; True if more is due."""
        ...

    def now(self) -> Instant:
        """The present, by the control plane's clock."""
        ...

    def is_project(self, project_id: str) -> bool:
        """Whether there is such a project; true where nobody can tell."""
        ...

    def create_server(self, request: Request, order: ServerOrder) -> Instance:
        """Accept a server: its record and its open action exist. Invalid or QuotaExceeded where it cannot be."""
        ...

    def act(
        self,
        request: Request,
        instance: Instance,
        operation: Operation,
        parameters: Mapping[str, Any],
        *,
        may_override_lock: bool,
    ) -> Instance:
        """Accept an operation on a server. Conflict where its state or lock forbids it."""
        ...

    def delete_server(self, request: Request, instance: Instance, *, may_override_lock: bool) -> None:
        """Accept the end of a server; nothing happens where it is on its way already."""
        ...

    def update_server(self, request: Request, instance: Instance, wanted: ServerUpdate) -> Instance:
        """Change at once what needs no host: name, description, addresses."""
        ...

    def take_event(self, request: Request, event: ExternalEvent) -> int:
        """Take what another service tells of a server: 200, or the code by which it is refused (contract §11.2)."""
        ...

    def console_output(self, instance: Instance, *, lines: int | None) -> str:
        """What the guest wrote to its serial console, the last ``lines`` of it."""
        ...

    def diagnose(self, instance: Instance) -> Reading | None:
        """What its host counts of a server, None where its guest does not run. Conflict while it has no host."""
        ...

    def find_image(self, image_id: str, caller: Caller) -> Image | None:
        """The image as this caller may see it."""
        ...
