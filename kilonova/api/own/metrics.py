"""``/metrics``: what Prometheus scrapes.

Its cost depends on nothing that tenants make: servers and operations are tallies that are kept as the journal grows,
and what is asked of the database is bounded by the hosts or by what is open.
"""

import hmac
from collections.abc import Iterator
from typing import Final

from kilonova import __version__
from kilonova.api.http import Incoming, Reply
from kilonova.api.own import openstack_metrics, server_metrics
from kilonova.api.own.exposition import CONTENT_TYPE, Family, Sample, histogram, rendered
from kilonova.api.plane import Plane
from kilonova.api.policy import Policy
from kilonova.api.settings import MetricsSettings
from kilonova.domain.errors import Unauthenticated
from kilonova.domain.model import SECOND
from kilonova.domain.tallies import BUCKETS
from kilonova.identity.caller import Identity
from kilonova.store import fleet, gauges, journal, sinks
from kilonova.store.database import Connection

_RULE: Final = "kilonova:metrics:show"
_MIB: Final = 1024**2
_GIB: Final = 1024**3
_UNITS: Final = {"vcpus": ("vcpus", 1), "memory_mb": ("memory_bytes", _MIB), "local_gb": ("disk_bytes", _GIB)}
_MOST_DOWN: Final = 1000


