"""A copy of a running guest's disk as it is at one instant: libvirt's backup job."""

import contextlib
import time
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.disks.tool import SNAPSHOT_FORMAT
from kilonova.drivers.libvirt.words import explain, translated

_LOOK_SECONDS: Final = 0.05
_NO_JOB: Final = 0  # VIR_DOMAIN_JOB_NONE
_BACKUP: Final = 9  # VIR_DOMAIN_JOB_OPERATION_BACKUP
_COMPLETED: Final = 1  # VIR_DOMAIN_JOB_STATS_COMPLETED


def copy_live(domain: Any, device: str, destination: Path, *, timeout_seconds: float) -> None:
    """Copy the disk (``vda``, ...) of a domain that is up while it goes on. Raises GuestFailure; no job is left."""
    _end_earlier_attempt(domain)
    destination.unlink(missing_ok=True)
    with translated("copy the server's disk"):
        domain.backupBegin(_order(domain, device, destination), None, 0)
    try:
        _await(domain, timeout_seconds)
    except BaseException:
        with contextlib.suppress(GuestFailure):  # then it has ended, and its job with it
            _end_earlier_attempt(domain)
        raise


def _order(domain: Any, device: str, destination: Path) -> str:
    order = ET.Element("domainbackup", mode="push")
    disks = ET.SubElement(order, "disks")
    for target in ET.fromstring(domain.XMLDesc(0)).iterfind("devices/disk[@device='disk']/target"):  # noqa: S314 - libvirt's
        name = target.get("dev", "")
        if name != device:
            ET.SubElement(disks, "disk", name=name, backup="no")
            continue
        disk = ET.SubElement(disks, "disk", name=name, backup="yes", type="file")
        ET.SubElement(disk, "driver", type=SNAPSHOT_FORMAT)
        ET.SubElement(disk, "target", file=str(destination))
    return ET.tostring(order, encoding="unicode")


def _end_earlier_attempt(domain: Any) -> None:
    """Of a driver that was cut off while it copied."""
    with translated("end the copy of the server's disk"):
        job = domain.jobStats()
        if job["type"] != _NO_JOB and job.get("operation") == _BACKUP:
            domain.abortJob()
            while domain.jobStats()["type"] != _NO_JOB:
                time.sleep(_LOOK_SECONDS)


def _await(domain: Any, timeout_seconds: float) -> None:
    until = time.monotonic() + timeout_seconds
    with translated("copy the server's disk"):
        while domain.jobStats()["type"] != _NO_JOB:
            if time.monotonic() > until:
                text = "the copy of the server's disk did not end"
                raise GuestFailure(FaultCause.GUEST_UNRESPONSIVE, text)
            time.sleep(_LOOK_SECONDS)
        ended = domain.jobStats(_COMPLETED)
    if not ended.get("success", ended["type"] != _NO_JOB):
        raise explain(0, 0, str(ended.get("errmsg", "the job failed")), "copy the server's disk")
