"""One guest's way from this host's daemon to another's."""

import contextlib
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from xml.etree import ElementTree as ET

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.drivers import host
from kilonova.drivers.instances.definition import Definition
from kilonova.drivers.libvirt.description import CONSOLE_LOG, files_of, moved
from kilonova.drivers.libvirt.words import reason_of, translated
from kilonova.drivers.protocol import Tell

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS: Final = 0.2
_NO_JOB: Final = 0  # VIR_DOMAIN_JOB_NONE
_OUTGOING: Final = 5  # VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
_MIGRATABLE: Final = 1 | 8  # VIR_DOMAIN_XML_SECURE, VIR_DOMAIN_XML_MIGRATABLE
_INACTIVE: Final = 1 | 2
_PROGRESS: Final = {
    f"{ours}_{how}_bytes": f"{theirs}_{how}"
    for ours, theirs in (("memory", "memory"), ("disk", "disk"))
    for how in ("total", "processed", "remaining")
}


class Leaver(Protocol):
    """What must be known of a guest that goes."""

    @property
    def directory(self) -> Path:
        """Where its files are."""
        ...

    def require_definition(self) -> Definition:
        """What it is made of."""
        ...

    def with_own_cards(self, description: str) -> str:
        """Its domain with those of its network cards that libvirt does not know of."""
        ...


class Departure:
    """A running guest that goes to ``target``, which its new host described."""

    def __init__(self, domain: Any, leaver: Leaver, target: Mapping[str, Any]) -> None:
        self._domain = domain
        self._leaver = leaver
        self._guest = leaver.require_definition()
        self._directory = leaver.directory
        self._target = target
        self._failure: Exception | None = None

    def go(self, tell: Tell, *, mib_a_second: int) -> None:
        """Send it, no faster (0 for any speed), telling now and then how far it is.

        Raises GuestFailure; then it runs here as before.
        """
        import libvirt

        end_migration(self._domain)  # of a driver that was cut off
        is_near = self._target["machine"] == host.boot_id()
        scratch = Path(tempfile.mkdtemp(prefix="kv-")) if is_near else None
        try:
            peer, ways = self._ways(scratch)
            limit = {libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: mib_a_second} if mib_a_second else {}
            self._send(peer, {**ways, **limit}, tell)
        finally:
            if scratch is not None:
                shutil.rmtree(scratch, ignore_errors=True)

    def _ways(self, scratch: Path | None) -> tuple[str, Mapping[str, Any]]:
        """The new host's daemon, and how memory and disks get there: by sockets on one machine, else by TCP."""
        import libvirt

        if scratch is not None:
            memory, disks = f"unix://{scratch}/memory", f"unix://{scratch}/disks"
            return self._target["uri"], {
                libvirt.VIR_MIGRATE_PARAM_URI: memory,
                libvirt.VIR_MIGRATE_PARAM_DISKS_URI: disks,
            }
        way = f"tcp://{self._target['address']}"
        return self._target["peer_uri"], {libvirt.VIR_MIGRATE_PARAM_URI: way}

    def _send(self, peer: str, given: Mapping[str, Any], tell: Tell) -> None:
        import libvirt

        bases = {disk.role.value: disk.base for disk in self._guest.disks if disk.base is not None}
        is_on_same_images = bases == self._target["bases"]
        flags = (
            libvirt.VIR_MIGRATE_LIVE
            | libvirt.VIR_MIGRATE_PEER2PEER
            | libvirt.VIR_MIGRATE_PERSIST_DEST
            | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
            | libvirt.VIR_MIGRATE_AUTO_CONVERGE
            | (libvirt.VIR_MIGRATE_NON_SHARED_INC if is_on_same_images else libvirt.VIR_MIGRATE_NON_SHARED_DISK)
        )
        with translated("describe the server to its new host"):
            running, kept = self._domain.XMLDesc(_MIGRATABLE), self._domain.XMLDesc(_INACTIVE)
        files, owner = self._files(), self._target["owner"]
        parameters = {
            **given,
            libvirt.VIR_MIGRATE_PARAM_DEST_XML: moved(self._leaver.with_own_cards(running), files, owner),
            libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: moved(self._leaver.with_own_cards(kept), files, owner),
            libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS: _written_disks(running),
        }
        self._watch(lambda: self._domain.migrateToURI3(peer, parameters, flags), tell)
        self._tell_end(tell)

    def _files(self) -> Mapping[str, str]:
        there: Mapping[str, str] = self._target["files"]
        here = files_of(self._guest, self._directory)
        missing = sorted(set(here) - set(there))
        if missing:
            text = f"the server's new host made nothing for its {missing[0]}"
            raise GuestFailure(FaultCause.DRIVER_ERROR, text)
        log = {str(self._directory / CONSOLE_LOG): self._target["console"]}
        return {path: there[role] for role, path in here.items()} | log

    def _watch(self, send: Callable[[], object], tell: Tell) -> None:
        """Have it sent on a thread of its own, and look how far it is."""
        import libvirt

        def run() -> None:
            try:
                send()
            except libvirt.libvirtError as error:
                self._failure = error

        sending = threading.Thread(target=run, name="libvirt-migration", daemon=True)
        sending.start()
        while sending.is_alive():
            sending.join(_LOOK_SECONDS)
            self._tell(tell)
        if isinstance(self._failure, libvirt.libvirtError):
            raise reason_of(self._failure, "move the server") from self._failure

    def _tell(self, tell: Tell) -> None:
        import libvirt

        try:
            job = self._domain.jobStats()
        except libvirt.libvirtError:  # it has gone
            return
        self._tell_counts(job, tell)

    def _tell_end(self, tell: Tell) -> None:
        """What was moved in all, which a small guest's looks on the way may have missed; its new host knows it."""
        import libvirt

        try:
            with _new_host(self._target) as there:
                job = there.lookupByUUIDString(self._guest.uuid).jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
        except (HypervisorUnavailable, libvirt.libvirtError) as error:
            _LOG.info("%s has moved; how much of it there was is not known: %s", self._guest.uuid, error)
            return
        self._tell_counts(job, tell)

    @staticmethod
    def _tell_counts(job: Mapping[str, Any], tell: Tell) -> None:
        counts = {ours: int(job[theirs]) for ours, theirs in _PROGRESS.items() if theirs in job}
        if counts:
            tell(counts)


