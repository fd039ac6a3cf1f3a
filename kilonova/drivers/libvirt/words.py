"""What libvirt says when it refuses, as causes of the catalogue.

Half of its refusals have the code of an internal error: those are told apart by their words.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any, Final

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable, KilonovaError
from kilonova.domain.faults import FaultCause
from kilonova.drivers.disks.kernels import RAMDISK_TROUBLE

NO_DOMAIN: Final = 42
OPERATION_INVALID: Final = 55
OPERATION_ABORTED: Final = 78
AGENT_UNRESPONSIVE: Final = 86
AGENT_COMMAND_TIMEOUT: Final = 111
NO_METADATA: Final = 80
_NO_CONNECT: Final = 5
_INVALID_CONNECTION: Final = 6
_RPC: Final = 39
_TIMEOUTS: Final = frozenset({68})
_OF_THE_CONNECTION: Final = 7
"""virErrorDomain VIR_FROM_RPC: the trouble is between us and the daemon, not with a guest."""

_BY_CODE: Final = {
    NO_DOMAIN: (FaultCause.GUEST_MISSING, "the server is not on its host any more"),
    OPERATION_ABORTED: (FaultCause.ABORTED, "it was called off"),
    AGENT_UNRESPONSIVE: (FaultCause.GUEST_UNRESPONSIVE, "the agent inside the server does not answer"),
    AGENT_COMMAND_TIMEOUT: (FaultCause.GUEST_UNRESPONSIVE, "the agent inside the server does not answer"),
}
_BY_WORDS: Final = (
    (r"cannot set up guest memory|Cannot allocate memory", FaultCause.MEMORY_SHORT, "the host has too little memory"),
    (r"No space left on device|Disk quota exceeded", FaultCause.DISK_FULL, "the host's disk is full"),
    (r"already exists with uuid|is already defined with uuid", FaultCause.NAME_TAKEN, "the server's name is taken"),
    (
        r"Cannot access (storage|backing) file.*Permission denied|Could not open '.*Permission denied",
        FaultCause.DRIVER_ERROR,
        "QEMU may not read the server's disks on its host",
    ),
    (
        r"Cannot access backing file|ould not open backing file|Cannot access storage file '.*/images/",
        FaultCause.IMAGE_UNAVAILABLE,
        "the server's image is missing on its host",
    ),
    (
        r"Cannot access storage file|Could not open '.*No such file",
        FaultCause.GUEST_MISSING,
        "the server's disk is missing on its host",
    ),
    (
        r"Image is not in qcow2 format|image is corrupt|invalid qcow2|cause is unknown|qcow2 header",
        FaultCause.IMAGE_CORRUPT,
        "the server's disk is damaged",
    ),
    (RAMDISK_TROUBLE[0], FaultCause.DRIVER_ERROR, RAMDISK_TROUBLE[1]),
    (r"Failed to get .*lock", FaultCause.DRIVER_ERROR, "another machine uses the server's disk"),
    (
        r"Timed out during operation: cannot acquire state change lock|monitor.*(Connection reset|closed)",
        FaultCause.GUEST_UNRESPONSIVE,
        "the server's QEMU does not answer",
    ),
    (r"not supported|unsupported", FaultCause.NOT_SUPPORTED, "the host cannot do this"),
)


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what libvirt raises into our own errors. ``doing`` says what was asked for, such as ``start the server``."""
    import libvirt

    try:
        yield
    except libvirt.libvirtError as error:
        raise reason_of(error, doing) from error


def reason_of(error: Any, doing: str) -> KilonovaError:
    """Our error for a ``libvirtError``."""
    return explain(error.get_error_code(), error.get_error_domain(), error.get_error_message() or str(error), doing)


def explain(code: int, domain: int, said: str, doing: str) -> KilonovaError:
    """Our error for libvirt's code (virErrorNumber), domain (virErrorDomain) and words."""
    detail = f"libvirt, asked to {doing}: {said} (error {code} of domain {domain})"
    if domain == _OF_THE_CONNECTION or code in (_NO_CONNECT, _INVALID_CONNECTION, _RPC):
        return HypervisorUnavailable("libvirt does not answer", detail=detail)
    if code in _BY_CODE:
        cause, text = _BY_CODE[code]
        return GuestFailure(cause, text, detail=detail)
    for words, cause, text in _BY_WORDS:
        if re.search(words, said, re.DOTALL):
            return GuestFailure(cause, text, detail=detail)
    if code in _TIMEOUTS:
        return GuestFailure(FaultCause.GUEST_UNRESPONSIVE, "the server's QEMU does not answer", detail=detail)
    if code == OPERATION_INVALID and "not running" in said:
        return GuestFailure(FaultCause.DRIVER_ERROR, "the server is not running", detail=detail)
    return GuestFailure(FaultCause.DRIVER_ERROR, f"libvirt refused to {doing}", detail=detail)
