"""One row of the journal, as whoever reads it gets it: the API, the renderers of notifications, the sinks."""

import json
from dataclasses import dataclass
from typing import Any

from kilonova.domain.changes import Cause, Phase
from kilonova.domain.model import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """What happened to the object ``key`` of this ``kind``, and on whose behalf.

    ``snapshot_json`` is the whole object after it; ``previous_json`` has the former values of the fields that
    changed, None for a new object; ``facts_json`` what belongs to the moment only (host, event, fault, traceback).
    ``user_id`` and ``caller_project_id`` are the caller's, ``project_id`` the object's. ``seq`` is None until it was
    sequenced.
    """

    id: int
    seq: int | None
    kind: str
    key: str
    project_id: str | None
    operation: str | None
    phase: Phase | None
    cause: Cause
    request_id: str | None
    user_id: str | None
    caller_project_id: str | None
    received_at: Instant | None
    occurred_at: Instant
    snapshot_json: str
    previous_json: str | None
    facts_json: str

    @property
    def snapshot(self) -> dict[str, Any]:
        """The object as it stood after this."""
        return json.loads(self.snapshot_json)  # type: ignore[no-any-return]

    @property
    def previous(self) -> dict[str, Any] | None:
        """The former values of what changed, None for a new object."""
        return None if self.previous_json is None else json.loads(self.previous_json)

    @property
    def facts(self) -> dict[str, Any]:
        """What belongs to the moment only."""
        return json.loads(self.facts_json)  # type: ignore[no-any-return]