class Metrics:
    """Answers scrapes. ``token`` is the scrape token, good for nothing else."""

    def __init__(self, plane: Plane, identity: Identity, policy: Policy, *, settings: MetricsSettings) -> None:
        self._plane = plane
        self._identity = identity
        self._policy = policy
        self._settings = settings

    def answer(self, incoming: Incoming) -> Reply:
        """The metrics, for whoever may have them; 401 or 403 for others."""
        status = 200 if self._settings.public else self._admitted(incoming)
        if status != 200:
            challenge = {"WWW-Authenticate": 'Bearer realm="kilonova metrics"'} if status == 401 else {}
            return Reply(status=status, content_type="text/plain; charset=utf-8", headers=challenge)
        with self._plane.database.read() as connection:
            families = list(self._families(connection))
        return Reply(status=200, body=rendered(families), content_type=CONTENT_TYPE)

    def _admitted(self, incoming: Incoming) -> int:
        """A scrape token or a token of the identity service as bearer, or the latter as everywhere else."""
        scheme, _, bearer = incoming.headers.get("authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else ""
        wanted = self._settings.token
        if wanted and hmac.compare_digest(given.encode(), wanted.encode()):
            return 200
        try:
            caller = self._identity.authenticate(incoming.headers.get("x-auth-token") or given)
        except Unauthenticated:
            return 401
        return 200 if self._policy.passes(_RULE, caller) else 403

    def _families(self, connection: Connection) -> Iterator[Family]:
        yield Family("kilonova_build_info", "gauge", "The version that runs.", [Sample(1, {"version": __version__})])
        yield from self._services(connection)
        yield from _capacity(connection)
        yield from self._servers(connection)
        yield from self._journal(connection)
        if self._settings.openstack_names:
            yield from openstack_metrics.families(self._plane, connection)
        if self._settings.servers:
            yield from server_metrics.families(self._plane, connection, most=self._settings.servers)

    def _services(self, connection: Connection) -> Iterator[Family]:
        plane = self._plane
        now, down = plane.now(), plane.settings.service_down_seconds
        found = gauges.count_services(connection, now, down_seconds=down)
        samples = [
            Sample(
                each.number,
                {
                    "binary": each.binary,
                    "state": "up" if each.is_up else "down",
                    "status": "enabled" if each.is_enabled else "disabled",
                },
            )
            for each in found
        ]
        yield Family("kilonova_services", "gauge", "Services by binary, state and status.", samples)
        lost = [
            Sample(1, {"binary": each.binary, "host": each.host}) for each in fleet.list_down(connection, _MOST_DOWN)
        ]
        yield Family("kilonova_service_down", "gauge", f"Services announced as down, {_MOST_DOWN} at most.", lost)
        bad = gauges.count_conditions(connection)
        kept = [Sample(number, {"type": type_, "reason": reason}) for (type_, reason), (number, _) in bad.items()]
        yield Family("kilonova_host_conditions", "gauge", "Hosts with a condition that is not as it should be.", kept)
        yield Family(
            "kilonova_heartbeats_total", "counter", "Heartbeats heard.", [Sample(plane.monitor.around.heard())]
        )
        turns = plane.monitor.tallies.turns.copy()
        yield Family(
            "kilonova_service_turns_total",
            "counter",
            "Services that turned down or up.",
            [Sample(number, {"binary": binary, "to": to}) for (binary, to), number in turns.items()],
        )

    def _servers(self, connection: Connection) -> Iterator[Family]:
        tallies = self._plane.monitor.tallies
        by_status = [Sample(number, {"status": status}) for status, number in sorted(tallies.servers.copy().items())]
        yield Family("kilonova_servers", "gauge", "Living servers by status.", by_status)
        durations = [
            sample
            for (operation, result), each in sorted(tallies.operations.copy().items())
            for sample in histogram(
                {"operation": operation, "result": result}, BUCKETS, list(each.counts), each.total_seconds
            )
        ]
        yield Family(
            "kilonova_operation_duration_seconds", "histogram", "Operations from acceptance to their end.", durations
        )
        made = [Sample(number, {"outcome": outcome}) for outcome, number in tallies.decisions.copy().items()]
        yield Family("kilonova_placement_decisions_total", "counter", "Attempts to find a host, by outcome.", made)
        yield from _open_work(connection, self._plane)
        consoles = [Sample(number, {"kind": kind}) for kind, number in self._plane.consoles.count_open().items()]
        yield Family("kilonova_consoles_open", "gauge", "Remote consoles that are open.", consoles)

    def _journal(self, connection: Connection) -> Iterator[Family]:
        now, oldest, extent = self._plane.now(), gauges.oldest_pending_at(connection), journal.extent(connection)
        lag = 0.0 if oldest is None else max(now - oldest, 0) / SECOND
        events = [Sample(number, {"kind": kind}) for kind, number in self._plane.monitor.tallies.events.copy().items()]
        yield Family("kilonova_journal_seq", "gauge", "The last number given in the journal.", [Sample(extent.head)])
        yield Family("kilonova_journal_rows", "gauge", "Rows that the journal holds.", [Sample(extent.rows)])
        yield Family("kilonova_journal_bytes", "gauge", "Bytes of documents in the journal.", [Sample(extent.bytes)])
        yield Family("kilonova_journal_lag_seconds", "gauge", "Age of the oldest row without a number.", [Sample(lag)])
        yield Family("kilonova_journal_events_total", "counter", "What was journalled since the start.", events)
        behind = [Sample(extent.head - sink.cursor_seq, {"sink": sink.name}) for sink in sinks.list_sinks(connection)]
        yield Family("kilonova_sink_lag_rows", "gauge", "Rows that a sink has not been told of.", behind)
        drift = self._plane.monitor.drift
        differing = [] if drift is None else [Sample(drift)]
        yield Family("kilonova_books_drift", "gauge", "What is counted twice and differs; always to be 0.", differing)
        failing = self._plane.monitor.around.failing()
        yield Family("kilonova_loops_failing", "gauge", "Loops whose last step failed.", [Sample(failing)])


def _capacity(connection: Connection) -> Iterator[Family]:
    sums = gauges.sum_capacity(connection)
    yield Family("kilonova_nodes", "gauge", "Compute nodes.", [Sample(gauges.count_nodes(connection))])
    orphans = gauges.count_orphans(connection)
    yield Family("kilonova_nodes_orphaned", "gauge", "Compute nodes whose service is gone.", [Sample(orphans)])
    for name, has in sums.items():
        unit, factor = _UNITS[name]
        samples = [
            Sample(value * factor, {"kind": kind})
            for kind, value in (
                ("total", has.total),
                ("reserved", has.reserved),
                ("allocated", has.allocated),
                ("capacity", has.capacity),
            )
        ]
        help_ = "What all nodes have, keep for themselves, have promised, and may promise with overcommit."
        yield Family(f"kilonova_{unit}", "gauge", help_, samples)


def _open_work(connection: Connection, plane: Plane) -> Iterator[Family]:
    now = plane.now()
    work = gauges.list_open_work(connection, now)
    under_way = [Sample(each.number, {"operation": each.operation}) for each in work]
    yield Family("kilonova_operations_open", "gauge", "Operations that have not ended yet.", under_way)
    ages = [Sample(max(now - each.oldest_at, 0) / SECOND, {"operation": each.operation}) for each in work]
    yield Family("kilonova_operation_open_age_seconds", "gauge", "Age of the oldest operation that is open.", ages)
    overdue = sum(each.overdue for each in work)
    yield Family(
        "kilonova_operations_stuck", "gauge", "Operations past their deadline; always to be 0.", [Sample(overdue)]
    )
    stuck = [Sample(number, {"kind": kind}) for kind, number in plane.monitor.stuck.items()]
    yield Family("kilonova_stuck", "gauge", "What nobody will end, searched for each minute; always to be 0.", stuck)
