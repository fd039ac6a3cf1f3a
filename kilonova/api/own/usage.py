"""``/state/v1/usage``: exact usage from segments, why Nova's differs, and whether the books agree."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from kilonova.api.call import Call, Text
from kilonova.api.own.parts import instant_asked
from kilonova.api.routes import Target, route
from kilonova.api.schemas.types import param, query
from kilonova.domain.errors import Forbidden, Invalid
from kilonova.domain.exact_usage import DAY, GROUPS, Amount, Difference, ExactUsage
from kilonova.domain.model import Instant
from kilonova.domain.usage import Window
from kilonova.store import discrepancies, exact_usage
from kilonova.wire.times import parse_iso, zulu_micros

_SHOW: Final = "kilonova:usage:show"
_ALL: Final = "kilonova:usage:show:all_projects"
_MOST_DAYS: Final = 366
_AMOUNTS: Final = ("hours", "vcpu_hours", "memory_mb_hours", "disk_gb_hours")


def show_usage(call: Call) -> dict[str, Any] | Text:
    """``GET /state/v1/usage?start&end&group_by=&project=&format=``: what was used, as it was used.

    Without ``start`` the month so far. Who may not see all projects sees their own.
    """
    project_id, window, by = _project(call), _window(call), _groups(call)
    if "day" in by and window.stop - window.start > _MOST_DAYS * DAY:
        raise Invalid(f"By day, at most {_MOST_DAYS} days are told at once.")
    with call.plane.database.read() as connection:
        found = exact_usage.list_exact_usage(connection, window, by=by, project_id=project_id)
    rows = [_row(each) for each in found]
    if call.first("format") == "csv":
        return _csv([*by, "servers", *_AMOUNTS], rows)
    return {"usage": rows, "start": zulu_micros(window.start), "end": zulu_micros(window.stop), "group_by": list(by)}


def show_difference(call: Call) -> dict[str, Any]:
    """``GET /state/v1/usage/difference?start&end&project=``: why Nova's report of a project says something else."""
    project_id, window = _project(call), _window(call)
    with call.plane.database.read() as connection:
        found = exact_usage.list_differences(connection, window, project_id=project_id)
    return {
        "differences": [_difference(each) for each in found],
        "start": zulu_micros(window.start),
        "end": zulu_micros(window.stop),
    }


def show_books(call: Call) -> dict[str, Any]:
    """``GET /state/v1/books``: every check of what is counted twice, and how often it failed."""
    with call.plane.database.read() as connection:
        found = discrepancies.list_discrepancies(connection)
    return {"drift": sum(each.count for each in found), "checks": [asdict(each) for each in found]}


def _project(call: Call) -> str | None:
    """The project that is asked for; None for all. Forbidden where it is not the caller's to see."""
    asked, own = call.first("project"), call.caller.project_id or ""
    call.check(_SHOW, project_id=own)
    if call.may(_ALL):
        return asked
    if asked not in (None, own):
        raise Forbidden(f"Policy doesn't allow {_ALL} to be performed.")
    return own


def _groups(call: Call) -> tuple[str, ...]:
    asked = [name for text in call.query.get("group_by", ["project"]) for name in text.split(",") if name]
    for name in asked:
        if name not in GROUPS:
            raise Invalid(f"Usage cannot be told by {name!r}; it can by {', '.join(GROUPS)}.")
    return tuple(dict.fromkeys(asked))


def _window(call: Call) -> Window:
    now = call.plane.now()
    start, end = instant_asked(call, "start"), instant_asked(call, "end")
    stop = now if end is None else min(end, now)
    begin = _month_of(now) if start is None else start
    if begin >= stop:
        raise Invalid("The start of usage must lie before its end, and before the present.")
    return Window(begin, stop)


def _month_of(now: Instant) -> Instant:
    return Instant(parse_iso(zulu_micros(now)[:7] + "-01"))


def _row(usage: ExactUsage) -> dict[str, Any]:
    told = {name: zulu_micros(int(value))[:10] if name == "day" else value for name, value in usage.by.items()}
    return {**told, "servers": usage.servers, **asdict(usage.amount)}


def _difference(found: Difference) -> dict[str, Any]:
    return {
        "project": found.project_id,
        "nova": _told(found.nova),
        "exact": _told(found.exact),
        "before_launch": _told(found.before_launch),
        "resized": _told(found.resized),
        "unexplained": _told(found.unexplained),
        "idle": {state: _told(amount) for state, amount in sorted(found.idle.items())},
    }


def _told(amount: Amount) -> dict[str, float]:
    """Without the dust of floating numbers: a microhour is beyond any bill."""
    return {name: round(value, 6) + 0.0 for name, value in asdict(amount).items()}


def _csv(names: Sequence[str], rows: Sequence[dict[str, Any]]) -> Text:
    text = io.StringIO()
    table = csv.DictWriter(text, names, lineterminator="\r\n")
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return Text(text.getvalue().encode(), "text/csv; charset=utf-8")


def _cell(value: Any) -> Any:
    """A flavor's name is its maker's to choose: one that a spreadsheet would take for a formula is quoted."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


_TIMES: Final = (param("start"), param("end"), param("project"))
_FORMAT: Final = param("format", {"type": "string", "enum": ["json", "csv"]})

ROUTES: Final = (
    route(
        "GET",
        "/usage",
        show_usage,
        policy=_SHOW,
        target=Target.HANDLER,
        query=query(*_TIMES, param("group_by"), _FORMAT, strict="2.1"),
    ),
    route(
        "GET",
        "/usage/difference",
        show_difference,
        policy=_SHOW,
        target=Target.HANDLER,
        query=query(*_TIMES, strict="2.1"),
    ),
    route("GET", "/books", show_books, policy="kilonova:books:show", query=query(strict="2.1")),
)
