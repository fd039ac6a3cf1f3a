"""Why a QEMU did not start: its last words, as a failure that its server's owner understands."""

from pathlib import Path
from typing import Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.disks.kernels import RAMDISK_TROUBLE

_KNOWN: Final = (
    ("annot set up guest memory", FaultCause.MEMORY_SHORT, "the host has not enough free memory"),
    ("Cannot allocate memory", FaultCause.MEMORY_SHORT, "the host has not enough free memory"),
    ("No space left on device", FaultCause.DISK_FULL, "the host's disk is full"),
    ("Image is not in qcow2 format", FaultCause.IMAGE_CORRUPT, "the server's disk is damaged"),
    ("image is corrupt", FaultCause.IMAGE_CORRUPT, "the server's disk is damaged"),
    (RAMDISK_TROUBLE[0], FaultCause.DRIVER_ERROR, RAMDISK_TROUBLE[1]),
    ("ould not open backing file", FaultCause.IMAGE_UNAVAILABLE, "the server's image is missing on its host"),
)


def why_not(log: Path, otherwise: str) -> GuestFailure:
    """The failure that QEMU's log tells of; ``otherwise`` is the detail where the log is silent."""
    said = log.read_text(errors="replace").strip() if log.exists() else ""
    for words, cause, text in _KNOWN:
        if words in said:
            return GuestFailure(cause, text, detail=said)
    return GuestFailure(FaultCause.DRIVER_ERROR, "QEMU could not start the server", detail=said or otherwise)
