"""Metrics of single servers: an opt-in, because there are as many of them as there are servers; at most so many.

They come from the counts that heartbeats carried (``services/statistics.py``). A server that is off, or of which
nothing was heard lately, has none.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from kilonova.api.own.exposition import Family, Sample
from kilonova.api.plane import Plane
from kilonova.domain.statistics import Point
from kilonova.store.database import Connection
from kilonova.store.labels import list_labels

_MIB: Final = 1024**2
_NANOSECONDS: Final = 1e9
_Value = Callable[[Point], float | None]
_COUNTERS: Final[tuple[tuple[str, str, _Value], ...]] = (
    ("cpu_seconds", "Processor time, over all processors.", lambda point: _scaled(point.cpu_ns, 1 / _NANOSECONDS)),
    ("disk_read_bytes", "Bytes read from disks.", lambda point: point.disk_read_bytes),
    ("disk_reads", "Requests that read from disks.", lambda point: point.disk_read_requests),
    ("disk_written_bytes", "Bytes written to disks.", lambda point: point.disk_write_bytes),
    ("disk_writes", "Requests that wrote to disks.", lambda point: point.disk_write_requests),
    ("network_receive_bytes", "Bytes that the server received.", lambda point: point.rx_bytes),
    ("network_receive_packets", "Packets that the server received.", lambda point: point.rx_packets),
    ("network_transmit_bytes", "Bytes that the server sent.", lambda point: point.tx_bytes),
    ("network_transmit_packets", "Packets that the server sent.", lambda point: point.tx_packets),
)


def families(plane: Plane, connection: Connection, *, most: int) -> Iterator[Family]:
    """All of them, of at most so many servers. Counters begin anew when a server is switched on."""
    found = [(uuid, series.points[-1]) for _, uuid, series in plane.statistics.newest(most) if series.points]
    known = list_labels(connection, [uuid for uuid, _ in found])
    labels = {each.uuid: {"server": each.uuid, "project": each.project_id} for each in known}
    points = [(labels[uuid], point) for uuid, point in found if uuid in labels]
    named = [Sample(1, {**labels[each.uuid], "name": each.name, "host": each.host or ""}) for each in known]
    yield Family("kilonova_server_info", "gauge", "Which server an id stands for, and where it is.", named)
    for name, help_, value in _COUNTERS:
        yield Family(f"kilonova_server_{name}_total", "counter", help_, _samples(points, value))
    used = _samples(points, lambda point: _scaled(point.memory_used_mb, _MIB))
    yield Family("kilonova_server_memory_used_bytes", "gauge", "Memory of the host that the server takes.", used)
    without = [Sample(plane.statistics.left_out)]
    yield Family(
        "kilonova_servers_uncounted", "gauge", "Servers of which no counts are kept for want of room.", without
    )


def _samples(points: Sequence[tuple[dict[str, str], Point]], value: _Value) -> list[Sample]:
    told = ((labels, value(point)) for labels, point in points)
    return [Sample(number, labels) for labels, number in told if number is not None]


def _scaled(value: int | None, factor: float) -> float | None:
    return None if value is None else value * factor
