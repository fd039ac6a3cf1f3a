"""Pages of the journal as they are shown: to operators whole, to tenants what is theirs and no more."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from kilonova.api.own.parts import moment
from kilonova.api.shape import raw
from kilonova.domain.journal import JournalRow
from kilonova.store import journal
from kilonova.store.database import Connection, Database
from kilonova.store.journal import Among, Topic
from kilonova.wire.times import zulu_micros

_WORDS: Final = (
    "uuid generation project_id user_id display_name display_description hostname vm_state task_state power_state "
    "flavorid flavor_name flavor_json vcpus memory_mb root_gb ephemeral_gb swap_mb image_ref metadata_json tags_json "
    "addresses_json security_groups_json volumes_json created_at updated_at launched_at terminated_at deleted_at "
    "availability_zone key_name config_drive reservation_id launch_index root_device_name disk_config access_ip_v4 "
    "access_ip_v6 progress locked_by locked_reason"
)
_OF_INSTANCES: Final = frozenset(_WORDS.split())
"""What a tenant sees of a server's record: what the API shows of it as well."""
_OF_OTHERS: Final[Mapping[str, frozenset[str]]] = {
    "server_group": frozenset({"uuid", "name", "policy", "rules_json", "project_id", "user_id", "members"}),
    "quota": frozenset({"project_id", "user_id", "limits"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows a reader may and wants to see; ``project_id`` None is every project's."""

    sees_all: bool
    project_id: str | None = None
    server: str | None = None
    request_id: str | None = None
    topics: tuple[Topic, ...] = ()

    @property
    def among(self) -> Among:
        """The same, for the store."""
        found = Among(project_id=self.project_id, key=self.server, request_id=self.request_id, topics=self.topics)
        if not self.sees_all:
            found["kinds"] = ("instance", *_OF_OTHERS)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows in order. ``next`` is the number to go on from, ``head`` the last number given before the look.

    ``gap`` says that beyond a number, up to another one, rows were forgotten before they were read here.
    """

    rows: tuple[JournalRow, ...]
    next: int
    head: int
    gap: Mapping[str, int] | None
    is_full: bool
    sees_all: bool

    def events(self) -> Iterator[dict[str, Any]]:
        """The rows as they are shown."""
        return (shown(row, sees_all=self.sees_all) for row in self.rows)

    def document(self) -> dict[str, Any]:
        """The whole page as they are shown."""
        return {"events": list(self.events()), "next": self.next, "head": self.head, "gap": self.gap}


class Reader:
    """Reads a selection of the journal, page by page."""

    def __init__(self, database: Database, selection: Selection) -> None:
        self._database = database
        self._selection = selection

    def read(self, after: int, limit: int) -> Page:
        """The rows beyond a number."""
        with self._database.read() as connection:
            # The head before the rows, and what was forgotten after them: so nothing falls between.
            head = journal.head(connection)
            rows = journal.list_entries(connection, after_seq=after, limit=limit, **self._selection.among)
            reached = max([after, *(row.seq or 0 for row in rows)])
            is_full = len(rows) == limit
            # Fewer than wanted: there is nothing else up to what was the last one before the look.
            onward = reached if is_full else max(reached, head)
            gap = self._gap(connection, after, onward)
        return self._page(rows, onward=onward, head=head, gap=gap, is_full=is_full)

    def read_back(self, before: int, limit: int) -> Page:
        """The last rows before a number, in their order."""
        with self._database.read() as connection:
            head = journal.head(connection)
            before = max(1, min(before, head + 1))
            rows = journal.list_latest(connection, before_seq=before, limit=limit, **self._selection.among)
            is_full = len(rows) == limit
            begin = (rows[0].seq or 1) - 1 if rows and is_full else 0
            gap = self._gap(connection, begin, before - 1)
        return self._page(rows, onward=before - 1, head=head, gap=gap, is_full=is_full)

    def _page(
        self, rows: list[JournalRow], *, onward: int, head: int, gap: Mapping[str, int] | None, is_full: bool
    ) -> Page:
        sees_all = self._selection.sees_all
        return Page(rows=tuple(rows), next=onward, head=head, gap=gap, is_full=is_full, sees_all=sees_all)

    def _gap(self, connection: Connection, after: int, onward: int) -> dict[str, int] | None:
        to = min(journal.extent(connection).forgotten_seq, onward)
        missing = to - after - journal.count_between(connection, after, to) if to > after else 0
        if missing <= 0:
            return None
        gap = {"after": after, "to": to}
        return {**gap, "missing": missing} if self._selection.sees_all else gap


def shown(row: JournalRow, *, sees_all: bool) -> dict[str, Any]:
    """One row, with what only operators may know or without."""
    event = asdict(row)
    snapshot, previous, facts = (event.pop(key) for key in ("snapshot_json", "previous_json", "facts_json"))
    event |= {
        "topic": ".".join(filter(None, (row.kind, row.operation, row.phase))),
        "occurred_at": zulu_micros(row.occurred_at),
        "received_at": moment(row.received_at),
    }
    if sees_all:
        return {**event, "snapshot": raw(snapshot), "previous": raw(previous or "null"), "facts": raw(facts)}
    return {**event, "snapshot": for_tenants(row.kind, snapshot), "previous": for_tenants(row.kind, previous)}


def for_tenants(kind: str, document: str | None) -> dict[str, Any] | None:
    """What a tenant sees of a document of its own."""
    if document is None:
        return None
    seen = _OF_INSTANCES if kind == "instance" else _OF_OTHERS.get(kind, frozenset())
    return {key: value for key, value in json.loads(document).items() if key in seen}
