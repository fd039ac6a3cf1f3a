"""The agent on a compute host: pulls work through the door, has the driver do it, and reports.

It keeps no state that matters. Whatever it was doing when it died is given to its next run again, and drivers may
be asked for the same thing twice.
"""

import json
import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import uuid4

from kilonova.domain.changes import Phase
from kilonova.domain.errors import GuestFailure, HypervisorUnavailable, KilonovaError, NotFound, NotSupported
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Instance
from kilonova.domain.operations import Operation, get_operation
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import CanReadConsole, Driver, GuestEvent, GuestSpec, ImageSource, Nic
from kilonova.services.door import Door, Failure, HostReport, NodeReport, Observation, PhaseReport, Work
from kilonova.services.settings import ServiceSettings

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS: Final = 10.0
"""How long a stop waits for operations in hand."""


class ImageFetcher(Protocol):
    """Where the agent gets an image's bytes from."""

    def fetch(self, image_id: str, destination: Path) -> None:
        """Write the image's data to ``destination``; NotFound where there is none."""


class Agent:
    """One run of the agent of one host. ``prod`` is called when there may be more work to fetch."""

    def __init__(
        self, host: str, driver: Driver, door: Door, images: ImageFetcher, *, settings: ServiceSettings
    ) -> None:
        self.host = host
        self.run_id = uuid4().hex
        self.prod: Callable[[], None] = lambda: None
        self._driver = driver
        self._door = door
        self._images = images
        self._settings = settings
        self._working: dict[int, Work] = {}
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._is_concurrent = False

    def start(self, *, concurrently: bool) -> None:
        """Adopt what runs on the host and say that it is there; then it is ready for ``step``.

        With ``concurrently`` operations run in threads of the agent's own, without it within ``step``.
        """
        self._driver.start(self._heard)
        self.beat()
        self.compare()
        self._is_concurrent = concurrently

    def stop(self) -> None:
        """Finish what ends soon and let go of the guests, which keep running; the rest is the next run's."""
        with self._idle:
            if not self._idle.wait_for(lambda: not self._working, _PATIENCE_SECONDS):
                _log.warning("%d operations on %s go on at the next start", len(self._working), self.host)
        self._driver.close()

    def step(self) -> bool:
        """Fetch work and begin it; True if there was any."""
        room = self._settings.max_concurrent_builds - len(self._working)
        if room <= 0:
            return False
        fetched = self._door.next_work(self.host, self.run_id, limit=room)
        for work in fetched:
            with self._lock:
                self._working[work.action_id] = work
            if self._is_concurrent:
                name = f"{work.operation} {work.instance.uuid}"
                threading.Thread(target=self._perform, args=(work,), name=name, daemon=True).start()
            else:
                self._perform(work)
        return bool(fetched)

    def beat(self) -> bool:
        """Send a heartbeat with what the host has. Always False: a beat leaves nothing to do."""
        self._driver.probe()
        with self._lock:
            working = tuple(self._working)
        running = sum(power is PowerState.RUNNING for power in self._driver.list_guests().values())
        nodes = tuple(self._node(node, running) for node in self._driver.nodes())
        self._door.report_state(HostReport(host=self.host, run_id=self.run_id, nodes=nodes, working=working))
        return False

    def compare(self) -> bool:
        """Tell the power state of every guest, and remove those whose server is gone. Always False, as ``beat``."""
        seen = [
            Observation(instance_uuid=uuid, power=power, detail="found so by the comparison of power states")
            for uuid, power in self._driver.list_guests().items()
        ]
        for uuid in self._door.observe(self.host, seen):
            _log.warning("Removing guest %s from %s: its server was deleted", uuid, self.host)
            self._driver.destroy(uuid)
        return False

    def console_log(self, uuid: str, *, lines: int | None) -> str:
        """The last lines that the guest wrote to its serial console; NotSupported where the driver keeps none."""
        if not isinstance(self._driver, CanReadConsole):
            raise NotSupported("The driver in use keeps no console log.")
        return self._driver.console_log(uuid, lines=lines)

    def _heard(self, event: GuestEvent) -> None:
        """Pass on what the hypervisor tells of itself. What an operation does is reported by the operation."""
        with self._lock:
            busy = any(work.instance.uuid == event.uuid for work in self._working.values())
        if busy:
            return
        try:
            self._door.observe(
                self.host, [Observation(instance_uuid=event.uuid, power=event.power_state, detail=event.detail)]
            )
        except KilonovaError:
            _log.exception("Could not tell of %s; the next comparison will", event)

    def _node(self, node: str, running: int) -> NodeReport:
        has = self._driver.inventory(node)
        return NodeReport(
            hypervisor_hostname=has.node,
            hypervisor_type=has.hypervisor_type,
            hypervisor_version=has.hypervisor_version,
            host_ip=has.host_ip,
            vcpus=has.vcpus,
            memory_mb=has.memory_mb,
            local_gb=has.local_gb,
            disk_available_least=has.local_gb_available,
            cpu_info_json=json.dumps(has.cpu_info),
            uptime_text=has.uptime_text,
            running_vms=running,
        )

    def _perform(self, work: Work) -> None:
        operation = get_operation(work.operation)
        try:
            self._door.report(PhaseReport(action_id=work.action_id, host=self.host, phase=Phase.START))
            self._door.report(self._outcome(operation, work))
        except Exception:  # noqa: BLE001 - whatever it was, the lease lets the operation be tried again
            # The lease runs out, and then this operation is given out again.
            _log.exception("Could not report %s of %s", work.operation, work.instance.uuid)
        finally:
            with self._idle:
                self._working.pop(work.action_id, None)
                self._idle.notify_all()
            self.prod()

    def _outcome(self, operation: Operation, work: Work) -> PhaseReport:
        uuid = work.instance.uuid
        try:
            self._call(operation, work)
        except Exception as error:  # noqa: BLE001 - a driver may raise anything, and it must become a fault
            failure = _failure(error)
            if operation.name == "create":
                self._clear(uuid)
            return PhaseReport(
                action_id=work.action_id, host=self.host, phase=Phase.ERROR, power=self._power(uuid), failure=failure
            )
        return PhaseReport(action_id=work.action_id, host=self.host, phase=Phase.END)

    def _call(self, operation: Operation, work: Work) -> None:
        driver, uuid = self._driver, work.instance.uuid
        patience = self._settings.shutdown_timeout
        calls: Mapping[str, Callable[[], None]] = {
            "spawn": lambda: driver.spawn(self._guest(work.instance)),
            "destroy": lambda: driver.destroy(uuid),
            "power_on": lambda: driver.power_on(uuid),
            "power_off": lambda: driver.power_off(uuid, timeout_seconds=patience),
            "reboot": lambda: driver.reboot(uuid, hard=operation.variant == "HARD", timeout_seconds=patience),
            "pause": lambda: driver.pause(uuid),
            "unpause": lambda: driver.unpause(uuid),
        }
        calls[operation.driver]()

    def _clear(self, uuid: str) -> None:
        try:
            self._driver.destroy(uuid)
        except KilonovaError:
            _log.exception("Could not clear away the failed build of %s", uuid)

    def _power(self, uuid: str) -> PowerState | None:
        try:
            return self._driver.power_state(uuid)
        except KilonovaError:
            _log.exception("Could not tell the power state of %s", uuid)
            return None

    def _guest(self, instance: Instance) -> GuestSpec:
        return GuestSpec(
            uuid=instance.uuid,
            name=instance.name,
            display_name=instance.display_name,
            project_id=instance.project_id,
            user_id=instance.user_id,
            hostname=instance.hostname,
            vcpus=instance.vcpus,
            memory_mb=instance.memory_mb,
            root_gb=instance.root_gb,
            ephemeral_gb=instance.ephemeral_gb,
            swap_mb=instance.swap_mb,
            image=self._image(instance),
            nics=tuple(Nic(mac=nic["mac"], address=nic["address"], label=nic["label"]) for nic in instance.nics),
            metadata=instance.metadata,
            user_data=instance.user_data,
            config_drive=bool(instance.config_drive),
            public_keys=instance.public_keys,
        )

    def _image(self, instance: Instance) -> ImageSource | None:
        if not instance.image_ref:
            return None
        facts: dict[str, Any] = instance.image

        def fetch(destination: Path) -> None:
            try:
                self._images.fetch(instance.image_ref, destination)
            except NotFound as error:
                text = f"image {instance.image_ref} cannot be read: {error.message}"
                raise GuestFailure(FaultCause.IMAGE_UNAVAILABLE, text) from error

        return ImageSource(
            image_id=instance.image_ref,
            disk_format=facts["disk_format"],
            size_bytes=facts["size"],
            sha512=facts["os_hash_value"],
            fetch=fetch,
        )


def _failure(error: Exception) -> Failure:
    cause, message = FaultCause.INTERNAL, type(error).__name__
    if isinstance(error, GuestFailure):
        cause, message = error.cause, error.message
    elif isinstance(error, HypervisorUnavailable):
        cause, message = FaultCause.HYPERVISOR_GONE, error.message
    elif isinstance(error, KilonovaError):
        cause, message = FaultCause.DRIVER_ERROR, error.message
    detail = error.detail if isinstance(error, KilonovaError) and error.detail else str(error)
    return Failure(cause=cause, message=message, detail=detail, traceback="".join(traceback.format_exception(error)))
