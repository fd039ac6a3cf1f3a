"""What the API needs of the control plane behind it: the seam. ``services.plane.Plane`` is one that fits."""

from collections.abc import Mapping
from typing import Any, Protocol

from kilonova.domain.images import Image
from kilonova.domain.model import Instance, Instant, Request
from kilonova.domain.operations import Operation
from kilonova.identity.caller import Caller
from kilonova.services.gallery import Gallery
from kilonova.services.servers import ServerOrder, ServerUpdate
from kilonova.services.settings import PlaneSettings
from kilonova.store.database import Database


class Plane(Protocol):
    """The use cases, all synchronous; safe to call from several threads."""

    database: Database
    settings: PlaneSettings

    @property
    def gallery(self) -> Gallery:
        """The images, for Nova's old proxy of them."""
        ...

    @property
    def reads_inline(self) -> bool:
        """Whether a read of one record costs less than a change of threads (SQLite)."""
        ...

    @property
    def troubles(self) -> list[str]:
        """The names of the loops that fail at the moment, as when a disk is full."""
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

    def console_output(self, instance: Instance, *, lines: int | None) -> str:
        """What the guest wrote to its serial console, the last ``lines`` of it."""
        ...

    def find_image(self, image_id: str, caller: Caller) -> Image | None:
        """The image as this caller may see it."""
        ...
