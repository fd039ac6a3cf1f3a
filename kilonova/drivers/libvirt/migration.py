"""One guest's way from this host's daemon to another's."""

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.drivers import host
from kilonova.drivers.instances.definition import Definition
from kilonova.drivers.libvirt.description import CONSOLE_LOG, moved
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


class Departure:
    """A running guest that goes to ``target``, which its new host described."""

    def __init__(self, domain: Any, guest: Definition, directory: Path, target: Mapping[str, Any]) -> None:
        self._domain = domain
        self._guest = guest
        self._directory = directory
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
            libvirt.VIR_MIGRATE_PARAM_DEST_XML: moved(running, files, owner),
            libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: moved(kept, files, owner),
            libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS: _written_disks(running),
        }
        self._watch(lambda: self._domain.migrateToURI3(peer, parameters, flags), tell)

    def _files(self) -> Mapping[str, str]:
        there: Mapping[str, str] = self._target["files"]
        here = {disk.role.value: str((self._directory / disk.file).resolve()) for disk in self._guest.disks}
        missing = sorted(set(here) - set(there))
        if missing:
            text = f"the server's new host made no disk for its {missing[0]}"
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

    uri = target["uri"] if target["machine"] == host.boot_id() else target["peer_uri"]
    try:
        there = libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise HypervisorUnavailable("the server's new host does not answer", detail=str(error)) from error
    try:
        return bool(there.lookupByUUIDString(uuid).isActive())
    except libvirt.libvirtError:
        return False
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
