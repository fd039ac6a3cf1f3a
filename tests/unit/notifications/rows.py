"""Rows of the journal to render: of one server, and whatever a test wants different about it."""

import json
from typing import Any

from kilonova.domain.changes import Cause, Phase
from kilonova.domain.journal import JournalRow
from tests.unit.domain.samples import NOW, UUID, instance


def row(operation: str | None, phase: Phase | None, **told: Any) -> JournalRow:
    """A change of a server: ``previous`` has the former values of what changed, ``columns`` the present ones.

    Everything else is a fact of the moment.
    """
    previous, columns = told.pop("previous", {}), told.pop("columns", {})
    snapshot = {name: value for name, value in instance(**columns)._asdict().items() if name != "user_data"}
    return JournalRow(
        id=7,
        seq=7,
        kind="instance",
        key=UUID,
        project_id="p1",
        operation=operation,
        phase=phase,
        cause=Cause.REQUESTED,
        request_id="req-1",
        user_id="u1",
        caller_project_id="p1",
        received_at=NOW,
        occurred_at=NOW,
        snapshot_json=json.dumps(snapshot),
        previous_json=None if previous is None else json.dumps(previous),
        facts_json=json.dumps(told),
    )
