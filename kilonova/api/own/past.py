"""Time travel: how servers stood at an earlier point, and what changed between two of them.

A point is an instant (ISO 8601) or a number of the journal. What a project owned then is what it sees.
"""

import json
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.own.event_pages import for_tenants
from kilonova.api.own.parts import moment
from kilonova.api.routes import route
from kilonova.api.schemas.types import NON_NEGATIVE, param, query
from kilonova.domain.errors import Invalid, NotFound
from kilonova.domain.journal import JournalRow
from kilonova.domain.model import Instant
from kilonova.domain.states import TaskState, VmState, status_of
from kilonova.store import journal, past
from kilonova.store.database import Connection
from kilonova.wire.times import parse_iso

_PAGE: Final = 100
_MOST: Final = 1000
_DOCUMENTS: Final = "_json"
_UNTOLD: Final = frozenset({"id", "generation", "uuid"})


def list_servers(call: Call) -> dict[str, Any]:
    """``GET /state/v1/servers?as_of=``: the servers that were there then, as they stood, by id.

    ``marker`` is the last id of the page before. ``is_complete`` is false where rows from before that point were
    forgotten: what was there and is told of nowhere is missing.
    """
    limit, marker = _page(call)
    with call.plane.database.read() as connection:
        seq = _point(call, connection, "as_of")
        rows = past.list_states(connection, seq=seq, marker=marker, limit=limit, project_id=_project(call))
        extent = journal.extent(connection)
    return {
        "servers": [_server(call, row) for row in rows if not _is_gone(row)],
        "as_of": seq,
        "is_complete": extent.forgotten_seq <= seq,
        "next": rows[-1].key if len(rows) == limit else None,
    }


def show_server(call: Call) -> dict[str, Any]:
    """``GET /state/v1/servers/{id}?as_of=``: one server as it stood then. NotFound where it was not there."""
    uuid = call.params["id"]
    with call.plane.database.read() as connection:
        seq = _point(call, connection, "as_of")
        row = past.find_state(connection, uuid, seq=seq)
    project_id = _project(call)
    if row is None or _is_gone(row) or (project_id is not None and row.project_id != project_id):
        raise NotFound(f"Instance {uuid} could not be found.")
    return {"server": _server(call, row), "as_of": seq}


def show_difference(call: Call) -> dict[str, Any]:
    """``GET /state/v1/diff?from=&to=``: the servers that came, went or changed between two points, by id.

    A changed one has ``before`` and ``after`` of each field that differs; ``at`` is when the latest of it happened, and
    ``name`` what the server was called then. ``to`` is now unless it is given.
    """
    limit, marker = _page(call)
    with call.plane.database.read() as connection:
        began, ended = _point(call, connection, "from"), _point(call, connection, "to", default=None)
        if began > ended:
            raise Invalid("That from lies behind that to.")
        uuids = past.list_touched(
            connection, after_seq=began, to_seq=ended, marker=marker, limit=limit, project_id=_project(call)
        )
        states = [
            (past.find_state(connection, uuid, seq=began), past.find_state(connection, uuid, seq=ended))
            for uuid in uuids
        ]
        extent = journal.extent(connection)
    found = [_difference(call, uuid, *pair) for uuid, pair in zip(uuids, states, strict=True)]
    return {
        "servers": [each for each in found if each],
        "from": began,
        "to": ended,
        "is_complete": extent.forgotten_seq <= began,
        "next": uuids[-1] if len(uuids) == limit else None,
    }


def show_journal(call: Call) -> dict[str, Any]:
    """``GET /state/v1/journal``: how much of the past is there, and who reads as it grows."""
    with call.plane.database.read() as connection:
        extent, oldest = journal.extent(connection), journal.oldest_at(connection)
        waiting = journal.pending(connection)
    return {
        "journal": {
            "head": extent.head,
            "unnumbered": waiting,
            "rows": extent.rows,
            "bytes": extent.bytes,
            "oldest_at": moment(oldest),
            "forgotten_up_to": extent.forgotten_seq,
            "forgotten_up_to_at": moment(extent.forgotten_at),
            "streams": call.plane.audience.size,
        }
    }


def _page(call: Call) -> tuple[int, str]:
    limit = int(call.first("limit") or _PAGE)
    if not 1 <= limit <= _MOST:
        raise Invalid(f"A page has 1 to {_MOST} servers.")
    return limit, call.first("marker") or ""


def _project(call: Call) -> str | None:
    """Whose servers the caller sees; None for everybody's."""
    return None if call.may("kilonova:past:all_projects") else call.caller.project_id or ""


def _point(call: Call, connection: Connection, name: str, default: str | None = "") -> int:
    text = call.first(name) or default
    if text is None:
        return journal.head(connection)
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return min(int(text), journal.head(connection))
    try:
        return past.seq_at(connection, Instant(parse_iso(text)))
    except ValueError as error:
        raise Invalid(f"Say {name}= as an ISO 8601 time or a number of the journal.") from error


def _is_gone(row: JournalRow) -> bool:
    return row.snapshot["deleted_at"] is not None


def _server(call: Call, row: JournalRow) -> dict[str, Any]:
    return {
        "id": row.key,
        "status": _status(row),
        "seq": row.seq,
        "since": moment(row.occurred_at),
        "request_id": row.request_id,
        **_record(call, row),
    }


def _status(row: JournalRow) -> str:
    snapshot = row.snapshot
    task = snapshot["task_state"]
    return status_of(VmState(snapshot["vm_state"]), None if task is None else TaskState(task))


def _record(call: Call, row: JournalRow) -> dict[str, Any]:
    """The record's fields for this caller, with documents and times as the API has them."""
    seen = row.snapshot if _project(call) is None else for_tenants(row.kind, row.snapshot_json) or {}
    return dict(_shown(name, value) for name, value in seen.items() if name not in _UNTOLD)


def _shown(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith(_DOCUMENTS):
        return name.removesuffix(_DOCUMENTS), None if value is None else json.loads(value)
    return name, moment(value) if name.endswith("_at") else value


def _difference(call: Call, uuid: str, before: JournalRow | None, after: JournalRow | None) -> dict[str, Any] | None:
    was_there, is_there = (row is not None and not _is_gone(row) for row in (before, after))
    if after is None or not (was_there or is_there):
        return None
    old, new = (_record(call, row) if row else {} for row in (before, after))
    fields = {
        name: {"before": old.get(name), "after": new.get(name)}
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    }
    if was_there and is_there and not fields:
        return None
    change = "changed" if was_there and is_there else "created" if is_there else "deleted"
    shown = {
        "id": uuid,
        "name": after.snapshot["display_name"],
        "change": change,
        "at": moment(after.occurred_at),
        "fields": fields if change == "changed" else {},
    }
    return {**shown, "server": _server(call, after)} if is_there else shown


_POINT: Final = param("as_of")
_PAGED: Final = (param("limit", NON_NEGATIVE), param("marker"))

ROUTES: Final = (
    route("GET", "/servers", list_servers, policy="kilonova:past:servers", query=query(_POINT, *_PAGED, strict="2.1")),
    route("GET", "/servers/{id}", show_server, policy="kilonova:past:servers", query=query(_POINT, strict="2.1")),
    route(
        "GET",
        "/diff",
        show_difference,
        policy="kilonova:past:diff",
        query=query(param("from"), param("to"), *_PAGED, strict="2.1"),
    ),
    route("GET", "/journal", show_journal, policy="kilonova:journal:show"),
)
