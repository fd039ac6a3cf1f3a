"""``/state/v1/faults``: what went wrong, one by one or grouped by cause."""

from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.own.parts import moment
from kilonova.api.routes import route
from kilonova.api.schemas.types import DATE_TIME, NON_NEGATIVE, param, query
from kilonova.domain.errors import Invalid
from kilonova.domain.faults import FaultCause, find_cause
from kilonova.domain.model import Instant
from kilonova.store import faults
from kilonova.store.faults import FaultGroup, FaultRow
from kilonova.wire.times import parse_iso, zulu_micros

_MOST: Final = 1000


def list_faults(call: Call) -> dict[str, Any]:
    """``GET /state/v1/faults?group_by=code``: causes with their counts; without ``group_by`` the faults, newest first.

    What failed on one host and was tried on another is among them, as an ``attempt``. Who is no administrator sees
    those of their own project's servers, without hosts, details and attempts.
    """
    project_id = None if call.sees_all else call.caller.project_id or ""
    group_by, since = call.first("group_by"), call.first("since")
    with call.plane.database.read() as connection:
        if group_by == "code":
            start = Instant(parse_iso(since)) if since else None
            groups = faults.group_faults(connection, project_id=project_id, since=start, attempts=call.sees_all)
            return {"faults": [_group(group, is_admin=call.sees_all) for group in groups]}
        if group_by is not None:
            raise Invalid(f"Faults are grouped by code, not by {group_by!r}.")
        found = faults.list_faults(
            connection,
            project_id=project_id,
            instance_uuid=call.first("server"),
            cause=call.first("code"),
            attempts=call.sees_all,
            limit=min(int(call.first("limit") or _MOST), _MOST),
        )
    return {"faults": [_fault(row, is_admin=call.sees_all) for row in found]}


def _group(group: FaultGroup, *, is_admin: bool) -> dict[str, Any]:
    shown = {
        **_cause(group.cause, is_admin=is_admin),
        "count": group.count,
        "servers": group.servers,
        "first_seen": moment(group.first_seen_at),
        "last_seen": moment(group.last_seen_at),
    }
    return {**shown, "hosts": dict(group.hosts)} if is_admin else shown


def _fault(row: FaultRow, *, is_admin: bool) -> dict[str, Any]:
    fault = row.fault
    shown = {
        **_cause(fault.cause, is_admin=is_admin),
        "server": row.instance_uuid,
        "project_id": row.project_id,
        "message": fault.message,
        "created_at": zulu_micros(fault.created_at),
    }
    return {**shown, "host": fault.host, "details": fault.details, "attempt": row.is_attempt} if is_admin else shown


def _cause(code: str, *, is_admin: bool) -> dict[str, Any]:
    cause = find_cause(code) or FaultCause.INTERNAL
    shown = {"code": code, "title": cause.title, "next_step": cause.remedy}
    return {**shown, "operator": cause.operator, "of_host": cause.is_of_host} if is_admin else shown


ROUTES: Final = (
    route(
        "GET",
        "/faults",
        list_faults,
        policy="kilonova:faults:list",
        query=query(
            *(param(name) for name in ("group_by", "server", "code")),
            param("since", DATE_TIME),
            param("limit", NON_NEGATIVE),
            strict="2.1",
        ),
    ),
)
