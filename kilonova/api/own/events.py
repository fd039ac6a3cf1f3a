"""``/state/v1/events``: the journal, in order: as a page, a long poll, or a stream that goes on."""

from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.http import JSON, Reply
from kilonova.api.own.event_pages import Reader, Selection
from kilonova.api.own.event_streams import EventStream, Form, Lines, Once, ServerSent
from kilonova.api.routes import route
from kilonova.api.schemas.types import NON_NEGATIVE, param, query
from kilonova.domain.errors import Invalid
from kilonova.store.journal import Topic

_EVENTS_PAGE: Final = 100
_MOST_EVENTS: Final = 1000
_MOST_TOPICS: Final = 20
_FORMS: Final[dict[str, type[Form]]] = {"text/event-stream": ServerSent, "application/x-ndjson": Lines}


def list_events(call: Call) -> dict[str, Any] | Reply:
    """``GET /state/v1/events``: the journal beyond ``after``; ``next`` is where to go on from.

    ``topic`` (a kind, ``kind.operation`` or ``kind.operation.phase``; may be repeated), ``server``, ``request`` (by its
    id) and ``project`` narrow it. As JSON it is one page of up to ``limit``, for which a ``wait`` in seconds waits if
    there is nothing yet; with ``before`` it is the last ones before that number instead.
    With ``Accept: application/x-ndjson`` or ``text/event-stream`` it goes on, until ``limit`` events were sent or
    nothing came for ``wait`` seconds, and is taken up where ``Last-Event-ID`` says.
    """
    reader = Reader(call.plane.database, _selection(call))
    form = _FORMS.get(_accepted(call.headers.get("accept", "")))
    after, wait, before = _start(call), call.first("wait"), call.first("before")
    if before is not None and (form is not None or wait is not None or after):
        raise Invalid("before is for a single page: without after, wait and streams.")
    if form is None:
        limit = min(int(call.first("limit") or _EVENTS_PAGE), _MOST_EVENTS)
        page = reader.read(after, limit) if before is None else reader.read_back(int(before), limit)
        if page.rows or not wait or int(wait) == 0:
            return page.document()
        seconds = float(min(int(wait), call.plane.settings.feed.longest_wait_seconds))
        return _streamed(call, EventStream(call, reader, Once(limit), after=after, wait_seconds=seconds))
    limited = call.first("limit")
    stream = EventStream(
        call,
        reader,
        form(int(limited) if limited else None),
        after=after,
        wait_seconds=None if wait is None else float(wait),
    )
    return _streamed(call, stream)


def _streamed(call: Call, stream: EventStream) -> Reply:
    """The reply, with one of the streams that there may be; Unavailable where there are too many already."""
    stream.seat = call.plane.audience.take_seat(None if _sees_all(call) else call.caller.project_id or "")
    kind = stream.form.content_type
    return Reply(
        status=200, content_type=kind, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, stream=stream
    )


def _selection(call: Call) -> Selection:
    """Who is no administrator gets the rows of their own project, without what only an operator may know."""
    sees_all = _sees_all(call)
    wanted, own = call.first("project"), call.caller.project_id or ""
    if not sees_all and wanted not in (None, own):
        # Another's project has no events for them.
        own = ""
    return Selection(
        sees_all=sees_all,
        project_id=wanted if sees_all else own,
        server=call.first("server"),
        request_id=call.first("request"),
        topics=tuple(_topic(text) for text in call.query.get("topic", ())[:_MOST_TOPICS]),
    )


def _sees_all(call: Call) -> bool:
    return call.may("kilonova:events:list:all_projects")


def _topic(text: str) -> Topic:
    parts = text.split(".")
    if len(parts) > len(Topic._fields) or not all(parts):
        raise Invalid(f"{text} is no topic: say kind, kind.operation or kind.operation.phase.")
    return Topic(*parts)


def _start(call: Call) -> int:
    """Where the reader is: as its last stream told it, else as it says."""
    last = call.headers.get("last-event-id", "").strip()
    if not last:
        return int(call.first("after") or 0)
    if not last.isascii() or not last.isdigit() or len(last) > 18:
        raise Invalid("Last-Event-ID is no number of an event.")
    return int(last)


def _accepted(accept: str) -> str:
    """The first type that is asked for of those there are."""
    kinds = (part.partition(";")[0].strip().lower() for part in accept.split(","))
    return next((kind for kind in kinds if kind in _FORMS or kind in (JSON, "*/*")), JSON)


ROUTES: Final = (
    route(
        "GET",
        "/events",
        list_events,
        policy="kilonova:events:list",
        query=query(
            param("after", NON_NEGATIVE),
            param("before", NON_NEGATIVE),
            param("limit", NON_NEGATIVE),
            param("wait", NON_NEGATIVE),
            param("topic"),
            param("server"),
            param("request"),
            param("project"),
            strict="2.1",
        ),
    ),
)
