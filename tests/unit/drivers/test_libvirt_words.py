"""libvirt's refusals as causes of the catalogue: its own words, as they were seen."""

import pytest

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.drivers.libvirt.words import explain

QEMU, RPC, STORAGE = 10, 7, 18


@pytest.mark.parametrize(
    "code, domain, said, cause",
    [
        (42, QEMU, "Domain not found: no domain with matching uuid '…'", FaultCause.GUEST_MISSING),
        (78, QEMU, "operation aborted: migration out: canceled by client", FaultCause.ABORTED),
        (86, QEMU, "Guest agent is not responding: QEMU guest agent is not connected", FaultCause.GUEST_UNRESPONSIVE),
        (9, QEMU, "operation failed: domain 'x' already exists with uuid …", FaultCause.NAME_TAKEN),
        (1, QEMU, "qemu unexpectedly closed the monitor: cannot set up guest memory 'pc.ram'", FaultCause.MEMORY_SHORT),
        (38, STORAGE, "Cannot access storage file '/s/images/a.b.c': No such file", FaultCause.IMAGE_UNAVAILABLE),
        (38, STORAGE, "Cannot access backing file '/s/a' of storage file '/s/b'", FaultCause.IMAGE_UNAVAILABLE),
        (38, STORAGE, "Cannot access storage file '/s/instances/u/root.qcow2': No such", FaultCause.GUEST_MISSING),
        (38, STORAGE, "Cannot access storage file '/s/x' (as uid:64055): Permission denied", FaultCause.DRIVER_ERROR),
        (1, QEMU, "qemu unexpectedly closed the monitor: Image is not in qcow2 format", FaultCause.IMAGE_CORRUPT),
        (1, 0, "An error occurred, but the cause is unknown", FaultCause.IMAGE_CORRUPT),
        (1, QEMU, "internal error: unable to write: No space left on device", FaultCause.DISK_FULL),
        (68, QEMU, "Timed out during operation: cannot acquire state change lock", FaultCause.GUEST_UNRESPONSIVE),
        (67, QEMU, "unsupported configuration: 300 vcpus", FaultCause.NOT_SUPPORTED),
        (1, QEMU, "something nobody has seen", FaultCause.DRIVER_ERROR),
    ],
)
def test_every_refusal_has_a_cause_and_keeps_libvirts_words_for_the_operator(
    code: int, domain: int, said: str, cause: FaultCause
) -> None:
    failure = explain(code, domain, said, "start the server")
    assert isinstance(failure, GuestFailure)
    assert failure.cause is cause
    assert failure.detail is not None
    assert said in failure.detail
    assert "/" not in failure.message, "the owner is told no path of the host"


@pytest.mark.parametrize("code, domain", [(38, RPC), (1, RPC), (5, 0), (39, 0)])
def test_trouble_on_the_line_is_the_hypervisors_and_not_the_guests(code: int, domain: int) -> None:
    assert isinstance(explain(code, domain, "client socket is closed", "start the server"), HypervisorUnavailable)
