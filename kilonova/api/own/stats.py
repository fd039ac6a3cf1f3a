"""``/state/v1/servers/{id}/stats``: what a server used lately, as points and the rates between them.

No host is asked: it is what heartbeats carried, with its age, also while the host is down. How many points there are
and of how many servers is a setting (``[statistics]``).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.own.parts import moment
from kilonova.api.routes import route
from kilonova.api.schemas.types import NON_NEGATIVE, param, query
from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import Invalid
from kilonova.domain.statistics import PER_SECOND, Point, Rates, rates_between
from kilonova.services.statistics import Series

_MOST: Final = 10_000
_NANOSECONDS: Final = 1e9
_NOTHING: Final[Sequence[Point]] = ()


def show(call: Call) -> dict[str, Any]:
    """``GET /state/v1/servers/{server_id}/stats``: the newest ``limit`` points, the oldest of them first.

    ``rates`` of a point are since the one before it: null for the first, and where the guest was switched on between
    the two. ``average`` is over all of them.
    """
    limit = int(call.first("limit") or _MOST)
    if not 1 <= limit <= _MOST:
        raise Invalid(f"There are 1 to {_MOST} points to be had.")
    statistics, server = call.plane.statistics, call.server
    series = statistics.find(server.host, server.uuid) if server.host else None
    points = _NOTHING if series is None else series.points[-limit:]
    return {
        "stats": {
            "server_id": server.uuid,
            "interval_seconds": statistics.interval,
            **_newest(series, call),
            "average": _average(points),
            "points": _points(points),
        }
    }


def _newest(series: Series | None, call: Call) -> dict[str, Any]:
    if series is None or series.counted is None:
        return {"is_running": None, "counted_at": None, "age_seconds": None, "newest": None}
    return {
        "is_running": series.is_running,
        "counted_at": moment(series.counted_at),
        "age_seconds": round(series.age_seconds(call.plane.now()), 3),
        "newest": _counted(series.counted),
    }


def _counted(found: Diagnostics) -> dict[str, Any]:
    """Everything that was counted, device by device."""
    return {
        "hypervisor": found.hypervisor,
        "cpus": [{"id": number, "time_ns": time} for number, time in enumerate(found.cpu_times)],
        "memory": {"maximum_mb": found.memory_maximum_mb, "used_mb": found.memory_used_mb},
        "disks": [
            {
                "device": disk.device,
                "read_bytes": disk.read_bytes,
                "read_requests": disk.read_requests,
                "write_bytes": disk.write_bytes,
                "write_requests": disk.write_requests,
                "errors": disk.errors,
            }
            for disk in found.disks
        ],
        "nics": [
            {
                "mac_address": nic.mac,
                **{
                    f"{way}_{name}": getattr(nic, f"{way}_{kept}")
                    for way in ("rx", "tx")
                    for name, kept in (
                        ("bytes", "octets"),
                        ("packets", "packets"),
                        ("errors", "errors"),
                        ("drop", "drop"),
                    )
                },
            }
            for nic in found.nics
        ],
    }


def _points(points: Sequence[Point]) -> list[dict[str, Any]]:
    rates = [None, *(rates_between(*pair) for pair in pairwise(points))]
    return [{**_point(point), "rates": _rates(rate)} for point, rate in zip(points, rates, strict=False)]


def _point(point: Point) -> dict[str, Any]:
    told = point._asdict()
    del told["at"], told["cpu_ns"]
    seconds = None if point.cpu_ns is None else point.cpu_ns / _NANOSECONDS
    return {"at": moment(point.at), "cpu_seconds": seconds, **told}


def _rates(rates: Rates | None) -> dict[str, Any] | None:
    if rates is None:
        return None
    grown = {f"{name}_per_second": _rounded(getattr(rates, name)) for name in PER_SECOND}
    return {"seconds": round(rates.seconds, 3), "cpu_percent": _rounded(rates.cpu_percent), **grown}


def _average(points: Sequence[Point]) -> dict[str, Any] | None:
    """Over the newest of the points between which the guest was not switched on anew."""
    begin = 0
    for number, pair in enumerate(pairwise(points), start=1):
        if rates_between(*pair) is None:
            begin = number
    return _rates(rates_between(points[begin], points[-1])) if len(points) - begin > 1 else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


ROUTES: Final = (
    route(
        "GET",
        "/servers/{server_id}/stats",
        show,
        policy="kilonova:stats:show",
        query=query(param("limit", NON_NEGATIVE), strict="2.1"),
    ),
)
