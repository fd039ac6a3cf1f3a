"""Heartbeats: who is alive, by the control plane's clock, at one statement a flush for the whole fleet.

Reported is not changed: a beat moves ``last_seen_at`` and a count, nothing else, and is not journalled. What a host
has is written when it differs from what is known, and what is wrong with it when that turns.
"""

import logging
import threading
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from kilonova.domain.conditions import NOTED, Condition, Status
from kilonova.domain.errors import Invalid
from kilonova.domain.model import SECOND, Clock, ComputeNode, Instant, Service
from kilonova.services import findings
from kilonova.services.door import HostReport, NodeReport
from kilonova.services.settings import ServiceSettings
from kilonova.services.speakers import Speakers
from kilonova.store import arrivals, conditions, fleet, node_facts
from kilonova.store.database import Database
from kilonova.store.fleet import NodeValues

_log = logging.getLogger(__name__)

CONTROL_BINARIES: Final = ("nova-conductor", "nova-scheduler")
"""The services that the control plane itself stands for in os-services."""
_COMPUTE: Final = "nova-compute"
_NEW_DISABLED: Final = "New compute service disabled due to config option."
"""Nova's words (contract §1.5)."""
_UPTIME_LENGTH: Final = 255
_UPTIME_SECONDS: Final = 60


@dataclass(slots=True)
class _Known:
    """A service as it is known here: its number, its uuid, and what its heartbeats last told to be wrong or right."""

    id: int
    uuid: str
    noted: dict[str, Condition]


