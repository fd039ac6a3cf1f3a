"""Migrations: the record of every move of a server between hosts or flavors (contract §11.4)."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from kilonova.domain.model import Flavor, Instant


class MigrationType(StrEnum):
    """Why a server moves."""

    MIGRATION = "migration"
    RESIZE = "resize"
    LIVE = "live-migration"
    EVACUATION = "evacuation"


ABORTABLE: Final = frozenset({"queued", "preparing", "running"})
"""The statuses in which a live migration can be called off, from 2.65 on; before only while it is running."""
UNDER_WAY: Final = frozenset({"queued", "preparing", "running", "post-migrating"})
"""The statuses in which a live migration is shown with its server."""
OVER: Final = frozenset({"confirmed", "reverted", "completed", "done", "cancelled", "failed", "error"})
"""The statuses after which nothing more happens."""
AWAITING: Final = "finished"
"""The status of a resize that waits for its confirmation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One move of one server. ``user_id`` and ``project_id`` are those of who asked for it.

    ``action_id`` is the action that it was begun by, ``dest_host`` the address of the destination. Flavors are whole
    records, so that a resize can be reverted whatever became of the flavor; they are None where it keeps its own.
    Bytes are what the hypervisor last told of a live migration.
    """

    id: int
    uuid: str
    instance_uuid: str
    action_id: int
    migration_type: str
    status: str
    source_compute: str | None
    source_node: str | None
    dest_compute: str | None
    dest_node: str | None
    dest_host: str | None
    old_flavor_json: str | None
    new_flavor_json: str | None
    hidden: bool
    user_id: str | None
    project_id: str | None
    memory_total_bytes: int | None
    memory_processed_bytes: int | None
    memory_remaining_bytes: int | None
    disk_total_bytes: int | None
    disk_processed_bytes: int | None
    disk_remaining_bytes: int | None
    created_at: Instant
    updated_at: Instant | None

    @property
    def old_flavor(self) -> Flavor | None:
        """What the server was before."""
        return None if self.old_flavor_json is None else read_flavor(self.old_flavor_json)

    @property
    def new_flavor(self) -> Flavor | None:
        """What the server becomes."""
        return None if self.new_flavor_json is None else read_flavor(self.new_flavor_json)


def write_flavor(flavor: Flavor) -> str:
    """A flavor as text, to be read again when the flavor itself may be gone."""
    kept: dict[str, Any] = {name: getattr(flavor, name) for name in Flavor.__slots__}
    return json.dumps(kept, separators=(",", ":"))


def read_flavor(text: str) -> Flavor:
    """The flavor that ``write_flavor`` wrote."""
    return Flavor(**json.loads(text))
