"""``/state/v1/fleet/{host}/history``: what servers took of a host over time, from what was used, not from memory."""

from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.own.parts import instant_asked
from kilonova.api.routes import Route, route
from kilonova.api.schemas.types import NON_NEGATIVE, param, query
from kilonova.domain.errors import Invalid, NotFound
from kilonova.domain.exact_usage import DAY, HOUR, Promised
from kilonova.domain.model import Instant
from kilonova.store import exact_usage, fleet
from kilonova.wire.times import zulu_micros

_POINTS: Final = 49
_MOST_POINTS: Final = 200
_MOST_DAYS: Final = 366
_HOURS: Final = 24


def show_history(call: Call) -> dict[str, Any]:
    """``GET /state/v1/fleet/{host}/history?start&end&hours=&points=``: at equally distant instants, the oldest first.

    Without ``start`` so many hours before the end, a day without. What servers have counts, whatever they did: it was
    promised to them there.
    """
    host, instants = call.params["host"], _instants(call)
    with call.plane.database.read() as connection:
        if not any(each.host == host for each in fleet.list_services(connection)):
            raise NotFound(f"There is no host {host}.")
        found = exact_usage.list_promised(connection, host, instants)
    points = [_point(at, promised) for at, promised in zip(instants, found, strict=True)]
    return {"history": {"host": host, "start": points[0]["at"], "end": points[-1]["at"], "points": points}}


def _instants(call: Call) -> list[Instant]:
    now = call.plane.now()
    start, end = instant_asked(call, "start"), instant_asked(call, "end")
    stop = now if end is None else min(end, now)
    begin = stop - int(call.first("hours") or _HOURS) * HOUR if start is None else start
    count = int(call.first("points") or _POINTS)
    if not 2 <= count <= _MOST_POINTS:
        raise Invalid(f"A history has 2 to {_MOST_POINTS} points.")
    if begin < 0 or not count <= stop - begin <= _MOST_DAYS * DAY:
        raise Invalid(
            "A history begins in 1970 or later, before its end and before the present, "
            f"and has {_MOST_DAYS} days at most."
        )
    return [Instant(begin + (stop - begin) * number // (count - 1)) for number in range(count)]


def _point(at: Instant, promised: Promised) -> dict[str, Any]:
    """In the words of ``/state/v1/fleet``."""
    return {
        "at": zulu_micros(at),
        "servers": promised.servers,
        "vcpus": promised.vcpus,
        "memory_mb": promised.memory_mb,
        "local_gb": promised.disk_gb,
    }


ROUTES: Final[tuple[Route, ...]] = (
    route(
        "GET",
        "/fleet/{host}/history",
        show_history,
        policy="kilonova:fleet:show",
        query=query(
            param("start"), param("end"), param("hours", NON_NEGATIVE), param("points", NON_NEGATIVE), strict="2.1"
        ),
    ),
)