class Beats:
    """Hears heartbeats at once and writes them later, all together."""

    def __init__(self, database: Database, clock: Clock, *, settings: ServiceSettings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[int, Instant]] = {}
        self._services: dict[tuple[str, str], _Known] = {}
        self._nodes: dict[tuple[str, str], NodeReport] = {}
        self._uptimes: dict[tuple[str, str], str] = {}
        self._uptimes_kept_at = clock()
        self._lost: set[int] = set()
        self.speakers = Speakers(patience_seconds=settings.service_down_time)
        self.heard_total = 0
        """Beats since the start; a counter."""

    def welcome(self, reports: Sequence[HostReport]) -> None:
        """Learn what is known of a fleet, and register at once whatever of it is new, in few statements."""
        with self._database.read() as connection:
            found = fleet.list_services(connection)
            nodes = fleet.list_nodes(connection)
            noted = conditions.list_conditions(connection, "service")
        for service in found:
            self._know(service, noted.get(service.uuid, ()))
        for node in nodes:
            if self._is_promised_alike(node):
                self._nodes[node.host, node.hypervisor_hostname] = _as_reported(node)
        sensible = [report for report in reports if _is_sensible(report)]
        self._add_services([report.host for report in sensible])
        self._add_nodes(sensible, {(node.host, node.hypervisor_hostname) for node in nodes})

    def heard(self, report: HostReport) -> None:
        """Note a beat of a host's agent; a host or a capacity that is new is written at once.

        Raises ``Invalid`` for what cannot be a host's name, and ``Conflict`` while another agent speaks for the host.
        Numbers that cannot be true are not kept, and told of; the agent lives all the same.
        """
        findings.check_host(report.host)
        now = self._clock()
        self.speakers.hear(report, now)
        known = self._beat(_COMPUTE, report.host, now)
        complaint = self._learn_nodes(report)
        self._note(known, report, complaint, now)

    def beat_control(self, host: str) -> None:
        """Note that the control plane's own services live."""
        for binary in CONTROL_BINARIES:
            self._beat(binary, host, self._clock())

    def flush(self) -> bool:
        """Write what was heard since the last flush. Always False: a flush leaves nothing to do.

        How long hosts have been up differs at every beat, and is written once a minute.
        """
        self._flush_uptimes()
        with self._lock:
            pending, self._pending = self._pending, {}
            self._lost -= pending.keys()
        if not pending:
            return False
        try:
            with self._database.transaction() as tx:
                fleet.record_beats(tx.connection, pending)
        except BaseException:
            self._put_back(pending)
            raise
        return False

    def lose(self, service_ids: Collection[int]) -> None:
        """Note services that were announced as down."""
        with self._lock:
            self._lost |= set(service_ids)

    def has_found(self) -> bool:
        """Whether one of those was heard again, and its beat is not written yet."""
        with self._lock:
            return not self._lost.isdisjoint(self._pending)

    def _flush_uptimes(self) -> None:
        now = self._clock()
        if now - self._uptimes_kept_at < _UPTIME_SECONDS * SECOND:
            return
        with self._lock:
            told, self._uptimes = self._uptimes, {}
        self._uptimes_kept_at = now
        if told:
            with self._database.transaction() as tx:
                node_facts.keep_uptimes(tx.connection, told)

    def _beat(self, binary: str, host: str, now: Instant) -> _Known:
        known = self._services.get((binary, host)) or self._register(binary, host)
        with self._lock:
            count, _ = self._pending.get(known.id, (0, 0))
            self._pending[known.id] = (count + 1, now)
            self.heard_total += 1
        return known

    def _put_back(self, pending: dict[int, tuple[int, Instant]]) -> None:
        """Nothing heard is forgotten because it could not be written."""
        with self._lock:
            for service_id, (count, seen_at) in pending.items():
                more, later = self._pending.get(service_id, (0, seen_at))
                self._pending[service_id] = (count + more, later)

    def _know(self, service: Service, noted: Collection[Condition]) -> _Known:
        known = _Known(service.id, service.uuid, {each.type: each for each in noted if each.type in NOTED})
        self._services[service.binary, service.host] = known
        if not service.was_up:
            self.lose([service.id])
        return known

    def _register(self, binary: str, host: str) -> _Known:
        with self._database.transaction() as tx:
            service = fleet.ensure_service(
                tx, binary=binary, host=host, now=self._clock(), disabled_reason=self._reason_to_disable(binary)
            )
            noted = conditions.list_conditions(tx.connection, "service", [service.uuid])
        return self._know(service, noted.get(service.uuid, ()))

    def _reason_to_disable(self, binary: str) -> str | None:
        return _NEW_DISABLED if binary == _COMPUTE and not self._settings.enable_new_services else None

    def _add_services(self, hosts: Sequence[str]) -> None:
        new = [host for host in dict.fromkeys(hosts) if (_COMPUTE, host) not in self._services]
        if not new:
            return
        reason = self._reason_to_disable(_COMPUTE)
        with self._database.transaction() as tx:
            arrivals.add_services(tx, _COMPUTE, new, now=self._clock(), version=fleet.VERSION, disabled_reason=reason)
            made = fleet.list_services(tx.connection, binary=_COMPUTE)
        for service in made:
            if (_COMPUTE, service.host) not in self._services:
                self._know(service, ())

    def _add_nodes(self, reports: Sequence[HostReport], there: Collection[tuple[str, str]]) -> None:
        new = [
            (report.host, node)
            for report in reports
            for node in report.nodes
            if (report.host, node.hypervisor_hostname) not in there
        ]
        if new:
            with self._database.transaction() as tx:
                arrivals.add_nodes(tx, [(host, self._values(node)) for host, node in new], now=self._clock())
            self._nodes |= {(host, node.hypervisor_hostname): _lasting(node) for host, node in new}

    def _learn_nodes(self, report: HostReport) -> str | None:
        """Keep what differs from what is known; the complaint where it cannot be true."""
        with self._lock:
            self._uptimes |= {
                (report.host, node.hypervisor_hostname): node.uptime_text[:_UPTIME_LENGTH]
                for node in report.nodes
                if isinstance(node.uptime_text, str) and (report.host, node.hypervisor_hostname) in self._nodes
            }
        new = [
            node for node in report.nodes if self._nodes.get((report.host, node.hypervisor_hostname)) != _lasting(node)
        ]
        if not new:
            return None
        complaint = findings.find_complaint(report.nodes)
        if complaint is None:
            for node in new:
                with self._database.transaction() as tx:
                    fleet.save_node(tx, report.host, now=self._clock(), **self._values(node))
                self._nodes[report.host, node.hypervisor_hostname] = _lasting(node)
        return complaint

    def _note(self, known: _Known, report: HostReport, complaint: str | None, now: Instant) -> None:
        """Write down what turned of the host's conditions; mostly nothing does."""
        rival = self.speakers.rival(report.host, now)
        if not known.noted and complaint is None and rival is None and findings.is_plain(report, now=now):
            return
        found = findings.found(report, known.noted, now=now, rival=rival, complaint=complaint)
        turned = [each for each in found if _differs(known.noted.get(each.type), each)]
        if not turned:
            return
        with self._database.transaction() as tx:
            facts = {
                "host": report.host,
                "host_ip": node_facts.find_host_ip(tx.connection, report.host),
                "driver": report.driver,
            }
            turns = conditions.keep(tx, "service", known.uuid, turned, now=now, facts=facts)
        for turn in turns:
            _log.warning("Host %s: %s is %s (%s) %s", report.host, *_words(turn.after))
        known.noted |= {each.type: each for each in turned}

    def _is_promised_alike(self, node: ComputeNode) -> bool:
        """Whether the node is kept with the overcommit and the reservation of today's settings."""
        return all(getattr(node, name) == value for name, value in self._promises().items())

    def _promises(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "cpu_allocation_ratio": settings.cpu_allocation_ratio,
            "ram_allocation_ratio": settings.ram_allocation_ratio,
            "disk_allocation_ratio": settings.disk_allocation_ratio,
            "reserved_memory_mb": settings.reserved_host_memory_mb,
            "reserved_disk_gb": -(-settings.reserved_host_disk_mb // 1024),
        }

    def _values(self, node: NodeReport) -> NodeValues:
        uptime = node.uptime_text and node.uptime_text[:_UPTIME_LENGTH]
        return {**asdict(node), "uptime_text": uptime, **self._promises()}  # type: ignore[typeddict-item]


_REPORTED: Final = tuple(each.name for each in fields(NodeReport))


def _lasting(node: NodeReport) -> NodeReport:
    """The uptime differs at every beat: it alone is no reason to write."""
    return node if node.uptime_text is None else replace(node, uptime_text=None)


def _as_reported(node: ComputeNode) -> NodeReport:
    return _lasting(NodeReport(**{name: getattr(node, name) for name in _REPORTED}))


def _is_sensible(report: HostReport) -> bool:
    try:
        findings.check_host(report.host)
    except Invalid:
        return False
    return findings.find_complaint(report.nodes) is None


def _differs(known: Condition | None, found: Condition) -> bool:
    if known is None:
        return found.status is not Status.TRUE
    return (known.status, known.reason) != (found.status, found.reason)


def _words(condition: Condition) -> tuple[str, str, str, str]:
    return condition.type, str(condition.status), condition.reason, condition.message
