"""Heartbeats: who is alive, by the control plane's clock, at one statement a flush for the whole fleet.

Reported is not changed: a beat moves ``last_seen_at`` and a count, nothing else, and is not journalled. What a host
has is written when it differs from what is known.
"""

import logging
import threading
from dataclasses import asdict, replace

from kilonova.domain.model import Clock, Instant
from kilonova.services.door import HostReport, NodeReport
from kilonova.services.settings import ServiceSettings
from kilonova.store import fleet
from kilonova.store.database import Database

_log = logging.getLogger(__name__)

CONTROL_BINARIES = ("nova-conductor", "nova-scheduler")
"""The services that the control plane itself stands for in os-services."""


class Beats:
    """Hears heartbeats at once and writes them later, all together."""

    def __init__(self, database: Database, clock: Clock, *, settings: ServiceSettings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[int, Instant]] = {}
        self._service_ids: dict[tuple[str, str], int] = {}
        self._known: dict[tuple[str, str], NodeReport] = {}

    def heard(self, report: HostReport) -> None:
        """Note a beat of a host's agent; a host or a capacity that is new is written at once."""
        self._beat("nova-compute", report.host)
        for node in report.nodes:
            # The uptime differs at every beat: it alone is no reason to write.
            lasting = replace(node, uptime_text=None)
            if self._known.get((report.host, node.hypervisor_hostname)) != lasting:
                self._learn(report.host, node)
                self._known[report.host, node.hypervisor_hostname] = lasting

    def beat_control(self, host: str) -> None:
        """Note that the control plane's own services live."""
        for binary in CONTROL_BINARIES:
            self._beat(binary, host)

    def flush(self) -> bool:
        """Write what was heard since the last flush. Always False: a flush leaves nothing to do."""
        with self._lock:
            pending, self._pending = self._pending, {}
        if pending:
            with self._database.transaction() as tx:
                fleet.record_beats(tx.connection, pending)
        return False

    def _beat(self, binary: str, host: str) -> None:
        service_id = self._service_ids.get((binary, host)) or self._register(binary, host)
        with self._lock:
            count, _ = self._pending.get(service_id, (0, 0))
            self._pending[service_id] = (count + 1, self._clock())

    def _register(self, binary: str, host: str) -> int:
        with self._database.transaction() as tx:
            service = fleet.ensure_service(tx, binary=binary, host=host, now=self._clock())
        self._service_ids[binary, host] = service.id
        return service.id

    def _learn(self, host: str, node: NodeReport) -> None:
        settings = self._settings
        with self._database.transaction() as tx:
            fleet.save_node(
                tx,
                host,
                now=self._clock(),
                cpu_allocation_ratio=settings.cpu_allocation_ratio,
                ram_allocation_ratio=settings.ram_allocation_ratio,
                disk_allocation_ratio=settings.disk_allocation_ratio,
                reserved_memory_mb=settings.reserved_host_memory_mb,
                reserved_disk_gb=-(-settings.reserved_host_disk_mb // 1024),
                **asdict(node),
            )
