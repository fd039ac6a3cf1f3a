"""``/state/v1/audits``: which periods of usage were told, and whether all of them."""

from dataclasses import asdict
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.own.parts import moment
from kilonova.api.routes import route
from kilonova.api.schemas.types import NON_NEGATIVE, param, query
from kilonova.domain.audit import Period
from kilonova.domain.errors import Invalid, NotFound
from kilonova.domain.model import Instant
from kilonova.store import audit
from kilonova.store.audit import AuditRun
from kilonova.wire.times import parse_iso, zulu_micros

_STEPS: Final = 50
"""Batches of servers that are told within one request."""
_MOST: Final = 1000


def list_audits(call: Call) -> dict[str, Any]:
    """``GET /state/v1/audits?limit=``: the periods that were told, the latest first."""
    with call.plane.database.read() as connection:
        found = audit.list_runs(connection, limit=min(int(call.first("limit") or 100), _MOST))
    return {"audits": [_run(each) for each in found]}


def run_audits(call: Call) -> dict[str, Any]:
    """``POST /state/v1/audits``: tell what is due now; ``is_complete`` is false where a further call goes on."""
    is_busy = call.plane.audit(steps=_STEPS)
    with call.plane.database.read() as connection:
        found = audit.list_runs(connection, limit=1)
    return {"is_complete": not is_busy, "latest": _run(found[0]) if found else None}


def verify_audit(call: Call) -> dict[str, Any]:
    """``GET /state/v1/audits/{begin}/verify?end=``: what was told beside what lived in the period by its segments.

    ``begin`` is a time in ISO 8601; where several periods begin there, ``end`` tells them apart.
    """
    begin, end = _instant(call.params["begin"]), call.first("end")
    with call.plane.database.read() as connection:
        run = _found(audit.list_runs(connection, limit=_MOST), begin, None if end is None else _instant(end))
        result = audit.reconcile(connection, run)
    return {
        "audit": _run(run),
        "is_complete": result.is_complete and run.finished_at is not None and run.digest == result.digest,
        **asdict(result),
    }


def _found(runs: list[AuditRun], begin: Instant, end: Instant | None) -> AuditRun:
    for run in runs:
        if run.period_begin == begin and end in (None, run.period_end):
            return run
    raise NotFound("No period that begins there was audited.")


def _instant(text: str) -> Instant:
    try:
        return Instant(parse_iso(text))
    except ValueError as error:
        raise Invalid(f"{text!r} is no time in ISO 8601, such as 2026-11-01T00:00:00Z.") from error


def _run(run: AuditRun) -> dict[str, Any]:
    period = Period(run.period_begin, run.period_end)
    return {
        "period_beginning": zulu_micros(period.begin),
        "period_ending": zulu_micros(period.end),
        "started_at": zulu_micros(run.started_at),
        "finished_at": moment(run.finished_at),
        "servers": run.servers,
        "digest": run.digest,
    }


ROUTES: Final = (
    route(
        "GET",
        "/audits",
        list_audits,
        policy="kilonova:audits:list",
        query=query(param("limit", NON_NEGATIVE), strict="2.1"),
    ),
    route("POST", "/audits", run_audits, policy="kilonova:audits:run", query=query(strict="2.1")),
    route(
        "GET",
        "/audits/{begin}/verify",
        verify_audit,
        policy="kilonova:audits:list",
        query=query(param("end"), strict="2.1"),
    ),
)