def is_migrating(domain: Any) -> bool:
    """Whether it is on its way to another host."""
    with translated("tell whether the server is moving"):
        job = domain.jobStats()
    return bool(job["type"] != _NO_JOB and job.get("operation") == _OUTGOING)


def end_migration(domain: Any) -> None:
    """Call off what a driver that was cut off began; the guest stays."""
    if is_migrating(domain):
        with translated("call the migration off"):
            domain.abortJob()
        while is_migrating(domain):
            time.sleep(_LOOK_SECONDS)


def runs_at(uuid: str, target: Mapping[str, Any]) -> bool:
    """Whether the guest runs on its new host. Raises HypervisorUnavailable where nobody there can be asked."""
    import libvirt

    with _new_host(target) as there:
        try:
            return bool(there.lookupByUUIDString(uuid).isActive())
        except libvirt.libvirtError:
            return False


@contextlib.contextmanager
def _new_host(target: Mapping[str, Any]) -> Iterator[Any]:
    """The daemon there. Raises HypervisorUnavailable."""
    import libvirt

    uri = target["uri"] if target["machine"] == host.boot_id() else target["peer_uri"]
    try:
        there = libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise HypervisorUnavailable("the server's new host does not answer", detail=str(error)) from error
    try:
        yield there
    finally:
        there.close()


def _written_disks(description: str) -> list[str]:
    """The devices whose contents are to be sent: those that the guest can write."""
    disks = ET.fromstring(description).iterfind("devices/disk")  # noqa: S314 - libvirt's own words
    return [
        target.get("dev", "")
        for disk in disks
        if disk.find("readonly") is None and (target := disk.find("target")) is not None
    ]
