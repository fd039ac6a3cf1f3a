"""What both formats say of a server, each in its own words: read once from the row's snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from kilonova.domain.journal import JournalRow
from kilonova.domain.model import Instant
from kilonova.domain.ports import addresses_of
from kilonova.notifications.documents import parsed

_TOLD_NOT_IN_UPDATES: Final = frozenset({"generation", "updated_at"})


@dataclass(frozen=True)
class Server:
    """The instance of a journal row: its columns, its documents parsed, and what changed."""

    row: JournalRow
    columns: Mapping[str, Any] = field(init=False)
    facts: Mapping[str, Any] = field(init=False)
    previous: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Parse what every payload needs."""
        row = self.row
        object.__setattr__(self, "columns", parsed(row.snapshot_json))
        object.__setattr__(self, "facts", parsed(row.facts_json))
        object.__setattr__(self, "previous", parsed(row.previous_json or "{}"))

    def __getitem__(self, column: str) -> Any:
        return self.columns[column]

    def get(self, column: str) -> Any:
        """The column's value, None for one that the row does not have."""
        return self.columns.get(column)

    @cached_property
    def image(self) -> dict[str, Any]:
        """What was known of the image at boot; empty without one."""
        return parsed(self["image_json"] or "{}") or {}

    @cached_property
    def properties(self) -> dict[str, Any]:
        """The image's own properties."""
        return self.image.get("properties") or {}

    @cached_property
    def metadata(self) -> dict[str, str]:
        """The owner's key-value pairs."""
        return parsed(self["metadata_json"])  # type: ignore[no-any-return]

    @cached_property
    def tags(self) -> list[str]:
        """The tags, in order."""
        return parsed(self["tags_json"])  # type: ignore[no-any-return]

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """What the caller asked for beyond the operation itself."""
        return self.facts.get("parameters") or {}

    @property
    def new_flavor(self) -> dict[str, Any] | None:
        """The flavor that the server is to have, None where it keeps its own."""
        return self.parameters.get("flavor")

    @cached_property
    def nics(self) -> list[dict[str, Any]]:
        """Where it is plugged in, once for each address; not what its host is still to plug in, or it shows not yet."""
        nics = parsed(self.columns.get("nics_json") or "[]") if parsed(self["addresses_json"]) else []
        there = [nic for nic in nics if not nic.get("is_coming")]
        return [{**nic, "address": address} for nic in there for address in addresses_of(nic)]

    @cached_property
    def changed(self) -> frozenset[str]:
        """The columns that the row's change wrote, save for its bookkeeping; all of a new instance."""
        if self.row.previous_json is None:
            return frozenset(self.columns) - _TOLD_NOT_IN_UPDATES
        return frozenset(self.previous) - _TOLD_NOT_IN_UPDATES

    def before(self, column: str) -> Any:
        """The column's value before the change. One that was nothing counts as it is now, as in Nova (§10.4.3)."""
        old = self.previous.get(column, self.columns[column])
        return self.columns[column] if old is None else old

    @property
    def occurred_at(self) -> Instant:
        """When it happened."""
        return self.row.occurred_at

    @property
    def host(self) -> str | None:
        """The host that the change was reported from, None for the control plane's own."""
        return self.facts.get("host")
